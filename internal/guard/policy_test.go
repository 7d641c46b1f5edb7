package guard_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/guard"
	"github.com/graphwarden/graphwarden/internal/guard/guardtest"
)

// prelude allows the marks everywhere, so that the policy rejects them and not the parser.
const prelude = `
directive @auth(
	roles: [Role!], maxAge: Int, owner: Boolean, verified: Boolean, mfa: Boolean, setup: Boolean
) repeatable on
	OBJECT | FIELD_DEFINITION | INTERFACE | UNION | INPUT_FIELD_DEFINITION | ENUM | SCALAR | INPUT_OBJECT
directive @public repeatable on
	OBJECT | FIELD_DEFINITION | INTERFACE | UNION | INPUT_FIELD_DEFINITION | ENUM | SCALAR | INPUT_OBJECT
enum Role { USER ADMIN }
`

func load(t *testing.T, sdl string) (*ast.Schema, error) {
	t.Helper()
	return gqlparser.LoadSchema(&ast.Source{Name: "test.graphqls", Input: prelude + sdl})
}

func TestPolicyErrorsNameTheMark(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, sdl string
		want      []string
	}{
		{"an unmarked root field", `type Query { a: Int }`,
			[]string{"Query.a: needs @auth or @public"}},
		{"roots of each kind", `type Query { a: Int @public } type Mutation { b: Int } type Subscription { c: Int }`,
			[]string{"Mutation.b: needs @auth or @public", "Subscription.c: needs @auth or @public"}},
		{"roots of other names", `schema { query: Q mutation: M } type Q { a: Int } type M { b: Int @public c: Int }`,
			[]string{"M.c: needs @auth or @public", "Q.a: needs @auth or @public"}},
		{"a root field of an extension", `type Query { a: Int @public } extend type Query { b: Int }`,
			[]string{"Query.b: needs @auth or @public"}},
		{"two marks", `type Query { a: Int @auth @public }`,
			[]string{"Query.a: has more than one mark; one must be enough"}},
		{"the same mark twice", `type Query { a: Int @auth(roles: [ADMIN]) @auth }`,
			[]string{"Query.a: has more than one mark; one must be enough"}},
		{"two marks on a type", `type Query { a: T @public } type T @public { b: Int } extend type T @auth`,
			[]string{"T: has more than one mark; one must be enough"}},
		{"a mark on a root type", `type Query @auth { a: Int @public }`,
			[]string{"Query: a mark here would guard nothing; mark the fields"}},
		{"a mark on a root type for all its fields", `type Query @public { a: Int }`,
			[]string{"Query.a: needs @auth or @public", "Query: a mark here would guard nothing; mark the fields"}},
		{"a mark on an interface", `type Query { a: I @public } interface I @auth { b: Int } type T implements I { b: Int }`,
			[]string{"I: a mark here would guard nothing; mark the fields"}},
		{"a mark on a union", `type Query { a: U @public } union U @auth = T type T { b: Int }`,
			[]string{"U: a mark here would guard nothing; mark the fields"}},
		{"a mark on a scalar, enum and input",
			`type Query { a(b: In): S @public } scalar S @auth input In @public { c: E } enum E @auth { F }`,
			[]string{"E: a mark here would guard nothing; mark the fields",
				"In: a mark here would guard nothing; mark the fields", "S: a mark here would guard nothing; mark the fields"}},
		{"owner on a root field", `type Query { a: Int @auth(owner: true) }`,
			[]string{"Query.a: owner has no meaning on a root field, which no object has"}},
		{"owner on a root type", `type Query @auth(owner: true) { a: Int @auth }`,
			[]string{"Query: a mark here would guard nothing; mark the fields"}},
		{"no roles", `type Query { a: Int @auth(roles: []) }`,
			[]string{"Query.a: @auth(roles: []) admits no caller; omit roles to admit every signed-in caller"}},
		{"null roles", `type Query { a: Int @auth(roles: null) }`,
			[]string{"Query.a: @auth has an unusable roles"}},
		{"one role without brackets", `type Query { a: Int @auth(roles: ADMIN) }`, nil},
		{"an unknown role", `type Query { a: Int @auth(roles: [ADMIN, ADNIM]) }`,
			[]string{"Query.a: enum Role has no value ADNIM"}},
		{"a role of an extension", `type Query { a: Int @auth(roles: [KEEPER]) } extend enum Role { KEEPER }`, nil},
		{"no age", `type Query { a: Int @auth(maxAge: 0) }`,
			[]string{"Query.a: @auth(maxAge:) must be a positive number of seconds, and an Int"}},
		{"a negative age", `type Query { a: T @public } type T @auth(maxAge: -1) { b: Int }`,
			[]string{"T: @auth(maxAge:) must be a positive number of seconds, and an Int"}},
		{"an age beyond Int", `type Query { a: Int @auth(maxAge: 10000000000) }`,
			[]string{"Query.a: @auth(maxAge:) must be a positive number of seconds, and an Int"}},
		{"a null age", `type Query { a: Int @auth(maxAge: null) }`,
			[]string{"Query.a: @auth has an unusable maxAge"}},
		{"an age as text", `type Query { a: Int @auth(maxAge: "60") }`,
			[]string{"Query.a: @auth(maxAge:) must be a positive number of seconds, and an Int"}},
		{"setup below a root field", `type Query { a: T @public } type T { b: Int @auth(setup: true) }`,
			[]string{"T.b: setup has no meaning below the root fields"}},
		{"owner false", `type Query { a: Int @auth(owner: false) }`, nil},
		{"an interface field that an implementation does not repeat",
			`type Query { a: I @public } interface I { b: Int @auth(roles: [ADMIN]) } type T implements I { b: Int }`,
			[]string{"T.b: is weaker than I.b, which has @auth(roles: [ADMIN])"}},
		{"an interface field that an implementation opens",
			`type Query { a: I @public } interface I { b: Int @auth } type T implements I { b: Int @public }`,
			[]string{"T.b: is weaker than I.b, which has @auth"}},
		{"an interface field that the implementation's type opens",
			`type Query { a: I @public } interface I { b: Int @auth } type T implements I @public { b: Int }`,
			[]string{"T.b: is weaker than I.b, which has @auth"}},
		{"an interface field with an additional role", `type Query { a: I @public } interface I { b: Int @auth(roles: ` +
			`[ADMIN]) } type T implements I { b: Int @auth(roles: [USER, ADMIN]) }`,
			[]string{"T.b: is weaker than I.b, which has @auth(roles: [ADMIN])"}},
		{"an interface field with an additional owner", `type Query { a: I @public } interface I { b: Int @auth(roles: ` +
			`[ADMIN]) } type T implements I { b: Int @auth(roles: [ADMIN], owner: true) }`,
			[]string{"T.b: is weaker than I.b, which has @auth(roles: [ADMIN])"}},
		{"an interface field without its age",
			`type Query { a: I @public } interface I { b: Int @auth(maxAge: 60) } type T implements I { b: Int @auth }`,
			[]string{"T.b: is weaker than I.b, which has @auth(maxAge: 60)"}},
		{"an interface field with a greater age", `type Query { a: I @public } interface I { b: Int @auth(maxAge: 60) } ` +
			`type T implements I { b: Int @auth(maxAge: 61) }`,
			[]string{"T.b: is weaker than I.b, which has @auth(maxAge: 60)"}},
		{"an interface field repeated as strictly", `type Query { a: I @public } interface I { b: Int @auth(roles: ` +
			`[ADMIN]) } type T implements I @auth(roles: [ADMIN], maxAge: 60) { b: Int }`, nil},
		{"a public interface field",
			`type Query { a: I @public } interface I { b: Int @public } type T implements I { b: Int }`, nil},
		{"a faulty mark on an interface field", `type Query { a: I @public } interface I { b: Int @auth(maxAge: 0) c: Int ` +
			`@public @auth d: Int @auth(roles: []) } type T implements I { b: Int c: Int d: Int}`,
			[]string{"I.b: @auth(maxAge:) must be a positive number of seconds, " +
				"and an Int", "I.c: has more than one mark; one must be enough",
				"I.d: @auth(roles: []) admits no caller; omit roles to admit every signed-in caller"}},
		{"a root that implements an interface", `type Query implements I { b: Int @public } interface I { b: Int }`,
			[]string{"Query: a root type must not implement an interface"}},
		{"several problems", `type Query { a: Int b: Int @auth(roles: []) } type Mutation { c: Int } ` +
			`type T @auth(maxAge: 0) @public { d: Int @auth(maxAge: -2) }`,
			[]string{"Mutation.c: needs @auth or @public", "Query.a: needs @auth or @public", "Query.b: @auth(roles: []) " +
				"admits no caller; omit roles to admit every signed-in caller", "T.d: @auth(maxAge:) must be a positive number " +
				"of seconds, and an Int", "T: has more than one mark; one must be enough"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			schema, err := load(t, test.sdl)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			if _, err := guard.NewPolicy(schema, "public"); err != nil {
				got = strings.Split(err.Error(), "\n  ")[1:]
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestIntrospectionSettings(t *testing.T) {
	t.Parallel()
	for setting, isKnown := range map[string]bool{
		"public": true, "authenticated": true, "off": true, "ADMIN": true, "KEEPER": true,
		"admin": false, "": false, "Public": false,
	} {
		if _, err := guard.NewPolicy(guardtest.Load(), setting); (err == nil) != isKnown {
			t.Errorf("%q: %v", setting, err)
		}
	}
}

// A 1 means that the mark of the row is at least as strict as the mark of the column.
func TestAtLeastAsStrict(t *testing.T) {
	t.Parallel()
	marks := []string{
		"@public", "@auth", "@auth(owner: true)", "@auth(roles: [ADMIN])", "@auth(roles: [USER, ADMIN])",
		"@auth(roles: [ADMIN], owner: true)",
		"@auth(maxAge: 60)", "@auth(maxAge: 300)", "@auth(roles: [ADMIN], maxAge: 60)", "@auth(owner: true, maxAge: 300)", "",
		"@auth(verified: true)", "@auth(roles: [ADMIN], maxAge: 60, verified: true)",
		"@auth(mfa: true)", "@auth(setup: true)",
	}
	const rows = `
1 0 0 0 0 0 0 0 0 0 0 0 0 0 0
1 1 0 0 0 0 0 0 0 0 1 0 0 0 1
1 1 1 0 0 1 0 0 0 0 1 0 0 0 1
1 1 0 1 1 1 0 0 0 0 1 0 0 0 1
1 1 0 0 1 0 0 0 0 0 1 0 0 0 1
1 1 0 0 0 1 0 0 0 0 1 0 0 0 1
1 1 0 0 0 0 1 1 0 0 1 0 0 0 1
1 1 0 0 0 0 0 1 0 0 1 0 0 0 1
1 1 0 1 1 1 1 1 1 0 1 0 0 0 1
1 1 1 0 0 1 0 1 0 1 1 0 0 0 1
1 1 0 0 0 0 0 0 0 0 1 0 0 0 1
1 1 0 0 0 0 0 0 0 0 1 1 0 0 1
1 1 0 1 1 1 1 1 1 0 1 1 1 0 1
1 1 0 0 0 0 0 0 0 0 1 0 0 1 1
1 0 0 0 0 0 0 0 0 0 0 0 0 0 1`
	var rules []guard.Rule
	for i, mark := range marks {
		schema, err := load(t, fmt.Sprintf("type Query { a%d: Int %s }", i, mark))
		if err != nil {
			t.Fatal(err)
		}
		rules = append(rules, guard.ReadRule(schema, schema.Query.Fields.ForName(fmt.Sprintf("a%d", i)).Directives))
	}
	var got strings.Builder
	for _, row := range rules {
		got.WriteString("\n")
		for i, column := range rules {
			got.WriteString(strings.Repeat(" ", min(i, 1)) + map[bool]string{true: "1", false: "0"}[row.AtLeastAsStrict(column)])
		}
	}
	if diff := cmp.Diff(rows, got.String()); diff != "" {
		t.Error(diff)
	}
}

func TestPolicyIsPrintedSorted(t *testing.T) {
	t.Parallel()
	policy, err := guard.NewPolicy(guardtest.Load(), "off")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := policy.Print(&b); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if !slices.IsSorted(lines) {
		t.Error("not sorted")
	}
	for _, want := range []string{
		"Cage.open @public field, ! weaker than its type",
		"Cage.inherited @auth(roles: [ADMIN]) type",
		"Cage.recentAdmin @auth(roles: [ADMIN], maxAge: 60) field",
		"Cage.recentOwner @auth(roles: [ADMIN], owner: true, maxAge: 60) field, ! weaker than its type",
		"Cage.verifiedKeeper @auth(roles: [KEEPER], maxAge: 60, verified: true) field, ! weaker than its type",
		"Cage.unverified @auth field, ! weaker than its type",
		"Cat.name @auth unmarked",
		"Poster.price @auth field",
		"Visit.cat @public field",
	} {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.Join(strings.Fields(line), " ") == want }) {
			t.Errorf("no line %q in\n%s", want, b.String())
		}
	}
}
