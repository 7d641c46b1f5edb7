package coercion_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/graphwarden/graphwarden/internal/coercion"
	"github.com/graphwarden/graphwarden/internal/coercion/coerciontest"
	"github.com/graphwarden/graphwarden/internal/coercion/coerciontest/generated"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/transport"
)

// server serves coerciontest over HTTP.
type server struct {
	handler  http.Handler
	resolver *coerciontest.Resolver
}

func start(tb testing.TB) *server {
	tb.Helper()
	r := &coerciontest.Resolver{}
	executable := generated.NewExecutableSchema(generated.Config{Resolvers: r})
	rulesOf := func() *rules.Rules {
		list := rules.NewDefaultRules()
		list.RemoveRule(rules.ValuesOfCorrectTypeRule.Name)
		literals := coercion.LiteralRule(false)
		list.AddRule(literals.Name, literals.RuleFunc)
		return list
	}
	documents := lru.New[*ast.QueryDocument](100)
	srv := handler.New(executable)
	srv.AddTransport(transport.HTTP{})
	srv.SetQueryCache(documents)
	srv.SetValidationRulesFn(rulesOf)
	srv.SetErrorPresenter(func(ctx context.Context, err error) *gqlerror.Error {
		shown := graphql.DefaultErrorPresenter(ctx, err)
		if f := fault.As(err); f != nil {
			shown.Extensions = map[string]any{"code": f.Code, "fields": f.Fields}
		}
		return shown
	})
	srv.Use(coercion.NewExtension(executable.Schema(), generated.Arguments(executable), rulesOf, documents))
	return &server{srv, r}
}

// answer is a response.
type answer struct {
	status int
	body   string
	Data   json.RawMessage
	Errors []struct {
		Message    string
		Locations  []struct{ Line, Column int }
		Extensions struct {
			Code   string
			Fields []fault.Field
		}
	}
}

// messages returns the sorted messages of the errors. An error with several fields counts with the messages of its
// fields.
func (a *answer) messages() string {
	var list []string
	for _, e := range a.Errors {
		list = append(list, e.Message)
		if len(e.Extensions.Fields) > 1 {
			list = list[:len(list)-1]
			for _, f := range e.Extensions.Fields {
				list = append(list, f.Message)
			}
		}
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// send sends a document with variables in JSON.
func (s *server) send(t *testing.T, document, variables string) *answer {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": document, "variables": json.RawMessage(variables)})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(string(body)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/graphql-response+json")
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	a := &answer{status: w.Code, body: w.Body.String()}
	if err := json.Unmarshal(w.Body.Bytes(), a); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return a
}

// refused checks that a is a request error, and that no resolver ran.
func (s *server) refused(t *testing.T, a *answer, code, message string) {
	t.Helper()
	if a.status != http.StatusBadRequest || a.Data != nil || len(a.Errors) == 0 {
		t.Errorf("status %d: %s", a.status, a.body)
		return
	}
	if got := a.messages(); got != message {
		t.Errorf("got  %s\nwant %s", got, message)
	}
	for _, e := range a.Errors {
		if len(e.Locations) == 0 {
			t.Errorf("no location: %s", a.body)
		}
		if e.Extensions.Code != code {
			t.Errorf("code %s: %s", e.Extensions.Code, a.body)
		}
	}
	if ran := s.resolver.Ran.Load(); ran != 0 {
		t.Errorf("the mutation ran %d times", ran)
	}
}
