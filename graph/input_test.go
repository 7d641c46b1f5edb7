package graph_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

func TestMalformedRequestsAreRefusedClearly(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	s := sdl(t)
	c := srv.As(t)
	bearer := with("Authorization", "Bearer "+c.AccessToken)
	const me = `{"query": "{ me { id } }"}`
	for name, test := range map[string]struct {
		body         string
		change       []func(*http.Request)
		status       int
		code, reason string
	}{
		"malformed JSON": {
			`{"query": "{ me { id } }", "variables": {"password": "hunter2secret"`, nil, 400, "BAD_USER_INPUT", "BODY_MALFORMED",
		},
		"an empty body":        {``, nil, 400, "BAD_USER_INPUT", "BODY_MALFORMED"},
		"no query":             {`{}`, nil, 400, "BAD_USER_INPUT", "BODY_MALFORMED"},
		"a list of operations": {`[` + me + `]`, nil, 400, "BAD_USER_INPUT", "BODY_MALFORMED"},
		"two objects":          {me + me, nil, 400, "BAD_USER_INPUT", "BODY_MALFORMED"},
		"invalid UTF-8": {
			"{\"query\": \"{ me { id } } # hunter2secret\xff\"}", nil, 400, "BAD_USER_INPUT", "BODY_MALFORMED",
		},
		"variables as text": {
			`{"query": "{ me { id } }", "variables": "hunter2secret"}`, nil, 400, "BAD_USER_INPUT", "BODY_MALFORMED",
		},
		"text/plain": {
			me, []func(*http.Request){bearer, with("Content-Type", "text/plain")}, 415, "BAD_USER_INPUT",
			"UNSUPPORTED_MEDIA_TYPE",
		},
		"a form": {
			"query={me{id}}", []func(*http.Request){bearer, with("Content-Type", "application/x-www-form-urlencoded")}, 415,
			"BAD_USER_INPUT", "UNSUPPORTED_MEDIA_TYPE",
		},
		"no media type": {
			me, []func(*http.Request){bearer, with("Content-Type")}, 415, "BAD_USER_INPUT", "UNSUPPORTED_MEDIA_TYPE",
		},
		"no acceptable answer": {
			me, []func(*http.Request){bearer, with("Accept", "text/html")}, 406, "BAD_USER_INPUT", "NOT_ACCEPTABLE",
		},
		"a body of 10 MB": {
			`{"query": "` + strings.Repeat("hunter2secret ", 10<<20/14) + `"}`, nil, 413, "BAD_USER_INPUT", "BODY_TOO_LARGE",
		},
		"an unknown operation": {
			`{"query": "query A { me { id } } query B { me { id } }", "operationName": "C"}`, nil, 400,
			"GRAPHQL_VALIDATION_FAILED", "",
		},
		"an endless name": {
			`{"query": "query A { me { id } }", "operationName": "` + strings.Repeat("c", 500_000) + `"}`, nil, 400,
			"GRAPHQL_VALIDATION_FAILED", "",
		},
		"an unknown field": {`{"query": "{ you { id } }"}`, nil, 400, "GRAPHQL_VALIDATION_FAILED", ""},
		"an endless field": {
			`{"query": "{ ` + strings.Repeat("c", 500_000) + ` }"}`, nil, 400, "GRAPHQL_VALIDATION_FAILED", "DOCUMENT_TOO_LARGE",
		},
		"a long field": {
			`{"query": "{ ` + strings.Repeat("c", 200_000) + ` }"}`, nil, 400, "GRAPHQL_VALIDATION_FAILED", "",
		},
		"not GraphQL":           {`{"query": "SELECT * FROM users"}`, nil, 400, "GRAPHQL_PARSE_FAILED", ""},
		"a NUL in the document": {`{"query": "{ me { id } } \u0000"}`, nil, 400, "GRAPHQL_PARSE_FAILED", ""},
		"too many tokens": {
			`{"query": "{` + strings.Repeat(" me", 2001) + ` }"}`, nil, 400, "GRAPHQL_PARSE_FAILED", "TOO_MANY_TOKENS",
		},
		"a subscription": {`{"query": "subscription { me { id } }"}`, nil, 400, "GRAPHQL_VALIDATION_FAILED", ""},
		"two Authorization": {
			me, []func(*http.Request){with("Authorization", "Bearer "+c.AccessToken, "Bearer "+c.AccessToken)}, 401,
			"UNAUTHENTICATED", "TOKEN_INVALID",
		},
		"two tokens in one header": {
			me, []func(*http.Request){with("Authorization", "Bearer "+c.AccessToken+", Bearer "+c.AccessToken)}, 401,
			"UNAUTHENTICATED", "TOKEN_INVALID",
		},
		"Basic authorization": {
			me, []func(*http.Request){with("Authorization", "Basic aHVudGVyMjpzZWNyZXQ=")}, 401, "UNAUTHENTICATED",
			"TOKEN_INVALID",
		},
		"a token with a tail": {
			me, []func(*http.Request){with("Authorization", "Bearer "+c.AccessToken+" x")}, 401, "UNAUTHENTICATED",
			"TOKEN_INVALID",
		},
		"a token of 30 KB": {
			me, []func(*http.Request){with("Authorization", "Bearer "+strings.Repeat("a", 30_000))}, 401, "UNAUTHENTICATED",
			"TOKEN_INVALID",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := srv.Send(t, []byte(test.body), test.change...)
			if len(a.Errors) != 1 {
				t.Fatalf("%d errors: %.500s", len(a.Errors), a.Body)
			}
			got := fmt.Sprint(a.Status, a.Errors[0].Extensions.Code, a.Errors[0].Extensions.Reason)
			if diff := cmp.Diff(fmt.Sprint(test.status, test.code, test.reason), got); diff != "" {
				t.Errorf("%s%.500s", diff, a.Body)
			}
			holdsContract(t, s, a)
			silent(t, a, "hunter2secret")
		})
	}
}

