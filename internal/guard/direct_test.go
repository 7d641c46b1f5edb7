package guard_test

import (
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/guard"
	"github.com/graphwarden/graphwarden/internal/guard/guardtest"
	"github.com/graphwarden/graphwarden/internal/guard/guardtest/model"
	"github.com/graphwarden/graphwarden/internal/token"
)

// directQueries have objects and lists that the guard writes itself, and others that it must leave to gqlgen.
var directQueries = []string{
	`{ me { id email } }`,
	`{ m: me { i: id e: email __typename } }`,
	`{ me { id caller email } }`,
	`{ me { caller a: caller id } }`,
	`{ me { id diary { name secret } email } }`,
	`{ me { id id email } }`,
	`{ me { id } me { email } }`,
	`{ me { ...f } } fragment f on Person { id ... on Person { email } }`,
	`query ($no: Boolean = false) { me { id @skip(if: $no) email @include(if: $no) } }`,
	`query ($no: Boolean = false) { me { id ... @include(if: $no) { email } } }`,
	`{ cat { name lives kittens { name lives kittens { name } } friend { name } } }`,
	`{ poster { name text price cat { name } vault { name } } }`,
	`{ poster { text } }`,
	`{ vault { name secret } }`,
	`{ cage { inherited } }`,
	`{ cage { open signedIn } }`,
	`{ cage { open keeper either recent recentAdmin recentOwner } }`,
	`{ safe { gold } }`,
	`{ stray { name } }`,
	`{ diary { name secret entries { text cover } } }`,
	`{ diary(owner: "bob") { name } }`,
	`{ diaries { name } }`,
	`{ diaries { name entries { text } } }`,
	`{ entries { cover } }`,
	`{ entries { text cover } }`,
	`{ locker { number content stray { name } entry { text cover } maybe { cover } } }`,
	`{ locker { entry { cover } maybe { text } } }`,
	`{ lobby { before { id caller } ticket { token person { id caller email } } after { id email } } }`,
	`{ diaries { __typename } }`,
	`{ noTicket { __typename } }`,
	`{ tickets { token } }`,
	`{ tickets { token person { id caller email } friend { token } } }`,
	`{ noTicket { token } }`,
	`{ named(kind: "Poster") { name ... on Poster { text } } }`,
	`{ exhibits { ... on Poster { text } ... on Vault { name } } }`,
	`{ __typename }`,
	`{ cat { name } __typename }`,
	`{ c: cat { name } }`,
	`{ ...f } fragment f on Visit { cat { name } }`,
	`query ($no: Boolean = false) { cat @include(if: $no) { name } }`,
	`query ($no: Boolean = false) { cat @skip(if: $no) { name } }`,
	`{ cat { name } cat { lives } }`,
	`{ admin { text } }`,
	`{ recent { text } verified { text } }`,
	`{ diary(owner: "nobody") { name } }`,
	`{ row(kind: "Poster") { name } }`,
	`{ nested { name } }`,
	`{ __type(name: "Cat") { name } }`,
	`mutation { enter(as: "alice") { token friend { token person { email } } } }`,
	`mutation { enter(as: "bob") { token cage { open recentOwner } } }`,
}

// ordinary leaves all fields to gqlgen.
func ordinary(guard.Fields) guard.Fields { return nil }

// serveFields starts a server whose guard writes the changed fields directly.
func serveFields(
	t *testing.T, change func(guard.Fields) guard.Fields, factorRoles []token.Role, more ...graphql.HandlerExtension,
) *server {
	t.Helper()
	s := open(t)
	s.Fields = change
	policy, err := guard.NewPolicy(guardtest.Load(), "public", factorRoles...)
	if err != nil {
		t.Fatal(err)
	}
	s.serve(t, policy, more...)
	return s
}

