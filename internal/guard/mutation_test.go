//go:build long

package guard_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutant is the guard with one branch disabled.
type mutant struct {
	name, file, old, new string
	// matrix means that the authorization matrix must fail.
	matrix bool
}

var mutants = []mutant{
	// Who may read a field.
	{"public fields need a user", "rule.go", "case r.public:", "case false:", true},
	{"a refused token is anonymous", "rule.go", "case s.refusal != nil:", "case false:", true},
	{"every caller has a principal", "rule.go", "case s.principal == nil:", "case false:", true},
	{"roles do not restrict", "rule.go", "return len(r.roles) > 0 || r.owner }", "return r.owner }", true},
	{"owner does not restrict", "rule.go", "return len(r.roles) > 0 || r.owner }", "return len(r.roles) > 0 }", true},
	{"a role does not admit", "rule.go", "!r.admits(p)", "true", true},
	{"every user is the owner", "rule.go", "!(r.owner && owns(p, object))", "!r.owner", true},
	{"no user is the owner", "rule.go", "!(r.owner && owns(p, object))", "true", true},
	{"every owned object is the caller's", "rule.go", "owned.OwnerID() == p.UserID", "owned != nil", true},
	{"a principal without an id owns objects without an owner", "rule.go", ` && p.UserID != ""`, "", false},
	{"a value lacks the methods of its pointer", "rule.go", "case reflect.Struct:", "case reflect.Invalid:", false},
	{"an element of interfaces has no methods", "rule.go", "case reflect.Interface:\n\t\t\tv = v.Elem()",
		"case reflect.Interface:\n\t\t\treturn found, false", false},
	{"an element of pointers has no methods", "rule.go", "v.Kind() != reflect.Pointer && v.Kind() != reflect.Interface {",
		"true {", true},
	{"a proof never expires", "rule.go", "now().Sub(p.AuthTime) > r.maxAge ||", "false ||", true},
	{"a proof expires too early", "rule.go", "now().Sub(p.AuthTime) > r.maxAge ||",
		"now().Sub(p.AuthTime) >= r.maxAge ||", false},
	{"every address is verified", "rule.go", "if r.verified && !p.EmailVerified {", "if false {", true},
	{"no address is verified", "rule.go", "if r.verified && !p.EmailVerified {", "if r.verified {", true},
	{"every field needs a verified address", "rule.go", "if r.verified && !p.EmailVerified {",
		"if !p.EmailVerified {", true},
	{"a proof without the second factor is enough", "rule.go", " || p.HasFactor && !p.IsMultiFactor()) {", ") {", true},
	{"every recent proof needs a second factor", "rule.go", "p.HasFactor && !p.IsMultiFactor()) {",
		"!p.IsMultiFactor()) {", true},
	{"every session has two factors", "rule.go", "if r.mfa && !p.IsMultiFactor() {", "if false {", true},
	{"no session has two factors", "rule.go", "if r.mfa && !p.IsMultiFactor() {", "if r.mfa {", true},
	{"every field needs two factors", "rule.go", "if r.mfa && !p.IsMultiFactor() {", "if !p.IsMultiFactor() {", true},
	{"every account has a factor", "rule.go", "if p.HasFactor {", "if true {", true},
	{"mfa: false requires two factors", "policy.go", "r.mfa, _ = value.(bool)", "r.mfa = true", true},
	{"mfa: true is ignored", "policy.go", "r.mfa, _ = value.(bool)", "_ = value", true},
	{"roles demand no factor at the root", "rule.go", "if r.root && !r.setup &&", "if false &&", true},
	{"roles demand a factor below the root", "rule.go", "if r.root && !r.setup &&", "if !r.setup &&", true},
	{"a factor cannot be set up", "rule.go", "if r.root && !r.setup &&", "if r.root &&", true},
	{"a proved factor does not count", "rule.go", "!r.setup && !p.IsMultiFactor() &&", "!r.setup &&", true},
	{"every role demands a factor", "rule.go", "slices.ContainsFunc(r.factorRoles, p.HasRole) {",
		"len(r.factorRoles) > 0 {", true},
	{"roles count without their factor", "rule.go", "p.HasRole(role) && (p.IsMultiFactor() || " +
		"!slices.Contains(r.factorRoles, role))", "p.HasRole(role)", true},
	{"no role counts without a factor", "rule.go", " || !slices.Contains(r.factorRoles, role))", ")", true},
	{"a role without its factor is missing", "rule.go", "if slices.ContainsFunc(r.roles, p.HasRole) {", "if false {",
		true},
	{"setup: false admits", "policy.go", "r.setup, _ = value.(bool)", "r.setup = true", true},
	{"setup: true is ignored", "policy.go", "r.setup, _ = value.(bool)", "_ = value", true},
	{"setup below the root is accepted", "policy.go", "if e.setup && !c.isRoot(def) {", "if false {", false},
	{"verified: false requires a verified address", "policy.go", "r.verified, _ = value.(bool)", "r.verified = true", true},
	{"verified: true is ignored", "policy.go", "r.verified, _ = value.(bool)", "_ = value", true},

	// Which rule applies.
	{"unmarked fields are public", "policy.go", `&entry{source: "unmarked"`,
		`&entry{rule: rule{public: true}, source: "unmarked"`, true},
	{"a type's mark prevails over the field's", "policy.go", "case fieldMarked:", "case fieldMarked && !marked:", true},
	{"a type's mark guards nothing", "policy.go", "case marked:\n", "case false:\n", true},
	{"a role without brackets is ignored", "policy.go", "if arg.Value.Kind != ast.ListValue {", "if false {", false},
	{"introspection is always public", "policy.go", "return p.introspection.judge(s, nil, now)", "return nil", false},
	{"introspection cannot be off", "policy.go", "if p.introspection == nil {",
		"if p.introspection == nil {\n\t\treturn nil\n\t}\n\tif false {", false},
	{"a field without a rule is public", "extension.go", "if e == nil {",
		"if e == nil {\n\t\treturn nil\n\t}\n\tif false {", false},
	{"the object's static type counts", "extension.go", "g.judge(fc.Object, fc.Field.Name, s, object)",
		"g.judge(fc.Field.ObjectDefinition.Name, fc.Field.Name, s, object)", true},
	{"fields are not judged", "extension.go", "refusal := g.judge(fc.Object, fc.Field.Name, s, object); refusal != nil",
		"refusal := g.judge(fc.Object, fc.Field.Name, s, object); false && refusal != nil", true},
	{"root types have their usual names", "policy.go", "c.policy.roots[op] = root.Name", `c.policy.roots[op] = "Query"`,
		true},

	// Who the caller is.
	{"a payload does not sign in", "guard.go", "if s, ok := as[signer](fc.Result); ok {",
		"if s, ok := as[signer](fc.Result); ok && false {", true},
	{"the sign-in outlives its payload", "extension.go", "\tif err != nil || value == nil {\n",
		"\tif signed, ok := as[signer](value); ok {\n\t\tif bearer, ok := ctx.Value(stateKey{}).(*state); ok {\n" +
			"\t\t\t*bearer = state{principal: signed.Principal()}\n\t\t}\n\t}\n\tif err != nil || value == nil {\n", false},
	{"Caller is always the bearer", "guard.go", "s := stateAt(ctx, graphql.GetFieldContext(ctx))\n\tif s.principal " +
		"== nil {", "s := stateAt(ctx, nil)\n\tif s.principal == nil {", false},

	// Before execution.
	{"root fields are not judged before execution", "extension.go", "if len(refused) == 0 ||", "if true ||", false},
	{"a mutation may run in part", "extension.go", "op.Operation.Operation == ast.Query && len(refused)", "len(refused)",
		false},
	{"a query must not run in part", "extension.go",
		" || op.Operation.Operation == ast.Query && len(refused) < len(fields) {", " {", false},
	{"__typename of the root is judged", "extension.go", `if field.Name == "__typename" {`, "if false {", false},

	// During execution.
	{"the caller is checked once per request", "extension.go", "if err := g.check(ctx); err != nil {",
		"if err := g.check(ctx); false && err != nil {", false},
	{"the expiry is checked once per request", "guard.go", "if !a.now().Before(s.principal.ExpiresAt.Add(token.Leeway)) {",
		"if false {", false},

	// Objects without a readable field.
	{"__typename reveals an object", "extension.go", "e != nil && len(e.yields) > 0 {", "e == nil {", true},
	{"__typename reveals objects in lists", "extension.go", "for i := range v.Len() {", "for i := range 0 {", true},
	{"__typename reveals objects to signed-in callers", "extension.go",
		"r.public || s.principal != nil && !r.restricted() && " +
			"r.maxAge == 0", "r.public || s.principal != nil && r.maxAge == 0", true},
	{"__typename reveals objects to callers with an old proof", "extension.go",
		"!r.restricted() && r.maxAge == 0", "!r.restricted()", true},
	{"__typename reveals objects to callers without a verified address", "extension.go", " && !r.verified", "", true},
	{"__typename reveals objects to callers without a second factor", "extension.go", " && !r.mfa", "", true},
	{"one public type opens the others", "extension.go", "return !slices.ContainsFunc(types, func(name string) bool " +
		"{\n\t\treturn !slices", "return slices.ContainsFunc(types, func(name string) bool {\n\t\treturn slices", true},
	{"a payload's principal may not read it", "extension.go", "s = state{principal: signed.Principal()}", "_ = signed",
		true},
	{"every type is the first", "extension.go", "if len(types) > 1 {", "if false {", true},
	{"an unknown Go type is the first", "extension.go", "!slices.Contains(types, name) {",
		"!slices.Contains(types, name) {\n\t\t\tname = types[0]\n\t\t}\n\t\tif false {", false},
	{"GraphQLType is ignored", "extension.go", "if named, ok := v.Interface().(interface{ GraphQLType() string }); ok {",
		"if named, ok := v.Interface().(interface{ GraphQLType() string }); ok && false {", true},

	// Objects that the guard writes itself.
	{"leaves are not judged", "direct.go", "c.rule.judge(s, object, w.now) != nil:", "false:", true},
	{"an owner's leaf is judged once per list", "direct.go", "(!w.judged || signs || c.rule.owner)", "(!w.judged || signs)",
		false},
	{"a leaf of a payload is judged by the bearer", "direct.go", "s = state{principal: signed.Principal()}",
		"_ = signed", false},
	{"an object written directly is not the parent of its fields", "direct.go", "\tfc.Result = value ", "\t_ = value ",
		false},
	{"an item written directly is not the parent of its fields", "direct.go",
		"\t\t\tgraphql.GetFieldContext(ctx).Result = w.objects[i].object\n", "", false},
	{"an invalid null below an object is written", "direct.go", "\tif invalid {", "\tif false {", false},
	{"an invalid null below an item is written", "direct.go", "t.Elem.NonNull && slices.ContainsFunc", "false && slices.ContainsFunc",
		false},
	{"an invalid null is written", "direct.go", "case !c.Leaf(&w.text, object):", "case !c.Leaf(&w.text, object) && false:",
		false},
	{"a panic of a leaf ends the request", "direct.go", "if recover() != nil {", "if false {", false},

	// Queries that the guard answers itself.
	{"an invalid null of a root field is written", "query.go", "if isInvalid(value, field.Definition) {", "if false {",
		false},
	{"a null that an interceptor refuses is valid", "query.go", "return value == graphql.RequiredNull", "return false",
		false},
	{"each null is invalid", "query.go", "if field.Type.NonNull {", "if true {", false},
	{"interceptors of root fields do not run", "query.go", "op.RootResolverMiddleware(root, func(ctx context.Context)",
		"func(_ context.Context, run graphql.RootResolver) graphql.Marshaler { return run(root) }" +
			"(root, func(ctx context.Context)", false},
	{"only the first root field is answered", "query.go", "len(fields) != 1 ||", "", false},

	// The events of subscriptions.
	{"a stream without readable events starts", "extension.go", "return g.judgeEvents(e.yields, s)", "return nil",
		false},
	{"events are never owned", "extension.go", "if own.owner {", "if false {", true},
	{"events are not judged", "events.go", "refusal = g.judgeYield(rule, e.state, event.Interface())", "_ = rule", true},
	{"a subscription is only judged at its start", "events.go",
		"refusal := g.judge(e.field.Object, e.field.Field.Name, e.state, nil)", "var refusal *fault.Error", false},
	{"a refused subscription continues", "events.go", "if e.ended {", "if false {", false},
	{"an event has no owner", "events.go", "\te.field.Result = event.Interface()\n", "", false},
	{"an event is not the parent of its fields", "events.go", "return next(graphql.WithFieldContext(ctx, e.field))",
		"return next(ctx)", false},

	// The token.
	{"a revoked token is valid", "guard.go", "case reason == fault.TokenRevoked:", "case false:", true},
	{"a stale token is valid", "guard.go", "case reason == fault.TokenStale:", "case false:", true},
	{"an old view is current", "guard.go", "case err != nil:\n", "case false:\n", false},
	{"an expired token is forged", "guard.go", "if errors.Is(err, token.ErrExpired) {",
		"if errors.Is(err, token.ErrExpired) && false {", true},
	{"the first of two headers counts", "../web/bearer.go", "if len(values) > 1 {", "if false {", false},
	{"every scheme is Bearer", "../web/bearer.go", `!strings.EqualFold(scheme, "Bearer")`, `scheme == ""`, false},
	{"only one spelling is Bearer", "../web/bearer.go", `!strings.EqualFold(scheme, "Bearer")`, `scheme != "Bearer"`,
		false},
	{"a token does not count as seen", "guard.go", "\ta.activity.Mark(c)\n", "", false},

	// The policy check at startup.
	{"a root field needs no mark", "policy.go", "case c.isRoot(def):", "case false:", false},
	{"the first of two marks counts", "policy.go", "case len(auth)+len(public) > 1:", "case false:", false},
	{"a mark on a root type is ignored", "policy.go", "(def.Kind != ast.Object || c.isRoot(def))",
		"def.Kind != ast.Object", false},
	{"a mark on an interface is ignored", "policy.go", "(def.Kind != ast.Object || c.isRoot(def))", "c.isRoot(def)",
		false},
	{"marks of interface fields may be faulty", "policy.go", "if def.Kind == ast.Interface {", "if false {", false},
	{"a root field may have an owner", "policy.go", "if e.owner && c.isRoot(def) {", "if false {", false},
	{"the list of roles may be empty", "policy.go", "if len(r.roles) == 0 {", "if false {", false},
	{"a role may be misspelled", "policy.go", "enum == nil || enum.EnumValues.ForName(string(role)) == nil", "enum == nil",
		false},
	{"null is a missing argument", "policy.go", "if err != nil || value == nil {", "if err != nil {", false},
	{"an age may be negative", "policy.go", "if seconds <= 0 || ", "if ", false},
	{"an age may overflow", "policy.go", "seconds > math.MaxInt32", "seconds > math.MaxInt64", false},
	{"an implementation may be weaker", "policy.go", "if marked && e != nil && !e", "if false && marked && e != nil && !e",
		false},
	{"a root may implement an interface", "policy.go", "if c.isRoot(def) && len(def.Interfaces) > 0 {", "if false {",
		false},
	{"public is stricter than unmarked", "rule.go", "if other.public {", "if false {", false},
	{"public is strict", "rule.go", "if r.public || other.maxAge", "if other.maxAge", false},
	{"no verified address is as strict as one", "rule.go", "other.verified && !r.verified ||", "", false},
	{"one factor is as strict as two", "rule.go", "|| other.mfa && !r.mfa ", "", false},
	{"setup is as strict as none", "rule.go", "|| r.setup && !other.setup {", "{", false},
	{"no age is as strict as an age", "rule.go", "(r.maxAge == 0 || r.maxAge > other.maxAge)",
		"r.maxAge > other.maxAge", false},
	{"a greater age is as strict", "rule.go", "(r.maxAge == 0 || r.maxAge > other.maxAge)", "r.maxAge == 0", false},
	{"no role is as strict as one", "rule.go", "return r.restricted() && (other", "return (other", false},
	{"an owner is as strict as a role", "rule.go", "(other.owner || !r.owner)", "true", false},
	{"another role is as strict", "rule.go", "!slices.Contains(other.roles, role)", "false", false},
}

