package graph_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/config"
)

// introspection returns the query that tools send first, as graphql-js prints it with all options. deep is the number
// of nested ofType: 7 up to version 16, 9 since.
func introspection(deep int) string {
	return `query IntrospectionQuery { __schema { description
		queryType { name kind } mutationType { name kind } subscriptionType { name kind }
		types { ...FullType }
		directives { name description isRepeatable locations args(includeDeprecated: true) { ...InputValue } } } }
	fragment FullType on __Type { kind name description specifiedByURL isOneOf
		fields(includeDeprecated: true) {
			name description args(includeDeprecated: true) { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason
		}
		inputFields(includeDeprecated: true) { ...InputValue }
		interfaces { ...TypeRef }
		enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
		possibleTypes { ...TypeRef } }
	fragment InputValue on __InputValue {
		name description type { ...TypeRef } defaultValue isDeprecated deprecationReason
	}
	fragment TypeRef on __Type { kind name ` + strings.Repeat("ofType { kind name ", deep) + strings.Repeat("} ", deep) + `}`
}

func TestTheIntrospectionOfToolsPasses(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	for _, deep := range []int{7, 9} {
		var out struct {
			Schema struct{ Types []any } `json:"__schema"`
		}
		srv.Anonymous().Do(t, introspection(deep), nil).Into(t, &out)
		if len(out.Schema.Types) < 20 {
			t.Errorf("%d types", len(out.Schema.Types))
		}
	}
}

func TestCircularIntrospectionIsRefused(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	for _, query := range []string{
		`{ __schema { types { fields { type { fields { type { fields { type { name } } } } } } } } }`,
		`{ __type(name: "User") { ...A } } fragment A on __Type { fields { type { ...B } } } fragment B on __Type { inputFields { type { fields { name } } } }`,
	} {
		srv.Anonymous().Do(t, query, nil).Refused(t, "GRAPHQL_VALIDATION_FAILED", "INTROSPECTION_TOO_DEEP")
	}
}

func TestEachLimitIsASetting(t *testing.T) {
	t.Parallel()
	const me = `{ me { id } }`
	const list = `query($n: Int) { me { sessions(first: $n) { nodes { id } } } }`
	const login = `mutation($in: LoginInput!) { login(input: $in) { tokenType } }`
	for reason, test := range map[string]struct {
		set       func(*config.Queries)
		query     string
		variables string
	}{
		"DOCUMENT_TOO_LARGE": {func(q *config.Queries) { q.DocumentBytes = 12 }, me, `{}`},
		"TOO_MANY_ALIASES 1": {
			func(q *config.Queries) { q.IntrospectionAliases = 1 }, `{ a: __schema { b: types { name } } }`, `{}`,
		},
		"TOO_MANY_TOKENS":      {func(q *config.Queries) { q.Tokens = 5 }, me, `{}`},
		"TOO_DEEP":             {func(q *config.Queries) { q.Depth = 1 }, me, `{}`},
		"TOO_MANY_FIELDS":      {func(q *config.Queries) { q.Fields = 1 }, me, `{}`},
		"TOO_MANY_ALIASES":     {func(q *config.Queries) { q.Aliases = 1 }, `{ a: me { b: id } }`, `{}`},
		"TOO_MANY_REPEATS":     {func(q *config.Queries) { q.Repeats = 1 }, `{ me { id id } }`, `{}`},
		"TOO_MANY_REPEATS 1":   {func(q *config.Queries) { q.RepeatPairs = 1 }, `{ me { id id name name } }`, `{}`},
		"TOO_MANY_ROOT_FIELDS": {func(q *config.Queries) { q.RootFields = 1 }, `{ __typename me { id } }`, `{}`},
		"TOO_MANY_DIRECTIVES": {
			func(q *config.Queries) { q.Directives = 1 }, `{ me @skip(if: false) { id @skip(if: false) } }`, `{}`,
		},
		"TOO_MANY_DIRECTIVES 1": {
			func(q *config.Queries) { q.ElementDirectives = 1 }, `{ me @skip(if: false) @include(if: true) { id } }`, `{}`,
		},
		"TOO_MANY_ITEMS": {func(q *config.Queries) { q.ListItems = 9 }, list, `{"n": 10}`},
		"TOO_MANY_ITEMS 1": {
			func(q *config.Queries) { q.ListItems = 9 }, `{ me { sessions(last: 10) { nodes { id } } } }`, `{}`,
		},
		"INPUT_TOO_DEEP": {func(q *config.Queries) { q.InputDepth = 1 }, login, `{"in": {"email": [1]}}`},
		"INPUT_TOO_DEEP 1": {
			func(q *config.Queries) { q.InputDepth = 1 }, `mutation { login(input: {email: [1]}) { tokenType } }`, `{}`,
		},
		"VARIABLES_TOO_LARGE": {
			func(q *config.Queries) { q.VariableBytes = 10 }, login, `{"in": {"email": "a@example.com"}}`,
		},
		"VARIABLES_TOO_LARGE 1": {
			func(q *config.Queries) { q.VariableValues = 2 }, login, `{"in": {"email": "a", "password": "b"}}`,
		},
		"INTROSPECTION_TOO_DEEP": {
			func(q *config.Queries) { q.IntrospectionDepth = 1 },
			`{ __schema { types { fields { type { interfaces { name } } } } } }`, `{}`,
		},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			srv := apptest.Start(t, func(o *apptest.Options) { test.set(&o.Config.Queries) })
			body := fmt.Sprintf(`{"query": %s, "variables": %s}`, quoted(test.query), test.variables)
			a := srv.Send(t, []byte(body))
			code := "GRAPHQL_VALIDATION_FAILED"
			if reason == "TOO_MANY_TOKENS" {
				code = "GRAPHQL_PARSE_FAILED"
			}
			want, _, _ := strings.Cut(reason, " ")
			a.Refused(t, code, want)
			if a.Status != http.StatusBadRequest || a.Data != nil {
				t.Errorf("status %d: %s", a.Status, a.Body)
			}
			holdsContract(t, sdl(t), a)
		})
	}
}

