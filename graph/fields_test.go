package graph_test

import (
	"context"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/99designs/gqlgen/graphql"

	"github.com/graphwarden/graphwarden/graph"
	"github.com/graphwarden/graphwarden/graph/generated"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
)

// A field with a resolver must not be read from the member of its name, which may hold something else.
func TestFieldsWithAResolverAreNoLeaves(t *testing.T) {
	t.Parallel()
	fields := generated.Fields(generated.NewExecutableSchema(generated.Config{Resolvers: &graph.Resolver{}}))
	root := reflect.TypeFor[generated.ResolverRoot]()
	resolvers, leaves := 0, 0
	for i := range root.NumMethod() {
		of := root.Method(i)
		object := fields[of.Name]
		if object == nil {
			continue // a root type
		}
		for j := range of.Type.Out(0).NumMethod() {
			resolver := of.Type.Out(0).Method(j).Name
			for name, field := range object {
				if !strings.EqualFold(name, resolver) {
					continue
				}
				resolvers++
				if field.Leaf != nil || field.Resolve == nil {
					t.Errorf("%s.%s has a resolver and is written as a leaf", of.Name, name)
				}
			}
		}
	}
	for _, object := range fields {
		for _, field := range object {
			if field.Leaf != nil {
				leaves++
			}
		}
	}
	if resolvers < 5 || leaves < 30 {
		t.Errorf("found only %d fields with a resolver and %d leaves: the search is broken", resolvers, leaves)
	}
}

// counting counts the fields that gqlgen runs.
type counting struct{ fields, responses atomic.Int32 }

func (*counting) ExtensionName() string                   { return "Counting" }
func (*counting) Validate(graphql.ExecutableSchema) error { return nil }

func (c *counting) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	c.fields.Add(1)
	return next(ctx)
}

// skipping does not need to see leaves.
type skipping struct{ counting }

func (*skipping) SkipsLeaves() {}

// responding counts the responses.
type responding struct{ counting }

func (*responding) SkipsLeaves() {}

func (r *responding) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	r.responses.Add(1)
	return next(ctx)
}

func TestResponseInterceptorsSeeEveryResponse(t *testing.T) {
	t.Parallel()
	r := &responding{}
	srv := apptest.Start(t, func(o *apptest.Options) { o.Extensions = append(o.Extensions, r) })
	user := srv.As(t)
	r.responses.Store(0)
	got := user.Do(t, `{ me { id } }`, nil)
	if len(got.Errors) > 0 || r.responses.Load() != 1 {
		t.Errorf("saw %d responses\n%s", r.responses.Load(), got.Body)
	}
}

func TestFieldInterceptorsSeeEveryField(t *testing.T) {
	t.Parallel()
	all, some := &counting{}, &skipping{}
	for _, test := range []struct {
		extension graphql.HandlerExtension
		count     *atomic.Int32
		want      int32
	}{{all, &all.fields, 5}, {some, &some.fields, 2}} {
		srv := apptest.Start(t, func(o *apptest.Options) { o.Extensions = append(o.Extensions, test.extension) })
		user := srv.As(t)
		test.count.Store(0)
		got := user.Do(t, `{ me { id email name roles } }`, nil)
		if len(got.Errors) > 0 || test.count.Load() != test.want {
			t.Errorf("%T saw %d fields, want %d\n%s", test.extension, test.count.Load(), test.want, got.Body)
		}
	}
}
