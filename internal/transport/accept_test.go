package transport_test

import (
	"testing"

	"github.com/graphwarden/graphwarden/internal/transport"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

func TestAcceptIsNegotiated(t *testing.T) {
	t.Parallel()
	endpoint := newAPI().serve(t, transport.HTTP{})
	for accept, want := range map[string]string{
		"":                                  plain,
		" ":                                 plain,
		"*/*":                               plain,
		"application/*":                     plain,
		"application/json":                  plain,
		"application/graphql-response+json": modern,
		"APPLICATION/GraphQL-Response+JSON": modern,
		"application/graphql-response+json; charset=utf-8":                                           modern,
		"application/graphql-response+json,application/json;q=0.9":                                   modern,
		"application/graphql-response+json, application/json":                                        modern,
		"application/json, application/graphql-response+json":                                        modern,
		"application/graphql-response+json;q=0.9, application/json":                                  plain,
		"application/graphql-response+json;q=0.5, */*":                                               plain,
		"application/json;q=0.5, */*":                                                                modern,
		"application/json;q=0, */*":                                                                  modern,
		"application/graphql-response+json, */*;q=0.8":                                               modern,
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8":                            plain,
		"application/graphql-response+json;q=0, application/json;q=0.001":                            plain,
		"application/graphql-response+json, application/graphql+json, text/event-stream":             modern,
		"text/event-stream;q=1, application/json;q=0.1":                                              plain,
		";;, application/json":                                                                       plain,
		"application/graphql-response+json;q=2, application/json":                                    modern,
		"application/graphql-response+json;q=0.33333, application/json;q=0.1":                        modern,
		`application/json;q="0.1", application/graphql-response+json;q=0.2`:                          modern,
		`text/html;title="a, b", application/graphql-response+json`:                                  modern,
		`text/html;title="\", application/json;q=1"`:                                                 "",
		"application/graphql-response+json; charset=utf8":                                            modern,
		"application/graphql-response+json; flag":                                                    modern,
		"application/json;q=high":                                                                    "",
		"application/json;q=NaN":                                                                     "",
		"application/json;q=-1":                                                                      "",
		"application/json;charset=utf-8":                                                             plain,
		"application/json;charset=iso-8859-1, application/graphql-response+json;q=0.1;charset=UTF-8": modern,
		"text/html":                           "",
		"text/event-stream":                   "",
		"multipart/mixed":                     "",
		"application/json;q=0":                "",
		"application/json;q=0.000":            "",
		"*/*;q=0":                             "",
		"application/*;q=0, */*":              "",
		"application/json;charset=iso-8859-1": "",
		"application/jsonp":                   "",
		"garbage":                             "",
	} {
		t.Run(accept, func(t *testing.T) {
			t.Parallel()
			got := send(t, webtest.Request(t, "POST", endpoint, operation(`{health}`), "Content-Type", plain, "Accept", accept))
			status, media := 200, want
			if want == "" {
				status, media = 406, plain
			}
			if contentType := got.Header.Get("Content-Type"); got.Status != status || contentType != media+"; charset=utf-8" {
				t.Errorf("%d %s, want %d %s", got.Status, contentType, status, media)
			}
			if (got.Data == nil) != (want == "") {
				t.Errorf("executed: %s", got.Text)
			}
		})
	}
	t.Run("no header", func(t *testing.T) {
		t.Parallel()
		got := send(t, webtest.Request(t, "POST", endpoint, operation(`{`), "Content-Type", plain))
		if got.Status != 200 || got.Header.Get("Content-Type") != plain+"; charset=utf-8" {
			t.Errorf("%d %v", got.Status, got.Header)
		}
	})
	t.Run("two headers", func(t *testing.T) {
		t.Parallel()
		got := send(t, webtest.Request(t, "POST", endpoint, operation(`{`), "Content-Type", plain, "Accept", "text/html",
			"Accept", modern))
		if got.Status != 400 || got.Header.Get("Content-Type") != modern+"; charset=utf-8" {
			t.Errorf("%d %v", got.Status, got.Header)
		}
	})
}
