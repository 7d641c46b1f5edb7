package attack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/graphwarden/graphwarden/bench/replica"
)

const (
	mebibyte = 1 << 20
	anyQuery = `"query": "{ __typename }"`
	events   = "text/event-stream"
)

// requestFloods returns floods of complete requests.
func requestFloods() []Flood {
	quick := append(replica.Unlimited(), "--insecure-bcrypt-cost")
	return []Flood{
		{Name: "2,000 documents of 1,900 tokens", run: documents(2000, 4, func(i int) string {
			return `{ ` + times(
				86,
				"a#: me { id email name username emailVerified createdAt roles disabled sessions { nodes { id ip userAgent } } }",
			) + fmt.Sprint("} # ", i)
		})},
		{Name: "100 documents of comments, 256 KB", run: documents(100, 4, func(i int) string {
			return "{ __typename }" + strings.Repeat("#\n", 131_000) + fmt.Sprint("# ", i)
		})},
		{Name: "200 persisted documents, 256 KB", run: persistedDocuments},
		{Name: "60 bodies of 1 MiB of []", run: bodiesAtOnce(60, "", values("[]"))},
		{Name: "60 bodies of 1 MiB of objects", run: bodiesAtOnce(60, "", values(`{"a":0}`))},
		{
			Name: "60 bodies of 1 MiB of members",
			run:  bodiesAtOnce(60, "", `{`+anyQuery+`, "variables": {`+members()+`"z": 0}}`),
		},
		{
			Name: "60 bodies of 1 MiB of extensions",
			run:  bodiesAtOnce(60, "", `{`+anyQuery+`, "extensions": {"a": [`+filled("[]")+`]}}`),
		},
		{
			Name: "60 bodies of 1 MiB of text",
			run:  bodiesAtOnce(60, "", `{`+anyQuery+`, "variables": {"a": "`+strings.Repeat("x", mebibyte-100)+`"}}`),
		},
		{Name: "60 bodies of 1 MiB of [] for events", run: bodiesAtOnce(60, events, values("[]"))},
		{Name: "80 large answers, 40 at once", Settings: quick, run: largeAnswers(80, 40)},
		{
			Name:     "200 introspections at once",
			Settings: []string{"--introspection=public", "--insecure-introspection"},
			run:      introspections,
		},
		{Name: "600 logins, passwords of 1,024 bytes", run: logins},
		{Name: "2,000 queries by GET, 14 KB", run: queryStrings},
	}
}

// values returns a body of one mebibyte whose variables contain as many values as fit.
func values(one string) string {
	return `{` + anyQuery + `, "variables": {"a": [` + filled(one) + `]}}`
}

func filled(one string) string {
	n := (mebibyte - 100) / (len(one) + 1)
	return strings.TrimSuffix(strings.Repeat(one+",", n), ",")
}

func members() string {
	var b strings.Builder
	for i := 0; b.Len() < mebibyte-100; i++ {
		fmt.Fprintf(&b, `"%x":0,`, i)
	}
	return b.String()
}

// post sends one body and counts the response.
func (t *Target) post(ctx context.Context, client *http.Client, accept, token, content string) error {
	change := []func(*http.Request){}
	if accept != "" {
		change = append(change, header("Accept", accept))
	}
	if token != "" {
		change = append(change, header("Authorization", "Bearer "+token))
	}
	return t.send(ctx, client, body("", "", content, change...), 0)
}

func (t *Target) send(ctx context.Context, client *http.Client, a Attack, n int) error {
	a.MayClose = true
	o, err := a.Send(ctx, client, t.URL, n)
	if err != nil && ctx.Err() == nil {
		return err
	}
	if err != nil {
		t.count("no answer")
		return nil
	}
	t.count(o.Verdict())
	return nil
}

// elsewhere dials from another loopback address, so that the limits per address do not affect the signed-in user.
var elsewhere = &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}

func manyConnections() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100, DialContext: elsewhere.DialContext}}
}