// requireSameAnswers asks both servers every query as every caller.
func requireSameAnswers(t *testing.T, a, b *server) {
	t.Helper()
	callersOfB := people(t, b)
	callers := people(t, a)
	callers[""] = ""
	for as, authorization := range callers {
		for _, query := range directQueries {
			var ofA, ofB []string
			if as != "" {
				ofA, ofB = []string{authorization}, []string{callersOfB[as]}
			}
			got, want := a.ask(t, query, nil, ofA...), b.ask(t, query, nil, ofB...)
			if diff := cmp.Diff(want.String(), got.String()); diff != "" || got.Status != want.Status {
				t.Errorf("%s as %q: %d, %d\n%s", query, as, got.Status, want.Status, diff)
			}
		}
	}
}

// Whether the guard writes an object itself or leaves it to gqlgen, the answer is the same: values, their order, nulls,
// errors and statuses.
func TestDirectAnswersEqualThoseOfGqlgen(t *testing.T) {
	t.Parallel()
	requireSameAnswers(t, serve(t, "public"), serveFields(t, ordinary, nil))
}

// responses counts the responses that gqlgen makes.
type responses struct{ count atomic.Int32 }

func (*responses) ExtensionName() string                   { return "Responses" }
func (*responses) Validate(graphql.ExecutableSchema) error { return nil }

func (r *responses) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	r.count.Add(1)
	return next(ctx)
}

// TestQueriesWithOneRootFieldAreAnsweredDirectly keeps the other tests from comparing gqlgen with itself.
func TestQueriesWithOneRootFieldAreAnsweredDirectly(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]int32{
		`{ poster { text } }`:                              0,
		`{ ...f } fragment f on Visit { poster { text } }`: 0,
		`{ poster { text } again: poster { text } }`:       1,
		`mutation { open }`:                                1,
	} {
		r := &responses{}
		if got := serve(t, "public", r).ask(t, query, nil); r.count.Load() != want || len(got.Errors) > 0 {
			t.Errorf("%s: gqlgen made %d responses, want %d\n%s", query, r.count.Load(), want, got.Body)
		}
	}
}

// failing fails each root field in its own way.
type failing struct{}

func (failing) ExtensionName() string                   { return "Failing" }
func (failing) Validate(graphql.ExecutableSchema) error { return nil }

func (failing) InterceptRootField(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
	switch field := graphql.GetRootFieldContext(ctx); field.Field.Alias {
	case "required":
		return graphql.RequiredNull
	case "none":
		return graphql.Null
	case "path":
		graphql.AddErrorf(ctx, "%s of %s at %s", field.Object, graphql.GetFieldContext(ctx).Object, graphql.GetPath(ctx))
		return graphql.Null
	}
	return next(ctx)
}

func (failing) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	if graphql.GetFieldContext(ctx).Field.Alias == "panics" {
		panic("a field panics")
	}
	return next(ctx)
}

// Whether gqlgen answers a query or not, a root field that fails has the same effect.
func TestDirectQueriesFailAsThoseOfGqlgen(t *testing.T) {
	t.Parallel()
	direct, byGqlgen := serve(t, "public", failing{}), serveFields(t, ordinary, nil, failing{})
	for _, query := range []string{
		`{ required: cat { name } }`, `{ required: poster { text } }`, `{ required: vault { name } }`,
		`{ none: cat { name } }`, `{ none: vault { name } }`, `{ path: vault { name } }`,
		`{ panics: cat { name } }`, `{ panics: vault { name } }`, `{ cat { panics: name } }`,
	} {
		got, want := direct.ask(t, query, nil), byGqlgen.ask(t, query, nil)
		if diff := cmp.Diff(want.Body, got.Body); diff != "" || got.Status != want.Status {
			t.Errorf("%s: %d, %d\n%s", query, got.Status, want.Status, diff)
		}
	}
}

