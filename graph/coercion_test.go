package graph_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
)

// A mutation with an invalid value is refused before it runs, on every transport.
func TestMutationsDoNotRunPartially(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	c := srv.As(t, "ADMIN")
	c.Do(t, `mutation { updateProfile(input: {name: "before"}) { name } }`, nil).Into(t, &struct{}{})
	bearer := with("Authorization", "Bearer "+c.AccessToken)
	s := connect(t, srv, c.AccessToken)
	const rename = ` { updateProfile(input: {name: "after"}) { name sessions(`
	for _, test := range []struct{ document, variables, names string }{
		{`mutation($n: Int)` + rename + `first: $n) { totalCount } } }`, `{"n": "5"}`, `variable $n: "5" is not an Int`},
		{
			`mutation($n: Int)` + rename + `first: $n) { totalCount } } }`, `{"n": 2147483648}`,
			`first and last may ask for at most`,
		},
		{`mutation($n: Int)` + rename + `first: $n) { totalCount } } }`, `{"n": 5.5}`, `variable $n: 5.5 is not an Int`},
		{`mutation($n: Int!)` + rename + `first: $n) { totalCount } } }`, `{}`, `variable $n of type Int! was not provided`},
		{
			`mutation($n: String)` + rename + `after: $n) { totalCount } } }`, `{"n": 5}`,
			`variable $n: a number is not a String`,
		},
		{`mutation` + rename + `first: 2147483648) { totalCount } } }`, `{}`, `first and last may ask for at most`},
		{`mutation($scope: LogoutScope) { updateProfile(input: {name: "after"}) { name } logout(input: {scope: $scope}) { endedSessions } }`,
			`{"scope": null}`, `variable $scope of type LogoutScope! must not be null`},
	} {
		body, err := json.Marshal(map[string]any{"query": test.document, "variables": json.RawMessage(test.variables)})
		if err != nil {
			t.Fatal(err)
		}
		a := srv.Send(t, body, bearer, with("Accept", "application/graphql-response+json"))
		holdsContract(t, sdl(t), a)
		if a.Status != http.StatusBadRequest || a.Data != nil {
			t.Errorf("%s: status %d", test.document, a.Status)
		}
		s.send(`{"id": "1", "type": "subscribe", "payload": ` + string(body) + `}`)
		socket := s.receive()
		if !strings.Contains(socket, `"error"`) {
			t.Errorf("%s over a WebSocket: %s", test.document, socket)
		}
		events := (&leaks{T: t, srv: srv}).post(string(body), bearer, with("Accept", "text/event-stream"))
		for transport, answer := range map[string]string{
			"HTTP":        string(a.Body),
			"a WebSocket": socket,
			"events":      string(events.Body),
		} {
			if plain := strings.ReplaceAll(answer, `\"`, `"`); !strings.Contains(plain, test.names) ||
				strings.Contains(plain, `"data"`) {
				t.Errorf("%s over %s: %s", test.document, transport, answer)
			}
		}
	}
	var got struct{ Me struct{ Name string } }
	c.Do(t, `{ me { name } }`, nil).Into(t, &got)
	if got.Me.Name != "before" {
		t.Errorf("a mutation ran: the name is %q", got.Me.Name)
	}
}

// An emoji written as two escapes is one character, in a document and in JSON. One half is refused, and not stored as
// U+FFFD.
func TestSurrogatePairsAreOneCharacter(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	c := srv.As(t)
	bearer := with("Authorization", "Bearer "+c.AccessToken)
	for name, body := range map[string]string{
		"a literal":             `{"query": "mutation { updateProfile(input: {name: \"\\ud83d\\ude00\"}) { name } }"}`,
		"a literal with braces": `{"query": "mutation { updateProfile(input: {name: \"\\u{1F600}\"}) { name } }"}`,
		"a body":                `{"query": "mutation { updateProfile(input: {name: \"\ud83d\ude00\"}) { name } }"}`,
		"a variable":            `{"query": "mutation($n: String) { updateProfile(input: {name: $n}) { name } }", "variables": {"n": "\ud83d\ude00"}}`,
	} {
		if a := srv.Send(t, []byte(body), bearer); !strings.Contains(string(a.Data), `"name":"😀"`) {
			t.Errorf("%s: %s", name, a.Body)
		}
	}
	for body, code := range map[string]string{
		`{"query": "mutation { updateProfile(input: {name: \"\\ud83d\"}) { name } }"}`:                                                     "GRAPHQL_PARSE_FAILED",
		`{"query": "mutation { updateProfile(input: {name: \"\ud83d\"}) { name } }"}`:                                                      "BAD_USER_INPUT",
		`{"query": "mutation($n: String) { updateProfile(input: {name: $n}) { name } }", "variables": {"n": "\ude00 Ada"}}`:                "BAD_USER_INPUT",
		`{"query": "mutation($n: String) { updateProfile(input: {name: $n}) { name } }", "variables": {"n": "Ada", "more": ["\ud83d\n"]}}`: "BAD_USER_INPUT",
	} {
		a := srv.Send(t, []byte(body), bearer, with("Accept", "application/graphql-response+json"))
		if a.Status != http.StatusBadRequest || len(a.Errors) != 1 || a.Errors[0].Extensions.Code != code {
			t.Errorf("%s: %d %s", body, a.Status, a.Body)
		}
	}
}
