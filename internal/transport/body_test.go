package transport_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/transport"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

// marker is the password in a body.
const marker = "hunter2-S3CRET"

func malformedBodies() []string {
	q := `"query":"{health}"`
	m := `"` + marker + `"`
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	return []string{
		"", " ", "\n", marker, m, "null", "true", "0", "-1e3", "[]", "{}",
		"[{" + q + "}]", "[{" + q + "},{" + q + "}]", `["` + marker + `"]`,
		"{", "}", "{" + q, "{" + q + ",", "{" + q + ",}", "{," + q + "}", "{" + q + "}}",
		"{" + q + "}" + m, "{" + q + "}{" + q + "}", "{" + q + "}\x00", "{" + q + "} // " + marker,
		"{" + q + "/*" + marker + "*/}",
		`{"query" "` + marker + `"}`, `{"query":"{health}` + marker, `{query:"` + marker + `"}`, `{'query':'` + marker + `'}`,
		`{1:"` + marker + `"}`, `{null:1}`, `{"query":"{health}" "operationName":` + m + `}`,
		`{"query":"\x"}`, `{"query":"\u12"}`, "{\"query\":\"{health}\n" + marker + "\"}",
		"{\"query\":\"\x01" + marker + "\"}",
		"\xef\xbb\xbf{" + q + "}", "{\"query\":\"{health}\xff\"}", "{\"\xc3\x28\":" + m + "," + q + "}",
		"{" + q + ",\"variables\":{\"p\":\"\xed\xa0\x80\"}}",
		"\xff\xfe{\x00}\x00", "\x1f\x8b\x08\x00",
		`{"query":null}`, `{"query":""}`, `{"query":1}`, `{"query":true}`, `{"query":["` + marker + `"]}`,
		`{"query":{"p":` + m + `}}`,
		`{"qeury":` + m + `}`, `{"QUERY":"{health}"}`, `{"Query":"{health}"}`, `{"":` + m + `}`,
		"{" + q + "," + q + "}", "{" + q + `,"operationName":null,"operationName":` + m + "}",
		"{" + q + `,"variables":{},"variables":{"p":` + m + "}}", "{" + q + `,"extensions":{},"extensions":null}`,
		`{"quer\u0079":"{health}",` + q + "}",
		"{" + q + `,"QUERY":"{nothing}"}`, `{"Query":"{nothing}",` + q + "}", "{" + q + `,"operationname":` + m + "}",
		"{" + q + `,"exten\u017fions":{"p":` + m + "}}",
		"{" + q + `,"operationName":1}`, "{" + q + `,"operationName":{"p":` + m + "}}",
		"{" + q + `,"operationName":[` + m + "]}",
		"{" + q + `,"variables":` + m + "}", "{" + q + `,"variables":[` + m + "]}", "{" + q + `,"variables":1}`,
		"{" + q + `,"variables":false}`,
		"{" + q + `,"extensions":` + m + "}", "{" + q + `,"extensions":[` + m + "]}", "{" + q + `,"extensions":0}`,
		"{" + q + `,"variables":{"p":01}}`, "{" + q + `,"variables":{"p":+1}}`, "{" + q + `,"variables":{"p":.5}}`,
		"{" + q + `,"variables":{"p":NaN}}`, "{" + q + `,"variables":{"p":undefined}}`,
		"{" + q + `,"variables":{"p":` + deep(20_000) + "}}", "{" + q + `,"other":` + deep(20_000) + "}", deep(20_000),
		`{"extensions":{"persistedQuery":null}}`, `{"variables":{"p":` + m + `}}`,
		"query=" + marker, "--boundary\r\nContent-Disposition: form-data; name=\"operations\"\r\n\r\n{" + q + "}\r\n",
	}
}

