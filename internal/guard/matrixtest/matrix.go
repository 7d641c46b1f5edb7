// Package matrixtest owns the authorization matrix test: it queries every reachable field of every object type in a
// schema as every kind of caller, through the running server, with real tokens.
//
// It derives the expected results from the text of the SDL and does not know the guard's table or rules, so that a
// mistake there cannot hide here. It replaces each resolver by a value of the resolver's declared Go type, so it covers
// new types without changes.
package matrixtest

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/token"
)

// Server is the server under test. Its guard contains a Matrix as an extension.
type Server struct {
	// URL accepts GraphQL over HTTP, and subscriptions as server-sent events if the schema has them.
	URL string
	// Now is the clock of the guard.
	Now func() time.Time
	// Issue signs claims like the server, valid from now.
	Issue func(token.Claims) string
	// Refused contains a token for each reason to refuse one: TOKEN_INVALID, TOKEN_EXPIRED, TOKEN_REVOKED and TOKEN_STALE.
	// Apart from its fault, each would grant many rights.
	Refused map[string]string
	// SignIns contains values of each Go type that signs a user in by its method Principal, at least one per type. The
	// user of the first value owns everything; the others should belong to other users.
	SignIns []any
	// FactorRoles are the roles that demand a second factor.
	FactorRoles []token.Role
}

// everyReason lists the keys of Server.Refused.
var everyReason = []string{"TOKEN_EXPIRED", "TOKEN_INVALID", "TOKEN_REVOKED", "TOKEN_STALE"}

// Matrix is the test of one schema.
type Matrix struct {
	schema  *ast.Schema
	types   goTypes
	owner   token.UserID
	signIns []any
	now     func() time.Time

	demanding []token.Role
}

// New loads the schema. resolvers is the resolver root of the executable schema; its method signatures determine the Go
// types. Types that only occur behind an interface or a union cannot be found there: candidates are values of these,
// such as model.Cat{}.
func New(tb testing.TB, sdl string, resolvers any, candidates ...any) *Matrix {
	tb.Helper()
	schema, err := gqlparser.LoadSchema(&ast.Source{Name: "schema", Input: sdl})
	if err != nil {
		tb.Fatalf("load the schema: %v", err)
	}
	m := &Matrix{schema: schema}
	m.types = findTypes(schema, resolvers, candidates)
	return m
}

// Run queries every field as every caller. The server must have m among its extensions.
func (m *Matrix) Run(t *testing.T, s Server) {
	t.Helper()
	m.prepare(t, s)
	callers := m.callers(s)
	routes := m.routes()
	if len(routes) == 0 {
		t.Fatal("the schema has no fields to test")
	}
	for _, r := range routes {
		t.Run(r.String(), func(t *testing.T) {
			for _, c := range callers {
				want := m.expect(r, c.subject)
				if problem := want.compare(ask(t, s.URL, m.query(r), c.token)); problem != "" {
					t.Errorf("%s: %s\n%s", c.name, problem, m.query(r))
				}
			}
		})
	}
}

// prepare sets the owner of everything, and fails if a value cannot be created.
func (m *Matrix) prepare(t *testing.T, s Server) {
	t.Helper()
	for _, reason := range everyReason {
		if s.Refused[reason] == "" {
			t.Fatalf("Server.Refused lacks a token for %s", reason)
		}
	}
	m.demanding = s.FactorRoles
	m.signIns, m.now, m.owner = s.SignIns, s.Now, "the owner of everything"
	for i, value := range s.SignIns {
		if _, ok := value.(signer); !ok {
			t.Fatalf("Server.SignIns holds a %T, which has no method Principal", value)
		}
		if i == 0 {
			m.owner = value.(signer).Principal().UserID
		}
	}
	for _, problem := range m.missing() {
		t.Error(problem)
	}
	if t.Failed() {
		t.FailNow()
	}
}

// missing lists the types of which the test cannot create values.
func (m *Matrix) missing() []string {
	var problems []string
	for _, name := range m.objects() {
		def := m.schema.Types[name]
		goType := m.types.of[name]
		switch {
		case goType == nil && m.isBehindAbstract(def):
			problems = append(problems, fmt.Sprintf("no Go type found for %s: pass a value of it to New", name))
		case goType == nil:
		case m.types.signsIn(name) && m.signIn(name, 0) == nil:
			problems = append(problems,
				fmt.Sprintf("%s signs a user in: Server.SignIns needs a value of the Go type %s", name, goType))
		case m.types.isOwned(name):
			id := m.fill(goType, reflect.Value{}).Addr().Interface().(owned).OwnerID()
			if id != m.owner && !m.types.signsIn(name) {
				problems = append(problems,
					fmt.Sprintf("OwnerID of a %s is %q although every user id in it is %q", goType, id, m.owner))
			}
		}
	}
	return problems
}