func TestATokenOfOneMegabyteIsOnlyInactive(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	for _, raw := range []string{strings.Repeat("a", 1<<20-200), strings.Repeat(".", 1<<20-200)} {
		var out struct{ VerifyToken struct{ Active *bool } }
		srv.Anonymous().Do(
			t, `query($t: String!) { verifyToken(token: $t) { active } }`, map[string]any{"t": raw},
		).Into(t, &out)
		if out.VerifyToken.Active == nil || *out.VerifyToken.Active {
			t.Errorf("active: %v", out)
		}
		a := srv.Anonymous().Redeem(t, raw)
		a.Refused(t, "UNAUTHENTICATED", "REFRESH_INVALID")
	}
}

func TestTokensAreNotVerifiedOverGET(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	c := srv.As(t)
	query := url.Values{
		"query":     {`query($t: String!) { verifyToken(token: $t) { active } }`},
		"variables": {`{"t": "` + c.AccessToken + `"}`},
	}
	a := srv.Send(t, nil, func(r *http.Request) {
		r.Method, r.URL.RawQuery, r.Body, r.ContentLength = http.MethodGet, query.Encode(), nil, 0
	})
	a.Refused(t, "BAD_USER_INPUT", "POST_REQUIRED")
	silent(t, a, c.AccessToken)
}

// injections are texts with a special meaning to a database, a shell, a template or a terminal.
var injections = []string{
	`'`, `''`, `"`, `\`, `' OR '1'='1`, `' OR 1=1--`, `' OR 1=1#`, `' OR 1=1/*`, `') OR ('1'='1`, `" OR ""="`, `1 OR 1=1`,
	`1; DROP TABLE users`,
	`'; DROP TABLE users; --`, `'); DELETE FROM sessions; --`, `' UNION SELECT password_hash FROM users --`,
	`' UNION ALL SELECT NULL,NULL,NULL--`,
	`admin'--`, `admin' #`, `admin'/*`, `'||(SELECT version())||'`, `'+(SELECT 1)+'`, `' AND SLEEP(5)--`,
	`'; SELECT pg_sleep(5); --`, `1' AND (SELECT randomblob(1000000000))--`,
	`'; WAITFOR DELAY '0:0:5'--`, `%`, `_`, `%' OR email_key LIKE '%`, `$1`, `$2`, `?`, `:name`, `@name`, `{{7*7}}`,
	`${7*7}`, `$(sleep 5)`, "`sleep 5`", `| sleep 5`, `../../etc/passwd`,
}