func TestMalformedBodiesAreRefusedWithoutEcho(t *testing.T) {
	t.Parallel()
	a := newAPI()
	endpoint := a.serve(t, transport.HTTP{})
	for i, body := range malformedBodies() {
		t.Run(fmt.Sprintf("%d %.40q", i, body), func(t *testing.T) {
			t.Parallel()
			for _, media := range []string{modern, plain} {
				got := post(t, endpoint, media, body)
				if got.Status != 400 || got.Data != nil || len(got.Errors) != 1 {
					t.Fatalf("%d %s", got.Status, got.Text)
				}
				if e := got.Errors[0].Extensions; e.Code != fault.BadUserInput || e.Reason != fault.BodyMalformed {
					t.Errorf("%s", got.Text)
				}
				for _, leak := range []string{
					marker, "json", "invalid character", "cannot unmarshal", "EOF", "offset", "Go ", "literal", "looking for",
				} {
					if strings.Contains(got.Text, leak) {
						t.Errorf("%q leaks: %s", leak, got.Text)
					}
				}
			}
		})
	}
	t.Cleanup(func() {
		if p := a.params.Load(); p != nil {
			t.Errorf("executed: %q", p.Query)
		}
	})
}

func TestUnusualButWellFormedBodiesAreExecuted(t *testing.T) {
	t.Parallel()
	endpoint := newAPI().serve(t, transport.HTTP{})
	for _, body := range []string{
		`{"query":"{health}","variables":null,"operationName":null,"extensions":null}`,
		" \t\r\n{ \"query\" : \"{health}\" } \n",
		`{"query":"{health}","variables":{},"extensions":{"a":[{"b":null}]}}`,
		`{"id":"7","query":"{health}","batch":[1,2],"id":"8"}`,
		`{"quer\u0079":"\u007bhealth\u007d"}`,
		`{"query":"query A{health} query B{nothing}","operationName":"A"}`,
		`{"query":"{health}","a":{"query":"{nothing}","QUERY":[{"query":1},2]},"b":"\\\",\"query\":"}`,
	} {
		if got := post(t, endpoint, modern, body); got.Status != 200 || string(got.Data) != `{"health":"ok"}` {
			t.Errorf("%s: %d %s", body, got.Status, got.Text)
		}
	}
}

func TestVariablesKeepTheirValues(t *testing.T) {
	t.Parallel()
	endpoint := newAPI().serve(t, transport.HTTP{})
	for _, c := range []struct{ query, variable, data string }{
		{`query($v:Long!){big(n:$v)}`, `9223372036854775807`, `{"big":9223372036854775807}`},
		{`query($v:String!){echo(text:$v)}`, `"\u00e4ü 🏃 \"\\ \u0000"`, `{"echo":"äü 🏃 \"\\ \u0000"}`},
	} {
		got := post(t, endpoint, modern, `{"query":"`+c.query+`","variables":{"v":`+c.variable+`}}`)
		if diff := cmp.Diff(c.data, string(got.Data)); diff != "" {
			t.Errorf("%s: %s\n%s", c.query, got.Text, diff)
		}
	}
}

func TestAPersistedQueryNeedsNoDocument(t *testing.T) {
	t.Parallel()
	a := newAPI()
	post(t, a.serve(t, transport.HTTP{}), modern, `{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"00"}}}`)
	if a.params.Load() == nil {
		t.Error("the query does not reach the executor")
	}
}

