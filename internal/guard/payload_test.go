package guard_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const inside = `token person { id email caller diary { name } } diary { name } cage { recentOwner }`

const insideAlice = `"token":"token of alice","person":{"id":"alice","email":"alice@example.com","caller":"alice",` +
	`"diary":{"name":"diary"}},"diary":{"name":"diary"},"cage":{"recentOwner":"h"}`

// Below a payload that signs in, the caller is the payload's principal, regardless of the request's token.
func TestPayloadIsThePrincipalBelowIt(t *testing.T) {
	t.Parallel()
	s := serve(t, "public")
	who := people(t, s)
	for _, as := range []string{"", "expired", "revoked", "bob", "admin", "alice"} {
		t.Run("with the bearer of "+as, func(t *testing.T) {
			t.Parallel()
			var header []string
			if as != "" {
				header = []string{who[as]}
			}
			for _, test := range []struct{ query, want string }{
				{`mutation { enter(as: "alice") { ` + inside + ` } }`, `{"enter":{` + insideAlice + `}}`},
				{
					`mutation { enter(as: "bob") { person { caller email } cage { recentOwner } } }`,
					`{"enter":null} enter.cage.recentOwner NOT_OWNER`,
				},
				{
					`mutation { enter(as: "alice") { friend { person { caller email diary { name } } } } }`,
					`{"enter":{"friend":{"person":{"caller":"friend","email":"friend@example.com","diary":{"name":"diary"}}}}}`,
				},
				{
					`mutation { enter(as: "alice") { other { ... on Ticket { person { caller email } } } } }`,
					`{"enter":{"other":{"person":{"caller":"other","email":"other@example.com"}}}}`,
				},
				{
					`mutation { enter(as: "alice") { ...f } } fragment f on Ticket { t: token p: person { caller } }`,
					`{"enter":{"t":"token of alice","p":{"caller":"alice"}}}`,
				},
				{
					`{ pass { __typename ... on Ticket { person { caller email } } } }`,
					`{"pass":{"__typename":"Ticket","person":{"caller":"alice","email":"alice@example.com"}}}`,
				},
				{
					`{ tickets { token person { caller email } } }`,
					`{"tickets":[{"token":"token of alice","person":{"caller":"alice","email":"alice@example.com"}},null,` +
						`{"token":"token of bob","person":{"caller":"bob","email":"bob@example.com"}}]}`,
				},
				{`{ noTicket { token } }`, `{"noTicket":null}`},
				// A value without an owner does not belong to a principal without an id.
				{`mutation { enter(as: "") { diary { name } } }`, `{"enter":null} enter.diary ROLE_REQUIRED`},
			} {
				if got := s.ask(t, test.query, nil, header...).String(); got != test.want {
					t.Errorf("%s\n%s", test.query, cmp.Diff(test.want, got))
				}
			}
		})
	}
}

