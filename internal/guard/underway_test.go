package guard_test

import (
	"context"
	"testing"

	"github.com/99designs/gqlgen/graphql"

	"github.com/graphwarden/graphwarden/internal/token"
)

// meanwhile runs do after the first root field called open, or before all fields of a query.
type meanwhile struct{ do func() }

func (*meanwhile) ExtensionName() string                   { return "Meanwhile" }
func (*meanwhile) Validate(graphql.ExecutableSchema) error { return nil }

func (m *meanwhile) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	if graphql.GetOperationContext(ctx).Operation.Operation == "query" {
		m.do()
	}
	return next(ctx)
}

func (m *meanwhile) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	if graphql.GetFieldContext(ctx).Field.Alias == "open" {
		defer m.do()
	}
	return next(ctx)
}

// The caller is checked again before each guarded root field. Public fields continue.
func TestEachRootFieldChecksTheTokenAgain(t *testing.T) {
	t.Parallel()
	for reason, end := range map[string]func(s *server){
		"TOKEN_REVOKED":         func(s *server) { s.revoke(t, "session of kim", "", false) },
		"TOKEN_STALE":           func(s *server) { s.revoke(t, "", "kim", true) },
		"TOKEN_EXPIRED":         func(s *server) { s.advance(t, life+token.Leeway) },
		"REVOCATION_VIEW_STALE": func(s *server) { s.outdate(t) },
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			for query, want := range map[string]string{
				`mutation { open feed }`:                         `feed ` + reason,
				`mutation { open enter(as: "alice") { token } }`: `{"open":1,"enter":{"token":"token of alice"}}`,
				`{ poster { text } me { id } }`:                  `{"poster":{"text":"Come in"},"me":null} me ` + reason,
				`{ poster { price } }`:                           `poster.price ` + reason,
			} {
				m := &meanwhile{}
				s := serve(t, "public", m)
				m.do = func() { end(s) }
				if got := s.ask(t, query, nil, "Bearer "+s.issue(t, s.claims("kim", "KEEPER"))).String(); got != want {
					t.Errorf("%s\ngot  %s\nwant %s", query, got, want)
				}
				if fed := s.Zoo.Fed.Load(); fed != 0 {
					t.Errorf("%s: fed %d", query, fed)
				}
			}
		})
	}
}