func TestOnlyJSONPostsExecute(t *testing.T) {
	t.Parallel()
	a := newAPI()
	endpoint := a.serve(t, transport.HTTP{})
	body := operation(`mutation{count}`)
	for _, contentType := range []string{
		"", "text/plain", "text/plain; application/json", "text/json", "application/x-www-form-urlencoded",
		"multipart/form-data; boundary=x",
		"application/graphql", "application/graphql+json", "application/graphql-response+json", "application/json5",
		"application/ld+json",
		"application/jsonp", "application/octet-stream", "application/xml", "*/*", "application/*", "json",
		"application/json, text/plain",
		"application/json;charset=iso-8859-1", "application/json; charset=utf-16",
		"application/json; charset=utf-8; charset=utf-16",
	} {
		for _, media := range []string{modern, plain} {
			r := webtest.Request(t, "POST", endpoint, body, "Accept", media)
			r.Header["Content-Type"] = []string{contentType}
			if got := send(t, r); got.Status != 415 || got.Errors[0].Extensions.Reason != fault.UnsupportedMediaType {
				t.Errorf("%q: %d %s", contentType, got.Status, got.Text)
			}
		}
	}
	for name, header := range map[string][]string{
		"no content type":   {},
		"two content types": {"Content-Type", plain, "Content-Type", plain},
		"gzip":              {"Content-Type", plain, "Content-Encoding", "gzip"},
		"br after identity": {"Content-Type", plain, "Content-Encoding", "identity", "Content-Encoding", "br"},
	} {
		if got := send(t, webtest.Request(t, "POST", endpoint, body, header...)); got.Status != 415 {
			t.Errorf("%s: %d %s", name, got.Status, got.Text)
		}
	}
	if n := a.count.Load(); n != 0 {
		t.Fatalf("%d mutations ran", n)
	}
	good := []string{"application/json", "Application/JSON", "application/json;charset=utf-8",
		"application/json; charset=UTF-8", `application/json; charset="utf-8"`, "application/json; profile=x",
		"application/json; charset", "application/json; charset=utf8", "application/json;"}
	for _, contentType := range good {
		r := webtest.Request(t, "POST", endpoint, body, "Content-Type", contentType, "Content-Encoding", "identity")
		if got := send(t, r); got.Status != 200 {
			t.Errorf("%q: %d %s", contentType, got.Status, got.Text)
		}
	}
	if n := a.count.Load(); n != int64(len(good)) {
		t.Errorf("%d mutations ran, want %d", n, len(good))
	}
}

func TestOtherMethodsDoNothing(t *testing.T) {
	t.Parallel()
	a := newAPI()
	endpoint := a.serve(t, transport.HTTP{})
	for _, method := range []string{"PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "QUERY", "post", "PROPFIND"} {
		got := send(t, webtest.Request(t, method, endpoint+"?query=mutation{count}", operation(`mutation{count}`),
			"Content-Type", plain))
		if got.Status != 405 || got.Header.Get("Allow") != "GET, POST" {
			t.Errorf("%s: %d %v", method, got.Status, got.Header)
		}
	}
	if n := a.count.Load(); n != 0 {
		t.Errorf("%d mutations ran", n)
	}
}

func TestBodySizeIsBounded(t *testing.T) {
	t.Parallel()
	const bare = `{"query":"{health}"}`
	for limit, size := range map[int64]int{0: 1 << 20, 100: 100} {
		endpoint := newAPI().serve(t, transport.HTTP{MaxBody: limit})
		for _, media := range []string{modern, plain} {
			fits := bare + strings.Repeat(" ", size-len(bare))
			if got := post(t, endpoint, media, fits); got.Status != 200 {
				t.Errorf("%d bytes: %d %s", len(fits), got.Status, got.Text)
			}
			declared := webtest.Request(t, "POST", endpoint, fits+" ", "Content-Type", plain, "Accept", media)
			chunked := webtest.Request(t, "POST", endpoint, "", "Content-Type", plain, "Accept", media)
			chunked.Body, chunked.ContentLength = io.NopCloser(strings.NewReader(fits+" ")), -1
			for _, r := range []*http.Request{declared, chunked} {
				if got := send(t, r); got.Status != 413 || got.Errors[0].Extensions.Reason != fault.BodyTooLarge ||
					got.Data != nil {
					t.Errorf("%d bytes: %d %s", len(fits)+1, got.Status, got.Text)
				}
			}
		}
	}
}

// Resolvers must see only real headers in OperationContext.Headers.
func TestBodiesSetNoHeaders(t *testing.T) {
	t.Parallel()
	a := newAPI()
	post(t, a.serve(t, transport.HTTP{}), modern, `{"query":"{health}","headers":{"X-User":["root"]}}`)
	if got := a.params.Load().Headers.Get("X-User"); got != "" {
		t.Errorf("X-User: %q", got)
	}
}

