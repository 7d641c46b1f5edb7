package transport_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/transport"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

const events = "text/event-stream"

func TestEventsRequireAPreferenceInAccept(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		events:                                      true,
		events + "; charset=utf-8":                  true,
		"text/event-stream, multipart/mixed":        true, // urql's subscriptions
		"text/event-stream, */*":                    true,
		"application/json;q=0.5, text/event-stream": true,
		"application/json, text/event-stream":       false,
		"text/event-stream;q=0.5, application/json": false,
		"text/event-stream;q=0":                     false,
		"text/event-stream;q=high":                  false,
		"*/*":                                       false,
		"text/*":                                    false,
		"":                                          false,
		"application/graphql-response+json, application/graphql+json, application/json, text/event-stream, " +
			"multipart/mixed": false, // urql's queries
	} {
		if got := (transport.Events{}).Supports(webtest.Request(t, "POST", "/", "", "Accept", accept)); got != want {
			t.Errorf("%q: %v", accept, got)
		}
	}
	if (transport.Events{}).Supports(webtest.Request(t, "GET", "/", "", "Accept", events)) {
		t.Error("a GET is supported")
	}
}

// stream is a response of events.
type stream struct {
	testing.TB
	resp *http.Response
	text *bufio.Reader
}

// listenTo posts query and requires a response of events.
func listenTo(tb testing.TB, url, query string, header ...string) *stream {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), webtest.Patience)
	tb.Cleanup(cancel)
	r := webtest.Request(tb, "POST", url, operation(query),
		append([]string{"Content-Type", plain, "Accept", events}, header...)...)
	resp, err := http.DefaultClient.Do(r.WithContext(ctx))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = resp.Body.Close() })
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "text/event-stream; charset=utf-8" {
		tb.Fatalf("%s %s", resp.Status, got)
	}
	return &stream{TB: tb, resp: resp, text: bufio.NewReader(resp.Body)}
}

// receives requires that these lines follow.
func (s *stream) receives(want ...string) {
	s.Helper()
	for _, line := range want {
		got, err := s.text.ReadString('\n')
		if err != nil || got != line+"\n" {
			s.Fatalf("received %q %v\nwant     %q", got, err, line)
		}
	}
}

// ends requires that exactly these lines follow before the end.
func (s *stream) ends(lines ...string) {
	s.Helper()
	rest, err := io.ReadAll(s.text)
	if diff := cmp.Diff(strings.Join(append(lines, ""), "\n"), string(rest)); err != nil || diff != "" {
		s.Fatalf("%v (-want +got) %s", err, diff)
	}
}

func TestOperationsAreAnsweredWithEvents(t *testing.T) {
	t.Parallel()
	f, url := serveFeed(t, transport.StreamOptions{})
	const done = "event: complete"
	for name, c := range map[string]struct {
		query string
		want  []string
	}{
		"query":    {`{who}`, []string{"event: next", `data: {"data":{"who":"anonymous"}}`, ""}},
		"mutation": {`mutation{logout}`, []string{"event: next", `data: {"data":{"logout":"done"}}`, ""}},
		"refused before execution": {`{refused}`, []string{"event: next", `data: {"errors":[{` +
			`"message":"sign in first","path":["refused"],` +
			`"extensions":{"code":"UNAUTHENTICATED","reason":"TOKEN_MISSING"}}]}`, ""}},
		"subscription refused": {`subscription{fails}`, []string{":", "", "event: next",
			`data: {"errors":[{"message":"not for you","extensions":{"code":"FORBIDDEN","reason":"ROLE_REQUIRED"}}]}`, ""}},
		"parse failure": {`{`, []string{"event: next", `data: {"errors":[{"message":"Expected Name, found \u003cEOF\u003e",` +
			`"locations":[{"line":1,"column":2}],"extensions":{"code":"GRAPHQL_PARSE_FAILED"}}]}`, ""}},
		"panic": {`{panics}`, []string{"event: next",
			`data: {"errors":[{"message":"internal error","extensions":{"code":"INTERNAL_SERVER_ERROR","reason":""}}]}`, ""}},
		"panic while subscribed": {`subscription{panics}`, []string{":", "", "event: next",
			`data: {"errors":[{"message":"internal error","extensions":{"code":"INTERNAL_SERVER_ERROR","reason":""}}]}`, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listenTo(t, url, c.query).ends(append(c.want, done, "data: ", "")...)
		})
	}
	s := listenTo(t, url, `subscription{events}`)
	if got := s.resp.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control: %s", got)
	}
	s.receives(":", "")
	f.events <- "1"
	s.receives("event: next", `data: {"data":{"events":1}}`, "")
	f.events <- "[1,\n\r2]" // scalars may contain white space
	s.receives("event: next", `data: {"data":{"events":[1,  2]}}`, "")
	close(f.events)
	s.ends(done, "data: ", "")
}

