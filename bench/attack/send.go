package attack

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// prepared returns a regular request, modified by change.
func prepared(method, url string, body io.Reader, change []func(*http.Request)) (*http.Request, error) {
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/graphql-response+json")
	for _, f := range change {
		f(r)
	}
	return r, nil
}

// query posts a document. Each try has another comment, because the server caches validated documents.
func query(name, want, document string, change ...func(*http.Request)) Attack {
	return Attack{Name: name, Want: want, request: func(url string, n int) (*http.Request, error) {
		encoded, err := json.Marshal(map[string]string{"query": fmt.Sprintf("%s # %d", document, n)})
		if err != nil {
			return nil, err
		}
		return prepared(http.MethodPost, url, bytes.NewReader(encoded), change)
	}}
}

func variables(name, want, document, variables string) Attack {
	return body(name, want, `{"query": "`+document+`", "variables": `+variables+`}`)
}

func body(name, want, content string, change ...func(*http.Request)) Attack {
	return Attack{Name: name, Want: want, request: func(url string, _ int) (*http.Request, error) {
		return prepared(http.MethodPost, url, strings.NewReader(content), change)
	}}
}

// endless is an infinite request body.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func bodies() []Attack {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(bytes.Repeat([]byte(" "), 10<<20)) // a bytes.Buffer never fails
	_ = z.Close()
	const honest = `{"query": "{ __typename }"}`
	huge := body("body of 10 MB", "413 BAD_USER_INPUT BODY_TOO_LARGE", honest+strings.Repeat(" ", 10<<20))
	chunked := Attack{
		Name: "endless body in chunks",
		Want: "413 BAD_USER_INPUT BODY_TOO_LARGE",
		request: func(url string, _ int) (*http.Request, error) {
			return prepared(http.MethodPost, url, endless{}, nil)
		},
	}
	huge.MayClose, chunked.MayClose = true, true
	return []Attack{
		huge, chunked,
		body("gzip of 10 MB", refusedType, packed.String(), header("Content-Encoding", "gzip")),
		body("text/plain", refusedType, honest, header("Content-Type", "text/plain")),
		body(
			"multipart", refusedType,
			"--b\r\nContent-Disposition: form-data; name=\"operations\"\r\n\r\n"+honest+"\r\n--b--\r\n",
			header("Content-Type", "multipart/form-data; boundary=b"),
		),
		body("no media type", refusedType, honest, header("Content-Type")),
		body("UTF-16", refusedType, honest, header("Content-Type", "application/json; charset=utf-16")),
		body("half of an object", refusedBody, `{"query": "{ __typename }", "variables": {"password": "hunter2`),
		body("two objects", refusedBody, honest+honest),
		body("query twice", refusedBody, `{"query": "{ __typename }", "query": "{ me { id } }"}`),
		body("query as a list", refusedBody, `{"query": ["{ __typename }"]}`),
		body("variables as a text", refusedBody, `{"query": "{ __typename }", "variables": "{}"}`),
		body("no UTF-8", refusedBody, "{\"query\": \"{ __typename } # \xff\"}"),
		body("nothing", refusedBody, ``),
		body("null", refusedBody, `null`),
		body("900 KB of [", refusedBody, strings.Repeat("[", 900_000)),
		body("900 KB of members", refusedSize, `{`+strings.Repeat(`"a": 1, `, 110_000)+`"query": "{ __typename }"}`),
	}
}

func persisted() []Attack {
	const hash = "0000000000000000000000000000000000000000000000000000000000000000"
	odd := func(name, want, extension string) Attack {
		return body("persisted: "+name, want, `{"query": "{ __typename }", "extensions": {"persistedQuery": `+extension+`}}`)
	}
	const malformed = "400 BAD_USER_INPUT MALFORMED"
	return []Attack{
		odd("another hash", malformed, `{"version": 1, "sha256Hash": "`+hash+`"}`),
		odd("a number", malformed, `1`),
		odd("a list", malformed, `[{"version": 1}]`),
		odd("a hash of numbers", malformed, `{"version": 1, "sha256Hash": [1, 2, 3]}`),
		odd("another version", malformed, `{"version": 2e308, "sha256Hash": "`+hash+`"}`),
		odd("a hash of 900 KB", malformed, `{"version": 1, "sha256Hash": "`+strings.Repeat("0", 900_000)+`"}`),
		body(
			"persisted: an unknown hash", "400 PERSISTED_QUERY_NOT_FOUND",
			`{"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "`+hash+`"}}}`,
		),
	}
}

func tokens() []Attack {
	const document = `{ me { id } }`
	segment := base64.RawURLEncoding.EncodeToString
	none := segment([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + segment([]byte(`{"sub":"1","exp":4102444800}`)) + "."
	huge := query("token: 1.5 MB", "431", document, header("Authorization", "Bearer "+strings.Repeat("a", 3<<19)))
	huge.MayClose = true
	// The token may exceed the server's limit, or that of HTTP headers.
	long := func(name, token string) Attack {
		a := query("token: "+name, "431 or "+refusedToken, document, header("Authorization", "Bearer "+token))
		a.MayClose = true
		return a
	}
	bearer := func(name string, values ...string) Attack {
		return query("token: "+name, refusedToken, document, header("Authorization", values...))
	}
	return []Attack{
		bearer("alg none", "Bearer "+none),
		bearer("garbage", "Bearer \x80\xff garbage"),
		bearer("two headers", "Bearer "+none, "Bearer "+none),
		long("50,000 dots", strings.Repeat(".", 50_000)),
		long("900 KB", strings.Repeat("a", 900_000)),
		bearer("Basic", "Basic YWRtaW46YWRtaW4="),
		bearer(
			"an algorithm of its own",
			"Bearer "+segment(
				[]byte(`{"alg":"HS256","kid":"../../../dev/null","jwk":{}}`),
			)+"."+segment(
				[]byte(`{}`),
			)+"."+segment(
				[]byte("x"),
			),
		),
		huge,
	}
}