// hostile returns JSON values for an argument of the named type.
func hostile(named string) []string {
	values := []string{
		`null`, `true`, `-1`, `0`, `2147483648`, `-2147483649`, `9223372036854775808`, `99999999999999999999999999`, `1e400`,
		`1.5`, `[]`, `[[]]`, `{}`, `{"a": {"b": []}}`,
	}
	if named == "Int" {
		return append(values, `"1"`, `"' OR 1=1--"`)
	}
	for _, text := range append(injections, "\x00", "a\x00b", "\x00"+uuid.Nil.String()+"\x00", "\x1b[31m", "\u202e", "\ufffe", strings.Repeat("a", 100_000), "😀", "a\r\nSet-Cookie: a=b") {
		values = append(values, quoted(text))
	}
	return append(values, `"\ud800"`, `"\udfff\ud800"`, `"a\ud83d"`)
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// leaf is a scalar or enum somewhere in the arguments of a field.
type leaf struct {
	path     []string
	kind     string
	nullable bool
}

// leaves returns all leaves of a field's arguments, and harmless the values that contain all of them.
func leaves(s *ast.Schema, args ast.ArgumentDefinitionList) (found []leaf, harmless map[string]any) {
	harmless = map[string]any{}
	var walk func(path []string, typ *ast.Type, into map[string]any)
	walk = func(path []string, typ *ast.Type, into map[string]any) {
		name := path[len(path)-1]
		def := s.Types[typ.Name()]
		switch {
		case def.Kind == ast.InputObject:
			below := map[string]any{}
			into[name] = below
			for _, field := range def.Fields {
				walk(append(slices.Clone(path), field.Name), field.Type, below)
			}
			return
		case def.Kind == ast.Enum:
			into[name] = def.EnumValues[0].Name
		case def.Name == "Int":
			into[name] = 1
		case def.Name == "JSON":
			into[name] = map[string]any{}
		default:
			into[name] = "harmless"
		}
		found = append(found, leaf{path, def.Name, !typ.NonNull})
	}
	for _, arg := range args {
		walk([]string{arg.Name}, arg.Type, harmless)
	}
	return found, harmless
}

// set returns a copy of value with one leaf replaced.
func set(value map[string]any, path []string, leaf json.RawMessage) map[string]any {
	value = maps.Clone(value)
	if len(path) == 1 {
		value[path[0]] = leaf
	} else {
		value[path[0]] = set(value[path[0]].(map[string]any), path[1:], leaf)
	}
	return value
}

// operation is a field with arguments, as a document with variables.
type operation struct {
	name     string
	document string
	leaves   []leaf
	harmless map[string]any
}

func operations(s *ast.Schema) (list []operation) {
	make := func(kind, before, after string, field *ast.FieldDefinition) {
		var declared, passed []string
		for _, arg := range field.Arguments {
			declared = append(declared, "$"+arg.Name+": "+arg.Type.String())
			passed = append(passed, arg.Name+": $"+arg.Name)
		}
		selection := ""
		if def := s.Types[field.Type.Name()]; def.IsCompositeType() {
			selection = " { __typename }"
		}
		o := operation{name: field.Name}
		o.document = fmt.Sprintf(
			"%s(%s) { %s%s(%s)%s%s }", kind, strings.Join(declared, ", "), before, field.Name, strings.Join(passed, ", "),
			selection, after,
		)
		o.leaves, o.harmless = leaves(s, field.Arguments)
		list = append(list, o)
	}
	for kind, root := range map[string]*ast.Definition{"query": s.Query, "mutation": s.Mutation} {
		for _, field := range root.Fields {
			if len(field.Arguments) > 0 && !strings.HasPrefix(field.Name, "__") {
				make(kind, "", "", field)
			}
		}
	}
	for _, field := range s.Types["User"].Fields {
		if len(field.Arguments) > 0 {
			make("query", "me { ", " }", field)
		}
	}
	return list
}

// Every argument in the SDL gets every hostile value, as a variable and, where possible, as a literal.
func TestHostileValuesInEveryArgument(t *testing.T) {
	t.Parallel()
	s := sdl(t)
	storetest.URLs(t, func(t *testing.T, url string) {
		srv := apptest.Start(t, apptest.Database(url))
		victim, c := srv.As(t), srv.As(t, "ADMIN") // an administrator, so that every argument reaches its resolver
		before := rows(t, srv, victim)
		sent := 0
		for _, o := range operations(s) {
			for _, l := range o.leaves {
				for _, value := range hostile(l.kind) {
					if value == "null" && l.nullable {
						continue // like no value: logout would end the caller's session
					}
					body, err := json.Marshal(map[string]any{
						"query":     o.document,
						"variables": set(o.harmless, l.path, json.RawMessage(value)),
					})
					if err != nil {
						t.Fatal(err)
					}
					a := srv.Send(t, body, with("Authorization", "Bearer "+c.AccessToken))
					holdsContract(t, s, a)
					var text string
					if json.Unmarshal([]byte(value), &text) == nil && len(text) > 8 {
						silent(t, a, text)
					}
					if t.Failed() {
						t.Fatalf("%s %v = %.200s: %.500s", o.name, l.path, value, a.Body)
					}
					sent++
				}
			}
		}
		if sent < 500 {
			t.Errorf("only %d requests", sent)
		}
		if diff := cmp.Diff(before, rows(t, srv, victim)); diff != "" {
			t.Error(diff)
		}
		victim.Do(t, `{ me { id } }`, nil).Into(t, &struct{}{})
	})
}

// rows returns the number of rows per table, and the complete account of a user.
func rows(t *testing.T, srv *apptest.Server, c *apptest.Client) map[string]string {
	t.Helper()
	state := map[string]string{}
	for name, query := range map[string]string{
		"users": "SELECT CAST(count(*) AS TEXT) FROM users", "sessions": "SELECT CAST(count(*) AS TEXT) FROM sessions",
		"revocations":  "SELECT CAST(count(*) AS TEXT) FROM revocations",
		"signing keys": "SELECT CAST(count(*) AS TEXT) FROM signing_keys",
		"account": "SELECT email || '|' || email_key || '|' || COALESCE(username, '') || '|' || name || '|' || roles || '|' || password_hash || '|' || CAST(version AS TEXT) FROM users WHERE id = '" +
			string(c.UserID) + "'",
	} {
		var value string
		if err := srv.App.DB.Get(t.Context(), &value, query); err != nil {
			t.Fatal(err)
		}
		state[name] = value
	}
	return state
}

func TestIntegersOutOfRangeAreRefused(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	s := sdl(t)
	c := srv.As(t)
	for _, first := range []string{
		"2147483648", "9223372036854775808", "99999999999999999999999999", "1.5", "1e400", "-1", "0", "101", "true", "[1, 2]",
	} {
		for _, body := range []string{
			`{"query": ` + strconv.Quote("{ me { sessions(first: "+first+") { totalCount } } }") + `}`,
			`{"query": "query($n: Int) { me { sessions(first: $n) { totalCount } } }", "variables": {"n": ` + first + `}}`,
		} {
			a := srv.Send(t, []byte(body), with("Authorization", "Bearer "+c.AccessToken))
			holdsContract(t, s, a)
			if len(a.Errors) == 0 {
				t.Errorf("%s: %s", body, a.Body)
			}
		}
	}
}

// The answer to an invalid query must not quote values from it, because they may be passwords.
func TestValuesAreNotEchoed(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	s := sdl(t)
	const secret = "hunter2secret"
	inLogin := func(password string) string {
		return `mutation { login(input: {email: "a@example.com", password: ` + password + `}) { tokenType } }`
	}
	for _, document := range []string{
		inLogin(`31415926`), inLogin(`3.1415926`), inLogin(`-31415926`), inLogin(secret), inLogin(`["` + secret + `"]`),
		inLogin(`[31415926, ` + secret + `]`),
		inLogin(`{a: "` + secret + `"}`), inLogin(`"` + secret), inLogin(`"\u12` + secret + `"`),
		inLogin(`"\x` + secret + `"`), inLogin(`"""` + secret), inLogin(`"a" "` + secret + `"`),
		inLogin(`"a", "` + secret + `"`), inLogin("\"a\n" + secret + `"`), inLogin(`"a" 31415926`),
		inLogin(`31415926` + secret), inLogin(`0` + `31415926`), inLogin(`'` + secret + `'`),
		`mutation { login(input: "` + secret + `") { tokenType } }`,
		`mutation { login(input: ` + secret + `) { tokenType } }`, `mutation { login(input: 31415926) { tokenType } }`,
		`mutation { login(input: {email: "a@example.com", password "` + secret + `"}) { tokenType } }`,
		`mutation { login("` + secret + `") { tokenType } }`,
		`mutation { logout(input: {scope: ` + secret + `}) { endedSessions } }`,
		`mutation { logout(input: {scope: "` + secret + `"}) { endedSessions } }`,
		`query($a: LogoutScope = ` + secret + `) { __typename }`, `{ __typename @include(if: "` + secret + `") }`,
		`{ __typename @include(if: ` + secret + `) }`,
		`{ verifyToken(token: 31415926) { active } }`, `{ verifyToken(token: ` + secret + `) { active } }`,
		`"` + secret + `"`, `31415926`, secret, `{ me { sessions(first: "` + secret + `") { totalCount } } }`,
		`{ __typename } "` + secret + `"`, `{ __typename } ` + secret, `{ me(: "` + secret + `") }`,
		`{ me { sessions(after: 31415926.5) { totalCount } } }`,
	} {
		a := srv.Anonymous().Do(t, document, nil)
		if len(a.Errors) == 0 {
			t.Errorf("%s was accepted", document)
		}
		holdsContract(t, s, a)
		silent(t, a, secret, "31415926", "3.1415926")
		if t.Failed() {
			t.Fatal(document)
		}
	}
	for _, variables := range []string{
		`{"in": "` + secret + `"}`, `{"in": 31415926}`, `{"in": {"email": 31415926, "password": "` + secret + `"}}`,
		`{"in": {"password": ["` + secret + `"]}}`,
		`{"in": {"password": {"` + "a" + `": "` + secret + `"}}}`, `{"in": ["` + secret + `"]}`,
		`{"in": {"scope": "` + secret + `"}}`, `{"scope": "` + secret + `"}`, `{"scope": 31415926}`,
		`{"scope": ["` + secret + `"]}`,
	} {
		for _, document := range []string{`mutation($in: LoginInput!) { login(input: $in) { tokenType } }`, `mutation($in: LogoutInput!) { logout(input: $in) { endedSessions } }`,
			`mutation($scope: LogoutScope!) { logout(input: {scope: $scope}) { endedSessions } }`} {
			a := srv.Send(t, []byte(`{"query": `+strconv.Quote(document)+`, "variables": `+variables+`}`))
			holdsContract(t, s, a)
			silent(t, a, secret, "31415926")
			if t.Failed() {
				t.Fatal(document, variables)
			}
		}
	}
}

// A name in a query can be very long, but the refusal is short.
func TestRefusalsAreShort(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	long := strings.Repeat("ä", 100_000)
	a := srv.Anonymous().Do(
		t, `mutation($in: LoginInput!) { login(input: $in) { tokenType } }`,
		map[string]any{"in": map[string]any{"email": "a", "password": "b", long: 1}},
	)
	holdsContract(t, sdl(t), a)
	if want := "variable $in." + strings.Repeat("ä", 50) + "… is not a field of LoginInput"; len(a.Errors) != 1 ||
		a.Errors[0].Message != want {
		t.Errorf("%d bytes: %.1000s", len(a.Body), a.Body)
	}
}

func TestMessagesStillHelp(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	for document, want := range map[string]string{
		`{ you }`: `Cannot query field "you" on type "Query".`,
		`mutation { login(input: {email: "a", password: 1}) { tokenType } }`: `argument input.password of login: a number is not a String`,
		`mutation { logout(input: {scope: OTHER}) { endedSessions } }`:       `argument input.scope of logout: a name is not a value of the enum LogoutScope. Did you mean "OTHERS"?`,
		`{ me { id `:                                 `Expected Name, found <EOF>`,
		`{ me { id } } }`:                            `Unexpected }`,
		`{ verifyToken { active } }`:                 `Field "verifyToken" argument "token" of type "String!" is required, but it was not provided.`,
		`mutation { login(input: 1) { tokenType } }`: `argument input of login: a number is not an object of type LoginInput`,
	} {
		a := srv.Anonymous().Do(t, document, nil)
		if len(a.Errors) == 0 || !strings.HasPrefix(a.Errors[0].Message, want) {
			t.Errorf("%s: %s, want %s", document, a.Body, want)
		}
	}
}
