package attack

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

const (
	refusedDocument = "400 GRAPHQL_VALIDATION_FAILED"
	refusedParse    = "400 GRAPHQL_PARSE_FAILED"
	refusedBody     = "400 BAD_USER_INPUT BODY_MALFORMED"
	refusedSize     = "413 BAD_USER_INPUT BODY_TOO_LARGE"
	refusedType     = "415 BAD_USER_INPUT UNSUPPORTED_MEDIA_TYPE"
	refusedToken    = "401 UNAUTHENTICATED TOKEN_INVALID"
)

// All returns all attacks. Those of scanner are graphql-cop's.
func All() []Attack {
	var all []Attack
	for _, group := range [][]Attack{scanner(), bombs(), inputs(), bodies(), persisted(), tokens()} {
		all = append(all, group...)
	}
	return all
}

func scanner() []Attack {
	return []Attack{
		query("alias overloading, 101", refusedDocument+" TOO_MANY_ROOT_FIELDS", `{ `+times(101, "a#: __typename")+`}`),
		body(
			"array batch, 10", refusedBody, `[`+strings.TrimSuffix(strings.Repeat(`{"query": "{ __typename }"},`, 10), ",")+`]`,
		),
		query("circular introspection", refusedDocument+" INTROSPECTION_TOO_DEEP",
			`{ __schema { types { fields { type { fields { type { fields { type { fields { type { name } } } } } } } } } } }`),
		query("directive overloading, 10", refusedDocument+" TOO_MANY_DIRECTIVES", `{ __typename `+times(10, "@aa")+`}`),
		query("field duplication, 500", refusedDocument+" TOO_MANY_REPEATS", `{ `+times(500, "__typename")+`}`),
		query("suggestion of a field", refusedDocument, `{ mee { id } }`),
		query("suggestion of an argument", refusedDocument, `{ verifyToken(tokn: "x") { active } }`),
		query(
			"suggestion of an enum value", refusedDocument, `mutation { logout(input: {scope: CURENT}) { endedSessions } }`,
		),
		get("mutation by GET", "405 BAD_USER_INPUT POST_REQUIRED", `mutation { __typename }`),
		body("form", refusedType, "query=%7B__typename%7D", header("Content-Type", "application/x-www-form-urlencoded")),
		get("GraphiQL at the endpoint", "406 BAD_USER_INPUT NOT_ACCEPTABLE", `{ __typename }`, header("Accept", "text/html")),
		query("tracing", "200", `{ __typename }`, header("X-Apollo-Tracing", "1")),
		query("unhandled error", refusedParse, `qwerty cop { abc }`),
		query("introspection", "403 FORBIDDEN INTROSPECTION_DISABLED", `{ __schema { types { name } } }`),
	}
}