// A leaf that cannot be written, after it has written some of its value, leaves its object to gqlgen.
func TestFailedLeavesAreLeftToGqlgen(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() bool{
		"an invalid null": func() bool { return false },
		"a panic":         func() bool { panic("a leaf panics") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireSameAnswers(t, serveFields(t, func(fields guard.Fields) guard.Fields {
				for _, of := range fields {
					for name, field := range of {
						if field.Leaf != nil {
							of[name] = guard.Field{Leaf: func(w io.Writer, _ any) bool {
								_, _ = io.WriteString(w, `"half a value`)
								return fail()
							}}
						}
					}
				}
				return fields
			}, nil), serveFields(t, ordinary, nil))
		})
	}
}

// An invalid null of a field that gqlgen runs makes its object null, and then the list of the object.
func TestNullsPropagateThroughDirectObjects(t *testing.T) {
	t.Parallel()
	s := serveFields(t, func(fields guard.Fields) guard.Fields {
		kittens := fields["Cat"]["kittens"]
		fields["Cat"]["kittens"] = guard.Field{
			Resolve: func(ctx context.Context, field graphql.CollectedField, object any) graphql.Marshaler {
				if object.(*model.Cat).Name == "Tim" {
					return graphql.Null
				}
				return kittens.Resolve(ctx, field, object)
			},
		}
		return fields
	}, nil)
	alice := people(t, s)["alice"]
	for query, want := range map[string]string{
		`{ cat { name kittens { name } } }`:                             `{"cat":{"name":"Tom","kittens":[{"name":"Tim"}]}}`,
		`{ cat { name kittens { name kittens { name } } } }`:            `null`,
		`{ cat { kittens { name kittens { name } } } poster { text } }`: `null`,
	} {
		if got := s.ask(t, query, nil, alice).String(); got != want {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
}

// watcher records the fields that gqlgen runs.
type watcher struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (*watcher) ExtensionName() string                   { return "Watcher" }
func (*watcher) Validate(graphql.ExecutableSchema) error { return nil }

func (w *watcher) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	fc := graphql.GetFieldContext(ctx)
	w.mu.Lock()
	w.seen[fc.Object+"."+fc.Field.Name] = true
	w.mu.Unlock()
	return next(ctx)
}

// TestLeavesAreWrittenDirectly keeps the other tests from comparing gqlgen with itself.
func TestLeavesAreWrittenDirectly(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ as, query, want string }{
		{"alice", `{ me { id email } }`, "Visit.me"},
		{"alice", `{ me { id caller email } }`, "Person.caller Visit.me"},
		{"alice", `{ me { ...f } } fragment f on Person { id email }`, "Visit.me"},
		{"keeper", `{ entries { text cover } }`, "Visit.entries"},
		{"alice", `{ cat { name kittens { name lives } } }`, "Cat.kittens Visit.cat"},
		{"alice", `{ locker { number entry { text } maybe { text } } }`, "Locker.entry Locker.maybe Visit.locker"},
		{"bob", `{ diaries { __typename } }`, "Visit.diaries"},
		{"", `{ tickets { token person { id } } }`, "Ticket.person Visit.tickets"},
		{"", `mutation { enter(as: "alice") { token } }`, "Keep.enter"},
		{"", `mutation { enter(as: "alice") { token person { id email } } }`, "Keep.enter Ticket.person"},
		// Below a refusal, gqlgen runs all fields up to the refused ones, which the guard keeps from it.
		{"bob", `{ cage { open keeper } }`, "Cage.open Visit.cage"},
	} {
		w := &watcher{seen: make(map[string]bool)}
		s := serveFields(t, nil, nil, w)
		var authorization []string
		if test.as != "" {
			authorization = []string{people(t, s)[test.as]}
		}
		a := s.ask(t, test.query, nil, authorization...)
		if got := strings.Join(slices.Sorted(maps.Keys(w.seen)), " "); got != test.want {
			t.Errorf("%s as %q: gqlgen ran %s, want %s\n%s", test.query, test.as, got, test.want, a.Body)
		}
	}
}