func TestExtensionsAreBounded(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(
		t, func(o *apptest.Options) { o.Config.Queries.VariableBytes, o.Config.Queries.VariableValues = 20, 30 },
	)
	for extensions, reason := range map[string]string{
		`{"a": [1, 2, 3]}`:                                                 "",
		`{"a": "12345678901234567890"}`:                                    "EXTENSIONS_TOO_LARGE",
		`{"a": [` + strings.Repeat("[],", 30) + `[]]}`:                     "EXTENSIONS_TOO_LARGE",
		`{"a": ` + strings.Repeat("[", 21) + strings.Repeat("]", 21) + `}`: "INPUT_TOO_DEEP",
	} {
		a := srv.Send(t, []byte(`{"query": "{ __typename }", "extensions": `+extensions+`}`))
		if reason == "" && len(a.Errors) > 0 {
			t.Errorf("%s: %s", extensions, a.Body)
		} else if reason != "" {
			a.Refused(t, "GRAPHQL_VALIDATION_FAILED", reason)
			holdsContract(t, sdl(t), a)
		}
	}
}

// A document that has passed is not checked again, but the variables are.
func TestItemsAreCountedForEachRequest(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, func(o *apptest.Options) { o.Config.Queries.ListItems = 50 })
	c := srv.As(t)
	const list = `query($n: Int) { me { sessions(first: $n) { nodes { id } } } }`
	for range 2 {
		if a := c.Do(t, list, map[string]any{"n": 50}); len(a.Errors) > 0 {
			t.Errorf("at the limit: %s", a.Body)
		}
		c.Do(t, list, map[string]any{"n": 51}).Refused(t, "GRAPHQL_VALIDATION_FAILED", "TOO_MANY_ITEMS")
	}
}

func TestLimitsHoldForEveryTransport(t *testing.T) {
	t.Parallel()
	const deep = `{ me { id } }`
	srv := apptest.Start(t, func(o *apptest.Options) { o.Config.Queries.Depth = 1 })
	deepBody, err := json.Marshal(map[string]any{"query": deep, "extensions": hashed(hashOf(deep), 1)})
	if err != nil {
		t.Fatal(err)
	}
	byHash, err := json.Marshal(map[string]any{"extensions": hashed(hashOf(deep), 1)})
	if err != nil {
		t.Fatal(err)
	}
	get := func(r *http.Request) {
		r.Method, r.Body, r.ContentLength = http.MethodGet, nil, 0
		r.URL.RawQuery = url.Values{"query": {deep}}.Encode()
	}
	for range 2 { // a refused document is not cached as valid
		for name, a := range map[string]*apptest.Answer{
			"POST": srv.Send(t, deepBody), "GET": srv.Send(t, nil, get), "a persisted operation": srv.Send(t, byHash)} {
			if len(a.Errors) != 1 || a.Errors[0].Extensions.Reason != "TOO_DEEP" {
				t.Errorf("%s: %s", name, a.Body)
			}
		}
		if answer := events(t, srv, deep); !strings.Contains(answer, "TOO_DEEP") {
			t.Errorf("server-sent events: %s", answer)
		}
	}
	s := connect(t, srv, "")
	s.send(`{"id": "1", "type": "subscribe", "payload": {"query": "` + deep + `"}}`)
	if answer := s.receive(); !strings.Contains(answer, `"error"`) || !strings.Contains(answer, "TOO_DEEP") {
		t.Errorf("a WebSocket: %s", answer)
	}
}

