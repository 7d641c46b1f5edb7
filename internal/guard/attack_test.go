package guard_test

import (
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/token"
)

// people returns authorization headers by the caller's name. Anonymous callers have the name "".
func people(t *testing.T, s *server) map[string]string {
	t.Helper()
	as := func(c token.Claims, age time.Duration) string {
		c.AuthTime = s.Now().Add(-age)
		return "Bearer " + s.issue(t, c)
	}
	refused := s.refusedTokens(t, "alice", "ADMIN", "KEEPER")
	return map[string]string{
		"alice":     as(s.claims("alice"), 0),
		"bob":       as(s.claims("bob"), 0),
		"admin":     as(s.claims("root", "ADMIN"), 0),
		"old admin": as(s.claims("root", "ADMIN"), 301*time.Second),
		"keeper":    as(s.claims("kim", "KEEPER"), 0),
		"expired":   "Bearer " + refused["TOKEN_EXPIRED"],
		"revoked":   "Bearer " + refused["TOKEN_REVOKED"],
	}
}

func TestAttacks(t *testing.T) {
	t.Parallel()
	s := serve(t, "public")
	who := people(t, s)
	for _, test := range []struct {
		name, as, query string
		variables       map[string]any
		status          int
		want            string
	}{
		{name: "an unmarked type behind a public root", query: `{ cat { name } }`,
			status: 401, want: `cat TOKEN_MISSING`},
		{name: "an unmarked field of it with an alias", query: `{ c: cat { n: name } }`,
			status: 401, want: `c TOKEN_MISSING`},
		{name: "an unmarked field under a public one", query: `{ locker { number entry { text } } }`,
			status: 401, want: `locker.entry TOKEN_MISSING`},
		{name: "an unmarked type behind a public type", query: `{ poster { text cat { name } } }`,
			status: 401, want: `poster.cat TOKEN_MISSING`},
		{name: "behind an interface", query: `{ named(kind: "Dog") { name } }`,
			status: 200, want: `{"named":null} named.name TOKEN_MISSING`},
		{name: "behind an interface, as a value", query: `{ named(kind: "Dog value") { name } }`,
			status: 200, want: `{"named":null} named.name TOKEN_MISSING`},
		{name: "a public field of the same type", query: `{ named(kind: "Dog") { ... on Dog { tag } } }`,
			status: 200, want: `{"named":{"tag":12}}`},
		{name: "behind a union", query: `{ exhibit(kind: "Dog") { ... on Dog { tag name } } }`,
			status: 200, want: `{"exhibit":null} exhibit.name TOKEN_MISSING`},
		{name: "behind an interface of a union", query: `{ exhibit(kind: "Dog") { ... on Named { name } } }`,
			status: 200, want: `{"exhibit":null} exhibit.name TOKEN_MISSING`},
		{name: "in a named fragment",
			query:  `query { named(kind: "Dog") { ...f } } fragment f on Named { ... on Dog { tag } name }`,
			status: 200, want: `{"named":null} named.name TOKEN_MISSING`},
		{name: "in nested fragments", query: `query { named(kind: "Dog") { ...f } } fragment f on Named { ...g } fragment ` +
			`g on Dog { ... on Named { n: name } }`,
			status: 200, want: `{"named":null} named.n TOKEN_MISSING`},
		{name: "in a bare fragment", query: `{ ... { ... on Visit { named(kind: "Dog") { ... { name } } } } }`,
			status: 200, want: `{"named":null} named.name TOKEN_MISSING`},
		{name: "included by a variable", query: `query($yes: Boolean!) { named(kind: "Dog") { ... on Dog { tag } name ` +
			`@include(if: $yes) } }`, variables: map[string]any{"yes": true},
			status: 200, want: `{"named":null} named.name TOKEN_MISSING`},
		{name: "skipped by a variable", query: `query($yes: Boolean!) { named(kind: "Dog") { ... on Dog { tag } name ` +
			`@skip(if: $yes) } }`, variables: map[string]any{"yes": true},
			status: 200, want: `{"named":{"tag":12}}`},
		{name: "an object's roles behind an interface", as: "alice", query: `{ named(kind: "Vault") { name } }`,
			status: 403, want: `named ROLE_REQUIRED`},
		{name: "an object's roles behind an interface, as a value", as: "alice",
			query:  `{ named(kind: "Vault value") { name } }`,
			status: 403, want: `named ROLE_REQUIRED`},
		{name: "an object's roles behind a union", as: "alice", query: `{ exhibit(kind: "Vault") { ... on Vault { name } } }`,
			status: 403, want: `exhibit ROLE_REQUIRED`},
		{name: "an object's roles behind a union, as a value", as: "alice",
			query:  `{ exhibit(kind: "Vault value") { ... on Named { name } } }`,
			status: 403, want: `exhibit ROLE_REQUIRED`},
		{name: "an object's roles, with a role", as: "admin",
			query:  `{ named(kind: "Vault value") { name ... on Vault { secret } } }`,
			status: 200, want: `{"named":{"name":"vault","secret":"gold"}}`},
		{name: "an object's roles, with an expired token", as: "expired", query: `{ named(kind: "Vault") { name } }`,
			status: 401, want: `named TOKEN_EXPIRED`},
		{name: "a nil behind an interface", query: `{ named(kind: "nil Vault") { name } }`,
			status: 200, want: `{"named":null}`},
		{name: "an owner behind an interface", as: "alice", query: `{ named(kind: "Diary") { name } }`,
			status: 200, want: `{"named":{"name":"diary"}}`},
		{name: "another owner behind an interface", as: "bob", query: `{ named(kind: "Diary") { name } }`,
			status: 403, want: `named ROLE_REQUIRED`},
		{name: "another interface of the same type", as: "alice",
			query:  `{ secretive(kind: "Diary") { __typename ... on Named { name } secret } }`,
			status: 200, want: `{"secretive":null} secretive.secret ROLE_REQUIRED`},
		{name: "a value with the method on its pointer", as: "alice",
			query:  `{ named(kind: "Diary value") { name } row(kind: "Diary value") { name } }`,
			status: 200, want: `{"named":{"name":"diary"},"row":[{"name":"poster"},{"name":"diary"}]}`},
		{name: "another's value with the method on its pointer", as: "bob", query: `{ row(kind: "Diary value") { name } }`,
			status: 403, want: `row ROLE_REQUIRED`},
		{name: "a Go type with another name", as: "bob", query: `{ named(kind: "Bird") { name } }`,
			status: 403, want: `named ROLE_REQUIRED`},
		{name: "a value of a Go type with another name", as: "keeper",
			query:  `{ named(kind: "Bird value") { __typename name } }`,
			status: 200, want: `{"named":{"__typename":"Bird","name":"Tweety"}}`},
		{name: "a Go type that is not in the schema", as: "admin", query: `{ named(kind: "unheard of") { name } }`,
			status: 403, want: `named ROLE_REQUIRED`},
		{name: "__typename of a type", query: `{ cat { __typename } }`,
			status: 401, want: `cat TOKEN_MISSING`},
		{name: "__typename of a nullable type", query: `{ vault { __typename } }`,
			status: 401, want: `vault TOKEN_MISSING`},
		{name: "__typename with a role", as: "admin", query: `{ vault { __typename } }`,
			status: 200, want: `{"vault":{"__typename":"Vault"}}`},
		{name: "__typename of an owner's object", as: "bob", query: `{ diary { __typename } }`,
			status: 403, want: `diary ROLE_REQUIRED`},
		{name: "__typename of the caller's object", as: "alice", query: `{ diary { __typename } }`,
			status: 200, want: `{"diary":{"__typename":"Diary"}}`},
		{name: "__typename behind an interface", query: `{ named(kind: "Vault") { __typename } }`,
			status: 401, want: `named TOKEN_MISSING`},
		{name: "__typename behind a union", query: `{ exhibit(kind: "Cat") { __typename } }`,
			status: 401, want: `exhibit TOKEN_MISSING`},
		{name: "__typename of a partly public type", query: `{ exhibit(kind: "Dog") { __typename } }`,
			status: 200, want: `{"exhibit":{"__typename":"Dog"}}`},
		{name: "__typename in a list", query: `{ row(kind: "Vault") { __typename } }`,
			status: 401, want: `row TOKEN_MISSING`},
		{name: "__typename in a list of public types", query: `{ row(kind: "Dog") { __typename } }`,
			status: 200, want: `{"row":[{"__typename":"Poster"},{"__typename":"Dog"}]}`},
		{name: "__typename in a nested list", query: `{ nested { __typename } }`,
			status: 401, want: `nested TOKEN_MISSING`},
		{name: "__typename in a nested list, signed in", as: "bob", query: `{ nested { __typename } }`,
			status: 200, want: `{"nested":[[{"__typename":"Poster"},null],[{"__typename":"Cat"}]]}`},
		{name: "__typename in a nested list of unions", as: "bob", query: `{ exhibits { __typename } }`,
			status: 403, want: `exhibits ROLE_REQUIRED`},
		{name: "__typename of a union, with an alias", query: `{ exhibit(kind: "Vault") { t: __typename } }`,
			status: 401, want: `exhibit TOKEN_MISSING`},
		{name: "__typename with an old proof", as: "old admin", query: `{ safe { __typename } }`,
			status: 403, want: `safe STEP_UP_REQUIRED`},
		{name: "__typename with a recent proof", as: "admin", query: `{ safe { __typename gold } }`,
			status: 200, want: `{"safe":{"__typename":"Safe","gold":100}}`},
		{name: "owner by value, list and pointer", as: "alice", query: `{ entries { text cover } locker { content entry { ` +
			`text } maybe { text } } diary { entries { text cover } } }`,
			status: 403, want: `diary.entries.1.text NOT_OWNER, entries.1.text NOT_OWNER`},
		{name: "another owner by value, list and pointer", as: "bob",
			query:  `{ entries { text cover } locker { entry { text } } }`,
			status: 403, want: `entries.0.text NOT_OWNER, locker.entry.text NOT_OWNER`},
		{name: "a field for the owner", as: "bob", query: `{ locker { content } }`,
			status: 403, want: `locker.content NOT_OWNER`},
		{name: "a list with a null element", as: "alice", query: `{ diaries { name } }`,
			status: 200, want: `{"diaries":[{"name":"diary"},null,{"name":"diary"}]}`},
		{name: "a list of another owner's objects", as: "bob", query: `{ diaries { __typename } }`,
			status: 403, want: `diaries ROLE_REQUIRED`},
		{name: "a type without an owner", as: "alice", query: `{ stray { name } }`,
			status: 403, want: `stray NOT_OWNER`},
		{name: "a value without an owner", as: "alice", query: `{ locker { stray { name } } }`,
			status: 403, want: `locker.stray NOT_OWNER`},
		{name: "field marks replace their type's, without a token",
			query:  `{ cage { open inherited signedIn keeper either recent recentAdmin recentOwner } }`,
			status: 401, want: `cage.either TOKEN_MISSING, cage.inherited TOKEN_MISSING, cage.keeper TOKEN_MISSING, ` +
				`cage.recent TOKEN_MISSING, cage.recentAdmin TOKEN_MISSING, cage.recentOwner TOKEN_MISSING, cage.signedIn ` +
				`TOKEN_MISSING`},
		{name: "field marks replace their type's, for a user", as: "bob", query: `{ cage { open signedIn recent } }`,
			status: 200, want: `{"cage":{"open":"b","signedIn":"c","recent":"f"}}`},
		{name: "field marks replace their type's, for a keeper", as: "keeper", query: `{ cage { keeper either } }`,
			status: 200, want: `{"cage":{"keeper":"d","either":"e"}}`},
		{name: "field marks replace their type's, for the owner", as: "alice", query: `{ cage { recentOwner } }`,
			status: 200, want: `{"cage":{"recentOwner":"h"}}`},
		{name: "a stricter field of a public type", query: `{ poster { text price } }`,
			status: 401, want: `poster.price TOKEN_MISSING`},
		{name: "an old proof", as: "old admin", query: `{ recent { text } cage { inherited } }`,
			status: 200, want: `{"recent":null,"cage":{"inherited":"a"}} recent STEP_UP_REQUIRED`},
		{name: "an old proof with a sufficient role", as: "old admin", query: `{ cage { recentAdmin } }`,
			status: 403, want: `cage.recentAdmin STEP_UP_REQUIRED`},
		{name: "one of two roots refused", query: `{ __typename poster { text } me { id } }`,
			status: 200, want: `{"__typename":"Visit","poster":{"text":"Come in"},"me":null} me TOKEN_MISSING`},
		{name: "all roots refused", query: `{ a: me { id } b: admin { text } }`,
			status: 401, want: `a TOKEN_MISSING, b TOKEN_MISSING`},
		{name: "all roots refused, one for its role", as: "keeper", query: `{ admin { text } }`,
			status: 403, want: `admin ROLE_REQUIRED`},
		{name: "all roots refused but __typename", query: `{ __typename me { id } }`,
			status: 200, want: `{"__typename":"Visit","me":null} me TOKEN_MISSING`},
		{name: "__typename of the root", query: `{ __typename }`,
			status: 200, want: `{"__typename":"Visit"}`},
		{name: "a team's role", as: "keeper", query: `{ keeper { text } }`,
			status: 200, want: `{"keeper":{"text":"Come in"}}`},
		{name: "a subscription", query: `subscription { cats { name } }`,
			status: 200, want: `null cats TOKEN_MISSING`},
		{name: "a public subscription", query: `subscription { ticks }`,
			status: 200, want: `{"ticks":1}`},
		{name: "a public subscription to a guarded type", query: `subscription { strangers { __typename } }`,
			status: 200, want: `null strangers TOKEN_MISSING`},
		{name: "a subscription of a user", as: "bob", query: `subscription { strangers { name } }`,
			status: 200, want: `{"strangers":{"name":"Tom"}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var header []string
			if test.as != "" {
				header = []string{who[test.as]}
			}
			a := s.ask(t, test.query, test.variables, header...)
			if a.Status != test.status || a.String() != test.want {
				t.Errorf("got %d %s\nwant %d %s", a.Status, a, test.status, test.want)
			}
		})
	}
}
