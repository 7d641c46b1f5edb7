package transport_test

import (
	"bufio"
	"io"
	"mime"
	"net/http"
	"strings"
	"testing"

	"github.com/graphwarden/graphwarden/internal/transport"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

const parts = `multipart/mixed;boundary=graphql;subscriptionSpec=1.0`

func TestPartsRequireAPreferenceInAccept(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		parts:                       true,
		parts + ",application/json": true, // Apollo Client's subscriptions
		`multipart/mixed;boundary="graphql";subscriptionSpec="1.0", application/json`: true,
		"application/json, " + parts:                          false,
		"multipart/mixed":                                     false,
		"multipart/mixed;subscriptionSpec=2.0":                false,
		"multipart/mixed;deferSpec=20220824,application/json": false, // Apollo Client's queries with @defer
	} {
		if got := (transport.Events{}).Supports(webtest.Request(t, "POST", "/", "", "Accept", accept)); got != want {
			t.Errorf("%q: %v", accept, got)
		}
	}
}

// partReader reads parts like Apollo Client: a part ends with the next delimiter, even if no more bytes follow.
type partReader struct {
	*testing.T
	body *bufio.Reader
}

func (r partReader) next() string {
	r.Helper()
	text := r.until("\r\n--graphql")
	header, content, _ := strings.Cut(text, "\r\n\r\n")
	if header != "\r\nContent-Type: application/json" {
		r.Errorf("header of a part: %q", header)
	}
	return content
}

func (r partReader) until(delimiter string) string {
	r.Helper()
	var text strings.Builder
	for !strings.HasSuffix(text.String(), delimiter) {
		c, err := r.body.ReadByte()
		if err != nil {
			r.Fatalf("%q, then %v", text.String(), err)
		}
		text.WriteByte(c)
	}
	return strings.TrimSuffix(text.String(), delimiter)
}

// ends requires that exactly these parts follow before the end.
func (r partReader) ends(want ...string) {
	r.Helper()
	for _, one := range want {
		if got := r.next(); got != one {
			r.Errorf("part %s, want %s", got, one)
		}
	}
	rest, err := io.ReadAll(r.body)
	if err != nil || string(rest) != "--\r\n" {
		r.Errorf("after the last part: %q, %v", rest, err)
	}
}

func TestOperationsAreAnsweredWithParts(t *testing.T) {
	t.Parallel()
	f, url := serveFeed(t, transport.StreamOptions{})
	open := func(query string, header ...string) partReader {
		t.Helper()
		header = append([]string{"Content-Type", plain, "Accept", parts + ",application/json"}, header...)
		response, err := http.DefaultClient.Do(webtest.Request(t, "POST", url, operation(query), header...))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = response.Body.Close() })
		media, params, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
		if err != nil || media != "multipart/mixed" || params["subscriptionspec"] != "1.0" {
			t.Fatalf("%s %v %v", media, params, err)
		}
		r := partReader{t, bufio.NewReader(response.Body)}
		if before := r.until("\r\n--graphql"); before != "" || params["boundary"] != "graphql" {
			t.Fatalf("%q before the first part, boundary %q", before, params["boundary"])
		}
		return r
	}
	open(`{who}`).ends(`{"payload":{"data":{"who":"anonymous"}}}`)
	open(`{refused}`).ends(`{"payload":{"errors":[{"message":"sign in first","path":["refused"],` +
		`"extensions":{"code":"UNAUTHENTICATED","reason":"TOKEN_MISSING"}}]}}`)

	r := open(`subscription{events}`)
	if got := r.next(); got != "{}" {
		t.Errorf("first part: %s", got)
	}
	f.events <- "1"
	f.events <- "[1,\r\n--graphql\r\n2]" // the white space of a scalar contains a delimiter
	if got := r.next(); got != `{"payload":{"data":{"events":1}}}` {
		t.Errorf("event: %s", got)
	}
	if got := r.next(); got != `{"payload":{"data":{"events":[1,  --graphql  2]}}}` {
		t.Errorf("event: %s", got)
	}
	close(f.events)
	r.ends()

	silent := open("subscription{silent}", "Authorization", "Bearer ann")
	if got := silent.next(); got != "{}" {
		t.Errorf("first part: %s", got)
	}
	f.revoke("ann")
	f.streams.Recheck(transport.Key{Session: "session of ann"})
	silent.ends(`{"payload":{"errors":[{"message":"revoked","extensions":{"code":"UNAUTHENTICATED",` +
		`"reason":"TOKEN_REVOKED"}}]}}`)
}