// Disabling any branch of the guard makes a test of this package fail. For mutants with matrix set, the authorization
// matrix must fail, which does not know the guard.
func TestEveryBranchOfTheGuardIsNeeded(t *testing.T) {
	t.Parallel()
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			out := m.test(t)
			switch {
			case strings.Contains(out, "[build failed]") || strings.Contains(out, "[setup failed]"):
				t.Fatalf("the mutant does not compile:\n%s", out)
			case m.matrix && !strings.Contains(out, "--- FAIL: TestAuthorizationMatrix"):
				t.Errorf("the authorization matrix does not fail")
			}
		})
	}
}

// test runs this package's tests on the mutant and requires that one fails. It returns their output.
func (m mutant) test(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile(m.file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), m.old); n != 1 {
		t.Fatalf("%s contains %d times %q: update the mutant", m.file, n, m.old)
	}
	folder := t.TempDir()
	replacement, overlay := filepath.Join(folder, filepath.Base(m.file)), filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(replacement, []byte(strings.Replace(string(source), m.old, m.new, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	original, err := filepath.Abs(m.file)
	if err != nil {
		t.Fatal(err)
	}
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{original: replacement}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, replace, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "test", "-overlay", overlay, "-vet=off", "-count=1",
		".").CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); !failed {
		t.Fatalf("no test fails (%v):\n%s", err, out)
	}
	return string(out)
}