func TestInvalidRequestsAreRefusedWithoutEvents(t *testing.T) {
	t.Parallel()
	_, url := serveFeed(t, transport.StreamOptions{MaxBody: 100})
	for body, want := range map[string]int{"{": 400, "{}": 400, operation(strings.Repeat("x", 100)): 413} {
		r := webtest.Request(t, "POST", url, body, "Content-Type", plain, "Accept", events)
		if got := send(t, r); got.Status != want {
			t.Errorf("%s: %d %s", body, got.Status, got.Text)
		}
	}
	r := webtest.Request(t, "POST", url, operation("{who}"), "Content-Type", "text/plain", "Accept", events)
	if got := send(t, r); got.Status != 415 {
		t.Errorf("%d %s", got.Status, got.Text)
	}
}

func TestEventStreamsEndWithTheReasonOfTheirToken(t *testing.T) {
	t.Parallel()
	f, url := serveFeed(t, transport.StreamOptions{})
	last := func(reason, message string) []string {
		return []string{"event: next", fmt.Sprintf(`data: {"errors":[{"message":%q,"extensions":{"code":"UNAUTHENTICATED",`+
			`"reason":%q}}]}`, message, reason), "",
			"event: complete", "data: ", ""}
	}
	silent := listenTo(t, url, "subscription{silent}", "Authorization", "Bearer ann")
	checked := listenTo(t, url, "subscription{events}", "Authorization", "Bearer ann2")
	other := listenTo(t, url, "subscription{silent}", "Authorization", "Bearer bob")
	for _, s := range []*stream{silent, checked, other} {
		s.receives(":", "")
	}
	f.revoke("ann2")
	f.events <- "1"
	checked.ends(last("TOKEN_REVOKED", "revoked")...)
	f.revoke("ann")
	f.streams.Recheck(transport.Key{Session: "session of ann"})
	silent.ends(last("TOKEN_REVOKED", "revoked")...)
	if err := f.streams.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	other.ends() // without complete: a client that loses its stream subscribes again
}

func TestEventsAnswerAMutationThatEndsItsSessionOnce(t *testing.T) {
	t.Parallel()
	_, url := serveFeed(t, transport.StreamOptions{})
	listenTo(t, url, "mutation{logout}", "Authorization", "Bearer ann").
		ends("event: next", `data: {"data":{"logout":"done"}}`, "", "event: complete", "data: ", "")
}

func TestEventsUseCookiesButSocketsDoNot(t *testing.T) {
	t.Parallel()
	_, url := serveFeed(t, transport.StreamOptions{})
	cookie := []string{"Cookie", "__Host-graphwarden_refresh=secret", "Origin", "https://app.example.com"}
	listenTo(t, url, "{cookie}", cookie...).receives("event: next", `data: {"data":{"cookie":"secret"}}`)
	got := listenTo(t, url, "mutation{setCookie}", cookie...).resp.Header.Get("Set-Cookie")
	if !strings.Contains(got, "fresh") {
		t.Errorf("Set-Cookie: %q", got)
	}
	s := greet(t, url, "", cookie...)
	s.subscribe("1", "{cookie}")
	s.receives(`{"type":"next","id":"1","payload":{"data":{"cookie":""}}}`, `{"type":"complete","id":"1"}`)
	s.subscribe("1", "mutation{setCookie}")
	s.receives(`{"type":"next","id":"1","payload":{"data":{"setCookie":"done"}}}`)
}

func TestPublicEventsDoNotNeedAValidToken(t *testing.T) {
	t.Parallel()
	_, url := serveFeed(t, transport.StreamOptions{})
	for _, header := range []string{"Bearer late", "Bearer not a token", "Basic ann", "Bearer down"} {
		s := listenTo(t, url, "{who}", "Authorization", header)
		s.receives("event: next", `data: {"data":{"who":"anonymous"}}`)
	}
	listenTo(t, url, "{who}", "Authorization", "Bearer ann").receives("event: next", `data: {"data":{"who":"ann"}}`)
}

// If a token is revoked between the authentication of the request and that of the stream, the stream is anonymous,
// although the request's context contains the principal.
func TestEventsAreAnonymousIfTheTokenIsRefusedMeanwhile(t *testing.T) {
	t.Parallel()
	_, h := newFeed(transport.StreamOptions{})
	url := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, "ann")))
	}))
	for _, token := range []string{"late", "down"} {
		s := listenTo(t, url, "{who}", "Authorization", "Bearer "+token)
		s.receives("event: next", `data: {"data":{"who":"anonymous"}}`)
	}
}
