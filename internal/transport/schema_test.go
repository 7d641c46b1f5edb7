package transport_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/transport"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

// The field fails returns null with the given error, must propagates it to the root, deep has it in a nested field, and
// locked is refused before execution.
const sdl = `
type Query {
  health: String!
  nothing: String
  boom: String!
  echo(text: String!): String!
  big(n: Long!): Long!
  fails(code: String!, reason: String, retryAfter: Int): String
  must(code: String!, reason: String, retryAfter: Int): String!
  deep(code: String!): String
  locked(code: String!, reason: String, retryAfter: Int): String!
}
type Mutation {
  count: Int!
  locked(code: String!, reason: String, retryAfter: Int): String!
}
type Subscription { ticks: Int! }
scalar Long`

// api is an executable schema without generated code, run by gqlgen's real executor.
type api struct {
	schema *ast.Schema
	count  atomic.Int64
	params atomic.Pointer[graphql.RawParams] // of the last operation
}

func newAPI() *api {
	return &api{schema: gqlparser.MustLoadSchema(&ast.Source{Name: "test", Input: sdl})}
}

// executor returns an executor for a, with the error presenter.
func (a *api) executor() *executor.Executor {
	e := executor.New(a)
	e.SetErrorPresenter(present)
	e.Use(a)
	return e
}

// serve starts a's server and returns its URL.
func (a *api) serve(tb testing.TB, t transport.HTTP) string { return listen(tb, over(t, a.executor())) }

// over serves a transport like gqlgen's server.
func over(t transport.HTTP, e *executor.Executor) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Do(w, r.WithContext(graphql.StartOperationTrace(r.Context())), e)
	})
}

func listen(tb testing.TB, h http.Handler) string {
	s := httptest.NewServer(h)
	tb.Cleanup(s.Close)
	return s.URL
}

// present is the part of the error presenter on which the transport relies.
func present(ctx context.Context, err error) *gqlerror.Error {
	shown := graphql.DefaultErrorPresenter(ctx, err)
	f := fault.As(err)
	if f == nil {
		if shown.Extensions["code"] == nil {
			shown.Message = "internal error"
			shown.Extensions = map[string]any{"code": fault.Internal}
		}
		return shown
	}
	shown.Message = f.Message
	shown.Extensions = map[string]any{"code": f.Code, "reason": f.Reason}
	if f.RetryAfter > 0 {
		shown.Extensions["retryAfter"] = int(math.Ceil(f.RetryAfter.Seconds()))
	}
	return shown
}

func (a *api) Schema() *ast.Schema { return a.schema }

func (a *api) Complexity(context.Context, string, string, int, map[string]any) (int, bool) {
	return 0, false
}

func (a *api) Exec(ctx context.Context) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	ran := false
	return func(ctx context.Context) *graphql.Response {
		if ran {
			return nil
		}
		ran = true
		object := strings.ToUpper(string(op.Operation.Operation[:1])) + string(op.Operation.Operation[1:])
		fields := graphql.CollectFields(op, op.Operation.SelectionSet, []string{object})
		data, bubble := graphql.NewFieldSet(fields), false
		for i, f := range fields {
			value, err := a.resolve(f, f.ArgumentMap(op.Variables))
			if err != nil {
				path := ast.Path{ast.PathName(f.Alias)}
				if f.Name == "deep" {
					path = append(path, ast.PathName("below"))
				}
				graphql.AddError(ctx, gqlerror.WrapPath(path, err))
				bubble = bubble || f.Definition.Type.NonNull
			}
			text, err := json.Marshal(value)
			if err != nil {
				panic(err)
			}
			data.Values[i] = graphql.WriterFunc(func(w io.Writer) { _, _ = w.Write(text) })
		}
		if bubble {
			return &graphql.Response{Data: []byte("null")}
		}
		var buf bytes.Buffer
		data.MarshalGQL(&buf)
		return &graphql.Response{Data: buf.Bytes()}
	}
}

func (a *api) resolve(f graphql.CollectedField, args map[string]any) (any, error) {
	switch f.Name {
	case "health":
		return "ok", nil
	case "echo":
		return args["text"], nil
	case "big":
		return args["n"], nil
	case "count":
		return a.count.Add(1), nil
	case "__typename":
		return f.ObjectDefinition.Name, nil
	case "boom":
		return nil, io.ErrUnexpectedEOF
	case "fails", "must", "deep":
		return nil, asked(args)
	}
	return nil, nil
}

func asked(args map[string]any) *fault.Error {
	code, _ := args["code"].(string)
	reason, _ := args["reason"].(string)
	wait, _ := args["retryAfter"].(int64)
	e := fault.New(fault.Code(code), fault.Reason(reason), "refused")
	e.RetryAfter = time.Duration(wait) * time.Second
	return e
}

func (a *api) ExtensionName() string                   { return "Test" }
func (a *api) Validate(graphql.ExecutableSchema) error { return nil }

func (a *api) MutateOperationParameters(_ context.Context, p *graphql.RawParams) *gqlerror.Error {
	a.params.Store(p)
	return nil
}

// MutateOperationContext refuses locked before execution, like the guard.
func (a *api) MutateOperationContext(_ context.Context, op *graphql.OperationContext) *gqlerror.Error {
	for _, selected := range op.Operation.SelectionSet {
		if f, ok := selected.(*ast.Field); ok && f.Name == "locked" {
			return gqlerror.Wrap(asked(f.ArgumentMap(op.Variables)))
		}
	}
	return nil
}

// answer is a response.
type answer struct {
	Status int
	Header http.Header
	Text   string
	Data   json.RawMessage
	Errors []struct {
		Message    string
		Path       []any
		Extensions struct {
			Code       fault.Code
			Reason     fault.Reason
			RetryAfter int
		}
	}
	Extensions map[string]any
}

// send sends r and decodes the response, which must be empty or one JSON object.
func send(tb testing.TB, r *http.Request) answer {
	tb.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	a := answer{Status: resp.StatusCode, Header: resp.Header, Text: string(text)}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &a); err != nil {
			tb.Fatalf("answer %q: %v", text, err)
		}
	}
	return a
}

// post sends body like a typical client.
func post(tb testing.TB, url, accept, body string) answer {
	tb.Helper()
	return send(tb, webtest.Request(tb, http.MethodPost, url, body, "Content-Type", "application/json", "Accept", accept))
}

// operation returns the body of a POST that runs query.
func operation(query string) string {
	b, err := json.Marshal(map[string]any{"query": query})
	if err != nil {
		panic(err)
	}
	return string(b)
}