// events posts a query for server-sent events and returns all of them.
func events(t *testing.T, srv *apptest.Server, query string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(
		t.Context(), http.MethodPost, srv.URL+"/graphql", strings.NewReader(`{"query": `+quoted(query)+`}`),
	)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestNothingIsSuggestedInProduction(t *testing.T) {
	t.Parallel()
	production := apptest.Start(t, func(o *apptest.Options) {
		o.Config.Production, o.Config.PublicURL, o.Config.BcryptCost = true, "https://api.example.com", 12
	})
	development := apptest.Start(t)
	for name, query := range map[string]string{
		"a field":        `{ mee { id } }`,
		"an argument":    `{ me { sessions(frist: 1) { totalCount } } }`,
		"a type":         `{ me { ...F } } fragment F on Usr { id }`,
		"an enum value":  `mutation { logout(input: {scope: CURENT}) { endedSessions } }`,
		"an input field": `mutation { login(input: {emial: "a", password: "b"}) { tokenType } }`,
		"a leaf":         `{ me }`,
	} {
		a := production.Anonymous().Do(t, query, nil)
		if len(a.Errors) == 0 || a.Errors[0].Extensions.Code != "GRAPHQL_VALIDATION_FAILED" {
			t.Errorf("%s: %s", name, a.Body)
		}
		silent(t, a, "did you mean")
		if a := development.Anonymous().Do(t, query, nil); !strings.Contains(string(a.Body), "Did you mean") {
			t.Errorf("%s, in development: %s", name, a.Body)
		}
	}
}

func TestIntIsANumber(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	c := srv.As(t)
	const list = `query($n: Int) { me { sessions(first: $n) { totalCount } } }`
	for _, n := range []any{"1", "", "x", true, 1.5, 1e10, 2147483648, []int{1}, map[string]any{}} {
		if a := c.Do(t, list, map[string]any{"n": n}); len(a.Errors) == 0 {
			t.Errorf("%#v passes as an Int: %s", n, a.Body)
		} else {
			holdsContract(t, sdl(t), a)
		}
	}
	for _, n := range []any{1, nil} {
		if a := c.Do(t, list, map[string]any{"n": n}); len(a.Errors) > 0 {
			t.Errorf("%#v: %s", n, a.Body)
		}
	}
}

func TestNumbersAreNotStrings(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	admin, c := srv.As(t, "ADMIN"), srv.As(t)
	const rename = `mutation($in: UpdateProfileInput!) { updateProfile(input: $in) { name } }`
	for name, answer := range map[string]*apptest.Answer{
		"an argument":  admin.Do(t, usersQuery, vars{"search": 5}),
		"in an input":  c.Do(t, rename, vars{"in": vars{"name": 5}}),
		"with a point": c.Do(t, rename, vars{"in": vars{"name": 1.5}}),
	} {
		answer.Refused(t, "BAD_USER_INPUT", "MALFORMED")
		holdsContract(t, sdl(t), answer)
		if answer.Status != http.StatusBadRequest {
			t.Errorf("%s: status %d", name, answer.Status)
		}
	}
	c.Do(t, rename, vars{"in": vars{"name": "5"}}).Into(t, &struct{}{})
	admin.Do(
		t, `query($id: ID!) { user(id: $id) { id } }`, vars{"id": 5},
	).Refused(t, "NOT_FOUND", "USER_NOT_FOUND") // an ID may be a number or a string
}

func TestEnumValuesOfVariablesAreSpelledExactly(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	admin, c := srv.As(t, "ADMIN"), srv.As(t)
	other := c.Login(t)
	for name, act := range map[string]func() *apptest.Answer{
		"an argument": func() *apptest.Answer { return admin.Do(t, usersQuery, vars{"role": "admin"}) },
		"in a list": func() *apptest.Answer {
			return admin.Do(t, setRoles, vars{"id": c.UserID, "roles": []string{"ADMIN", "admin"}})
		},
		"instead of a list": func() *apptest.Answer { return admin.Do(t, setRoles, vars{"id": c.UserID, "roles": "Admin"}) },
		"in an input": func() *apptest.Answer {
			return c.Do(
				t, `mutation($in: LogoutInput) { logout(input: $in) { endedSessions } }`, vars{"in": vars{"scope": "all"}},
			)
		},
		"in a list of an input": func() *apptest.Answer {
			return admin.Do(
				t, `mutation($in: SetRolesInput!) { setRoles(input: $in) { id } }`,
				vars{"in": vars{"id": c.UserID, "roles": "admin"}},
			)
		},
	} {
		answer := act()
		answer.Refused(t, "BAD_USER_INPUT", "MALFORMED")
		holdsContract(t, sdl(t), answer)
		if answer.Status != http.StatusBadRequest {
			t.Errorf("%s: status %d", name, answer.Status)
		}
	}
	for _, one := range []*apptest.Client{c, other} {
		one.Do(t, `{ me { roles } }`, nil).Into(t, &struct{}{}) // the token is neither stale nor revoked
	}
	admin.Do(t, setRoles, vars{"id": c.UserID, "roles": "ADMIN"}).Into(t, &struct{}{})
	c.Refresh(t)
	c.Do(
		t, `mutation($in: LogoutInput) { logout(input: $in) { endedSessions } }`, vars{"in": vars{"scope": "ALL"}},
	).Into(t, &struct{}{})
	other.Do(t, `{ me { id } }`, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_REVOKED")
}