func bodiesAtOnce(n int, accept, content string) func(context.Context, *Target) error {
	return func(ctx context.Context, t *Target) error {
		client := manyConnections()
		defer client.CloseIdleConnections()
		for range 3 {
			if err := each(n, n, func(int) error { return t.post(ctx, client, accept, "", content) }); err != nil {
				return err
			}
		}
		return nil
	}
}

func documents(n, atATime int, document func(i int) string) func(context.Context, *Target) error {
	return func(ctx context.Context, t *Target) error {
		client := manyConnections()
		defer client.CloseIdleConnections()
		return each(n, atATime, func(i int) error {
			encoded, err := json.Marshal(map[string]string{"query": document(i)})
			if err != nil {
				return err
			}
			return t.post(ctx, client, "", t.Token, string(encoded))
		})
	}
}

func persistedDocuments(ctx context.Context, t *Target) error {
	client := manyConnections()
	defer client.CloseIdleConnections()
	return each(200, 8, func(i int) error {
		document := fmt.Sprintf(`{ __typename } # %d %s`, i, strings.Repeat("x", 250_000))
		encoded, err := json.Marshal(map[string]any{"query": document, "extensions": map[string]any{
			"persistedQuery": map[string]any{"version": 1, "sha256Hash": fmt.Sprintf("%x", sha256.Sum256([]byte(document)))}}})
		if err != nil {
			return err
		}
		return t.post(ctx, client, "", "", string(encoded))
	})
}

// largest returns a query for 60,000 fields: forty times all sessions of a user with a hundred sessions.
func largest() string {
	const one = "id createdAt lastSeenAt expiresAt ip userAgent current"
	return `{ ` + times(
		40,
		"a#: me { ...F }",
	) + `} fragment F on User { sessions(first: 100) { nodes { ` + one + ` } edges { cursor node { ` + one + ` } } } }`
}

func largeAnswers(n, atATime int) func(context.Context, *Target) error {
	return func(ctx context.Context, t *Target) error {
		if err := t.sessions(ctx, 99); err != nil {
			return err
		}
		encoded, err := json.Marshal(map[string]string{"query": largest()})
		if err != nil {
			return err
		}
		client := manyConnections()
		defer client.CloseIdleConnections()
		return each(n, atATime, func(int) error { return t.post(ctx, client, "", t.Token, string(encoded)) })
	}
}

func introspections(ctx context.Context, t *Target) error {
	const document = `{ __schema {
		types {
			kind name description
			fields(includeDeprecated: true) {
				name description
				args { name description type { name kind ofType { name } } defaultValue }
				type { kind name ofType { kind name ofType { kind name } } }
				isDeprecated deprecationReason
			}
			inputFields { name description type { name } defaultValue }
			interfaces { name }
			enumValues { name description }
			possibleTypes { name }
		}
		directives { name description locations args { name } }
	} }`
	encoded, err := json.Marshal(map[string]string{"query": document})
	if err != nil {
		return err
	}
	client := manyConnections()
	defer client.CloseIdleConnections()
	return each(600, 200, func(int) error { return t.post(ctx, client, "", "", string(encoded)) })
}

func logins(ctx context.Context, t *Target) error {
	client := manyConnections()
	defer client.CloseIdleConnections()
	return each(600, 200, func(i int) error {
		return t.post(
			ctx, client, "", "",
			fmt.Sprintf(
				`{"query": "mutation { login(input: {email: \"x%d@example.com\", password: \"%s\"}) { tokenType } }"}`, i,
				bytes.Repeat([]byte("x"), 1024),
			),
		)
	})
}

func queryStrings(ctx context.Context, t *Target) error {
	client := manyConnections()
	defer client.CloseIdleConnections()
	return each(2000, 200, func(i int) error {
		return t.send(
			ctx, client, get("", "", `{ `+times(90, "a#: __typename")+`} #`+strings.Repeat("x", 12_000)+fmt.Sprint(i)), i,
		)
	})
}