func bombs() []Attack {
	var nested, chain strings.Builder
	for i := range 22 {
		fmt.Fprintf(&nested, " fragment F%d on Query { ...F%d ...F%d }", i, i+1, i+1)
	}
	for i := range 150 {
		fmt.Fprintf(&chain, " fragment F%d on Query { ...F%d __typename }", i, i+1)
	}
	const end = ` fragment F22 on Query { __typename }`
	return []Attack{
		query("22 nested double spreads", refusedDocument+" TOO_MANY_FIELDS", `{ ...F0 }`+nested.String()+end),
		query("the same below __schema", refusedDocument+" TOO_MANY_FIELDS", `{ __schema { ...F0 } }`+nested.String()+end),
		query("the same, never spread", refusedDocument+" TOO_MANY_FIELDS", `{ __typename }`+nested.String()+end),
		query(
			"150 fragments in a chain", refusedDocument+" TOO_DEEP",
			`{ ...F0 }`+chain.String()+` fragment F150 on Query { __typename }`,
		),
		query(
			"circular fragments", refusedDocument,
			`{ ...A } fragment A on Query { ...B ...B } fragment B on Query { ...A ...A }`,
		),
		query("3,000 repeated fields", refusedParse+" TOO_MANY_TOKENS", `{ `+times(3000, "me{id}")+`}`),
		query("1,900 repeated fields", refusedDocument+" TOO_MANY_REPEATS", `{ `+times(1900, "__typename")+`}`),
		query(
			"44 x 40 repeated fields", refusedDocument+" TOO_MANY_REPEATS", `{ `+times(44, "me { "+times(40, "id")+"}")+`}`,
		),
		query(
			"50 x 2 repeats by fragments", "401 UNAUTHENTICATED TOKEN_MISSING",
			`{ me { `+times(50, "...F#")+`} } `+times(50, "fragment F# on User { id email }"),
		),
		query(
			"20 x 7 repeats by fragments", "401 UNAUTHENTICATED TOKEN_MISSING",
			`{ `+times(20, "...F#")+`} `+times(
				20, "fragment F# on Query { me { id email name roles sessions { nodes { id } } } }",
			),
		),
		query(
			"15 x 25 unknown fields by fragments", refusedDocument,
			`{ me { `+times(15, "...F#")+`} } `+times(15, "fragment F# on User { "+fields(25)+"}"),
		),
		query(
			"24 x 25 unknown fields by fragments", refusedDocument+" TOO_MANY_REPEATS",
			`{ me { `+times(24, "...F#")+`} } `+times(24, "fragment F# on User { "+fields(25)+"}"),
		),
		query("3,000 unknown fields", refusedParse+" TOO_MANY_TOKENS", `{ `+times(3000, "f#")+`}`),
		query(
			"600 unknown fields in fragments", refusedDocument,
			`{ me { `+times(3, "...F#")+`} } `+times(3, "fragment F# on User { "+fields(200)+"}"),
		),
		query("1,900 directives on a field", refusedDocument+" TOO_MANY_DIRECTIVES", `{ __typename `+times(950, "@a")+`}`),
		query("500 directives, one a field", refusedDocument+" TOO_MANY_DIRECTIVES", `{ me { `+times(500, "a# @b")+`} }`),
		query("400 operations", refusedDocument, times(390, "query Q# { a }")),
		query("490 unused variables", refusedDocument, `query(`+times(490, "$v#: Int")+`) { __typename }`),
		query("alias flood, 1,000", refusedParse+" TOO_MANY_TOKENS", `{ `+times(1000, "a#: __typename")+`}`),
		query("alias flood, 600", refusedDocument+" TOO_MANY_ROOT_FIELDS", `{ `+times(600, "a#: __typename")+`}`),
		query("aliases of one object, 101", refusedDocument+" TOO_MANY_ALIASES", `{ me { `+times(101, "a#: id")+`} }`),
		query(
			"nesting, 50 deep", refusedDocument+" TOO_DEEP",
			`{ me `+strings.Repeat("{ sessions { nodes { user ", 17)+`{ id }`+strings.Repeat(" } } }", 17)+` }`,
		),
		query("nesting, 600 deep", refusedDocument+" TOO_DEEP", strings.Repeat("{ a ", 600)+strings.Repeat("} ", 600)),
		query(
			"pages of pages of pages",
			refusedDocument+" TOO_MANY_ITEMS",
			`{ me { sessions(first: 100) { nodes { user {
				sessions(first: 100) { nodes { user { sessions(last: 100) { nodes { id } } } } } } } } } }`,
		),
		query("comments, 500 KB", refusedDocument+" DOCUMENT_TOO_LARGE", `{ __typename } `+strings.Repeat("#\n", 250_000)),
		query(
			"a text, 900 KB", refusedDocument+" DOCUMENT_TOO_LARGE",
			`{ verifyToken(token: "`+strings.Repeat("x", 900_000)+`") { active } }`,
		),
		query("a name, 900 KB", refusedDocument+" DOCUMENT_TOO_LARGE", `{ `+strings.Repeat("x", 900_000)+` }`),
		query("a name, 200 KB", refusedDocument, `{ `+strings.Repeat("x", 200_000)+` }`),
		query("a text, 200 KB", "200", `{ verifyToken(token: "`+strings.Repeat("x", 200_000)+`") { active } }`),
		query(
			"100 comments and texts, 200 KB", refusedDocument,
			`{ verifyToken(token: [`+strings.Repeat(`"`+strings.Repeat("x", 2_000)+`" `, 100)+`]) { active } }`,
		),
		query(
			"aliases of __schema, 90", refusedDocument+" TOO_MANY_ALIASES",
			`{ `+times(90, "a#: __schema { types { name fields { name } } }")+`}`,
		),
		query(
			"100 aliased logins", "",
			`mutation { `+times(100, `a#: login(input: {email: "abuse@example.com", password: "guess #"}) { tokenType }`)+`}`,
		),
	}
}

func inputs() []Attack {
	const login = `mutation($in: LoginInput!) { login(input: $in) { tokenType } }`
	const page = `query($n: Int) { me { sessions(first: $n) { nodes { id } } } }`
	const verify = `query($t: String!) { verifyToken(token: $t) { active } }`
	deep := func(n int, open, end string) string { return strings.Repeat(open, n) + "1" + strings.Repeat(end, n) }
	return []Attack{
		query(
			"a list, 900 deep", refusedDocument+" INPUT_TOO_DEEP", `{ verifyToken(token: `+deep(900, "[", "]")+`) { active } }`,
		),
		query(
			"an object, 400 deep", refusedDocument+" INPUT_TOO_DEEP",
			`mutation { login(input: `+deep(400, "{a:", "}")+`) { tokenType } }`,
		),
		variables("a variable, 9,000 deep", refusedBody, login, `{"in": `+deep(9_000, "[", "]")+`}`),
		variables("a variable, 100,000 deep", refusedBody, login, `{"in": `+deep(100_000, "[", "]")+`}`),
		variables("an object as variable, 5,000 deep", refusedBody, login, `{"in": `+deep(5_000, `{"email":`, "}")+`}`),
		variables("a variable of 100,000 objects", refusedSize, login, `{"in": [`+strings.Repeat("{},", 100_000)+`{}]}`),
		variables("60,000 variables", refusedSize, login, `{`+strings.TrimSpace(times(60_000, `"v#": 1,`))+`"in": 1}`),
		variables("a text as variable, 900 KB", "200", verify, `{"t": "`+strings.Repeat("x", 900_000)+`"}`),
		variables("pages of 2,000,000,000", refusedDocument+" TOO_MANY_ITEMS", page, `{"n": 2000000000}`),
		variables("a text as Int", "", page, `{"n": "1"}`),
	}
}

// times repeats a text n times, with # replaced by the number of the repetition.
func times(n int, text string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(text, "#", fmt.Sprint(i)) + " ")
	}
	return b.String()
}

// fields returns n unknown fields.
func fields(n int) string { return times(n, "f#") }

func header(name string, values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = values }
}

func get(name, want, document string, change ...func(*http.Request)) Attack {
	return Attack{Name: name, Want: want, request: func(endpoint string, _ int) (*http.Request, error) {
		return prepared(http.MethodGet, endpoint+"?"+url.Values{"query": {document}}.Encode(), nil, change)
	}}
}