func TestSiblingsOfAPayloadAreJudgedByTheBearer(t *testing.T) {
	t.Parallel()
	s := serve(t, "public")
	who := people(t, s)
	for _, test := range []struct{ name, as, query, want string }{
		{"in the same object, without a token", "", `{ lobby { ticket { person { caller } } after { id } } }`,
			`{"lobby":null} lobby.after TOKEN_MISSING`},
		{"before it, without a token", "", `{ lobby { before { id } ticket { token } } }`,
			`{"lobby":null} lobby.before TOKEN_MISSING`},
		{"in the same object, for a user", "bob",
			`{ lobby { before { caller } ticket { person { caller } } after { caller } } }`,
			`{"lobby":{"before":{"caller":"bob"},"ticket":{"person":{"caller":"alice"}},"after":{"caller":"bob"}}}`},
		{"an owner's field, for another user", "bob", `{ lobby { ticket { person { email } } after { email } } }`,
			`{"lobby":null} lobby.after.email NOT_OWNER`},
		{"at the root, without a token", "", `{ pass { __typename } me { id } }`,
			`{"pass":{"__typename":"Ticket"},"me":null} me TOKEN_MISSING`},
		{"at the root, for a user", "bob", `{ pass { ... on Ticket { person { caller } } } me { caller id } }`,
			`{"pass":{"person":{"caller":"alice"}},"me":{"caller":"bob","id":"bob"}}`},
		{"at the root, with an expired token", "expired", `{ pass { ... on Ticket { person { caller } } } me { id } }`,
			`{"pass":{"person":{"caller":"alice"}},"me":null} me TOKEN_EXPIRED`},
		{"the next mutation, without a token", "", `mutation { enter(as: "kim") { token } feed }`, `feed TOKEN_MISSING`},
		{"the next mutation, for a user", "bob", `mutation { enter(as: "kim") { token } feed }`, `feed ROLE_REQUIRED`},
		{"the next element of a list", "", `{ tickets { person { email } diary { name } } }`,
			`{"tickets":[{"person":{"email":"alice@example.com"},"diary":{"name":"diary"}},null,` +
				`{"person":{"email":"bob@example.com"},"diary":{"name":"diary"}}]}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var header []string
			if test.as != "" {
				header = []string{who[test.as]}
			}
			if got := s.ask(t, test.query, nil, header...).String(); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestRefusedMutationsHaveNoPartialEffects(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, query string
		roles       bool
		opened, fed int32
		status      int
		want        string
		variables   map[string]any
	}{
		{name: "the last field is refused", query: `mutation { open feed }`, status: 401, want: `feed TOKEN_MISSING`},
		{name: "the first field is refused", query: `mutation { feed open }`, status: 401, want: `feed TOKEN_MISSING`},
		{name: "a field in a fragment is refused", query: `mutation { open ...f } fragment f on Keep { ... on Keep { f: ` +
			`feed } }`, status: 401, want: `f TOKEN_MISSING`},
		{name: "several fields are refused", query: `mutation { a: feed open b: feed }`, status: 401,
			want: `a TOKEN_MISSING, b TOKEN_MISSING`},
		{name: "an included field is refused", query: `mutation($x: Boolean!) { open feed @include(if: $x) }`,
			variables: map[string]any{"x": true}, status: 401, want: `feed TOKEN_MISSING`},
		{name: "the refused field is not included", query: `mutation($x: Boolean!) { open feed @include(if: $x) }`,
			variables: map[string]any{"x": false}, opened: 1, status: 200, want: `{"open":1}`},
		{name: "the refused field is skipped", query: `mutation { open ... @skip(if: true) { feed } }`, opened: 1,
			status: 200, want: `{"open":1}`},
		{name: "all fields are allowed", query: `mutation { __typename open feed }`, roles: true, opened: 1, fed: 1,
			status: 200, want: `{"__typename":"Keep","open":1,"feed":1}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "public")
			var header []string
			if test.roles {
				header = []string{"Bearer " + s.issue(t, s.claims("kim", "KEEPER"))}
			}
			a := s.ask(t, test.query, test.variables, header...)
			if a.Status != test.status || a.String() != test.want {
				t.Errorf("got %d %s\nwant %d %s", a.Status, a, test.status, test.want)
			}
			if opened, fed := s.Zoo.Opened.Load(), s.Zoo.Fed.Load(); opened != test.opened || fed != test.fed {
				t.Errorf("opened %d, fed %d; want %d, %d", opened, fed, test.opened, test.fed)
			}
		})
	}
}

func TestForbiddenErrorsContainTheRequirement(t *testing.T) {
	t.Parallel()
	s := serve(t, "public")
	c := s.claims("bob")
	c.AuthTime = c.AuthTime.Add(-time.Hour)
	bob := "Bearer " + s.issue(t, c)
	a := s.ask(t, `{ admin { text } cage { recentOwner } recent { text } }`, nil, bob)
	got := map[string]any{}
	for _, e := range a.Errors {
		got[e.Extensions.Code+" "+e.Extensions.Reason] = []any{e.Extensions.Requires.Roles, e.Extensions.Requires.MaxAge}
	}
	want := map[string]any{
		"FORBIDDEN ROLE_REQUIRED":    []any{[]string{"ADMIN"}, 0},
		"FORBIDDEN NOT_OWNER":        []any{[]string{"ADMIN"}, 60},
		"FORBIDDEN STEP_UP_REQUIRED": []any{[]string(nil), 300},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\n%s", a.Body, diff)
	}
}

func TestProofIsRecentUpToMaxAge(t *testing.T) {
	t.Parallel()
	s := serve(t, "public")
	bearer := "Bearer " + s.issue(t, s.claims("bob"))
	s.advance(t, 300*time.Second-time.Duration(s.Now().Nanosecond())) // claims have whole seconds
	if got, want := s.ask(t, `{ recent { text } }`, nil, bearer).String(), `{"recent":{"text":"Come in"}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	s.advance(t, time.Second)
	if got, want := s.ask(t, `{ recent { text } }`, nil, bearer).String(), `recent STEP_UP_REQUIRED`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