func TestDocumentIDs(t *testing.T) {
	t.Parallel()
	a := newAPI()
	srv := a.serve(t, transport.HTTP{})
	for _, body := range []string{`{"documentId":"00"}`, `{"documentId":"sha256:00","extensions":{"trace":true}}`} {
		post(t, srv, modern, body)
		got, _ := a.params.Load().Extensions["persistedQuery"].(map[string]any)
		if id, _ := got["sha256Hash"].(string); !strings.HasSuffix(id, "00") {
			t.Errorf("%s: %v", body, got)
		}
	}
	response := post(t, srv, modern, `{"documentId":"00","extensions":{"persistedQuery":{"version":1,"sha256Hash":"00"}}}`)
	if response.Status != http.StatusBadRequest {
		t.Errorf("both spellings: %d", response.Status)
	}
}

// FuzzBody compares the transport with an independent reading of the body.
func FuzzBody(f *testing.F) {
	for _, body := range malformedBodies() {
		if len(body) < 1<<12 { // go test takes long to minimize longer ones
			f.Add([]byte(body))
		}
	}
	f.Add([]byte(`{"documentId":"sha256:00","headers":{"X":["y"]}}`))
	f.Add([]byte(`{"query":"{health}","variables":{"a":1},"operationName":"x","extensions":{"persistedQuery":1}}`))
	a := newAPI()
	h := over(transport.HTTP{MaxBody: 1 << 16}, a.executor())
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 1<<16 {
			t.Skip("larger than the limit")
		}
		a.params.Store(nil)
		w, r := httptest.NewRecorder(), httptest.NewRequest("POST", "/", bytes.NewReader(body))
		r.Header.Set("Content-Type", plain)
		h.ServeHTTP(w, r)
		if !json.Valid(w.Body.Bytes()) {
			t.Fatalf("answer: %s", w.Body)
		}
		got, executed := a.params.Load(), w.Code != 400
		if executed != (got != nil) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		want, ok := reference(body)
		if executed && !ok {
			t.Fatal("a malformed body was executed")
		}
		if !executed && ok {
			t.Fatalf("a well-formed body was refused: %s", w.Body)
		}
		if executed && (got.Query != want.query || got.OperationName != want.operation) {
			t.Fatalf("executed %q %q", got.Query, got.OperationName)
		}
	})
}

type operationRead struct{ query, operation string }

// reference parses a body differently from the transport: once into a map, and once for repeated names, which a map
// hides.
func reference(body []byte) (p operationRead, ok bool) {
	var members map[string]json.RawMessage
	if !utf8.Valid(body) || json.Unmarshal(body, &members) != nil || members == nil {
		return p, false
	}
	for name := range members {
		for _, parameter := range []string{"query", "documentId", "operationName", "variables", "extensions"} {
			if strings.EqualFold(name, parameter) && name != parameter {
				return p, false
			}
		}
	}
	documentID := ""
	texts := map[string]*string{"query": &p.query, "documentId": &documentID, "operationName": &p.operation}
	for name, into := range texts {
		if raw, given := members[name]; given && string(raw) != "null" && json.Unmarshal(raw, into) != nil {
			return p, false
		}
	}
	for _, name := range []string{"variables", "extensions"} {
		if raw, given := members[name]; given && string(raw) != "null" && raw[0] != '{' {
			return p, false
		}
	}
	var extensions map[string]any
	_ = json.Unmarshal(members["extensions"], &extensions) // 1e999 is an error here, but the rest is decoded
	persisted := extensions["persistedQuery"] != nil
	if p.query == "" && documentID == "" && !persisted || documentID != "" && persisted {
		return p, false
	}
	return p, !repeated(body)
}

// repeated reports whether a parameter occurs twice at the top level.
func repeated(body []byte) bool {
	dec, depth, key, count := json.NewDecoder(bytes.NewReader(body)), 0, false, map[any]int{}
	for {
		token, err := dec.Token()
		if err != nil {
			break
		}
		switch delim, _ := token.(json.Delim); delim {
		case '{', '[':
			depth++
			key = depth == 1
			continue
		case '}', ']':
			depth--
			key = true
			continue
		}
		if depth == 1 {
			if key {
				count[token]++
			}
			key = !key
		}
	}
	return slices.ContainsFunc([]any{"query", "documentId", "operationName", "variables", "extensions"},
		func(name any) bool {
			return count[name] > 1
		})
}