// objects returns the object types, except those of introspection, sorted.
func (m *Matrix) objects() []string {
	var names []string
	for name, def := range m.schema.Types {
		if def.Kind == ast.Object && !strings.HasPrefix(name, "__") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// isRoot reports whether an object type is a root type.
func (m *Matrix) isRoot(object string) bool {
	for _, root := range []*ast.Definition{m.schema.Query, m.schema.Mutation, m.schema.Subscription} {
		if root != nil && root.Name == object {
			return true
		}
	}
	return false
}

func (m *Matrix) isBehindAbstract(def *ast.Definition) bool {
	return len(m.schema.Implements[def.Name]) > 0
}

// caller is a client with a token, or without one.
type caller struct {
	name  string
	token string
	subject
}

// callers returns all kinds of caller: anonymous, with each kind of invalid token, and with a valid token: without
// roles, with each role, as the owner, and with all roles. Some also have an old proof, no verified
// address, or no second factor.
func (m *Matrix) callers(s Server) []caller {
	list := []caller{{name: "anonymous", subject: subject{refusal: "TOKEN_MISSING"}}}
	for _, reason := range everyReason {
		list = append(list, caller{name: reason, token: s.Refused[reason], subject: subject{refusal: reason}})
	}
	var roles []token.Role
	if enum := m.schema.Types["Role"]; enum != nil {
		for _, value := range enum.EnumValues {
			roles = append(roles, token.Role(value.Name))
		}
	}
	const stranger = "another user"
	verified, factor, methods := true, true, []string{"pwd", "otp", "mfa"}
	good := func(name string, user token.UserID, age time.Duration, roles ...token.Role) {
		c := token.Claims{
			EmailVerified: verified,
			HasFactor:     factor,

			UserID:     user,
			SessionID:  token.SessionID(fmt.Sprintf("matrix %d", len(list))),
			Generation: 1,
			Version:    1,
			Roles:      roles,
			AuthTime:   s.Now().Add(-age),
			Methods:    methods,
		}
		as := subject{user: user, roles: roles, age: age, verified: verified, factor: factor, proved: len(methods) > 1}
		list = append(list, caller{name: name, token: s.Issue(c), subject: as})
	}
	old := m.oldestProof() + time.Hour
	good("without roles", stranger, 0)
	for _, role := range roles {
		good("as "+string(role), stranger, 0, role)
		good("as "+string(role)+" with an old proof", stranger, old, role)
	}
	good("owner", m.owner, 0)
	good("owner with an old proof", m.owner, old)
	good("with all roles", stranger, 0, roles...)
	good("owner with all roles and an old proof", m.owner, old, roles...)
	verified = false
	good("without a verified address", stranger, 0)
	good("with all roles, without a verified address", stranger, 0, roles...)
	good("owner without a verified address", m.owner, 0)
	verified, methods = true, []string{"pwd"}
	for _, factor = range []bool{true, false} {
		name := "without a proved factor"
		if !factor {
			name = "without a factor"
		}
		good(name, stranger, 0)
		for _, role := range roles {
			good("as "+string(role)+" "+name, stranger, 0, role)
		}
		good("with all roles "+name, stranger, 0, roles...)
		good("owner "+name, m.owner, 0)
		good("owner with all roles "+name, m.owner, 0, roles...)
	}
	return list
}

// oldestProof returns the greatest maxAge in the schema.
func (m *Matrix) oldestProof() time.Duration {
	var oldest time.Duration
	for _, name := range m.objects() {
		for _, field := range m.schema.Types[name].Fields {
			oldest = max(oldest, m.marks(name, field.Name).maxAge)
		}
	}
	return oldest
}

// routes returns, for every field, the best path to it without a payload that signs a user in, and the best through
// one, the latter once for each value that can sign in.
func (m *Matrix) routes() []route {
	var list []route
	for at, way := range m.ways() {
		for _, field := range m.schema.Types[at.object].Fields {
			if strings.HasPrefix(field.Name, "__") {
				continue
			}
			for _, step := range m.steps(at.object, field) {
				r := route{steps: append(slices.Clone(way), step)}
				list = append(list, r)
				if n := len(m.signIns); r.signsIn(m) && n > 1 {
					for i := 1; i < n; i++ {
						r.variant = i
						list = append(list, r)
					}
				}
			}
		}
	}
	slices.SortFunc(list, func(a, b route) int { return cmp.Compare(a.String(), b.String()) })
	return list
}
