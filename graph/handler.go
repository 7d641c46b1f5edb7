package graph

import (
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/graphwarden/graphwarden/graph/generated"
	"github.com/graphwarden/graphwarden/internal/coercion"
	"github.com/graphwarden/graphwarden/internal/guard"
	"github.com/graphwarden/graphwarden/internal/limit"
	"github.com/graphwarden/graphwarden/internal/memory"
	"github.com/graphwarden/graphwarden/internal/transport"
)

// HandlerOptions bound the cost of one operation.
type HandlerOptions struct {
	// Bounds are the limits of one operation.
	Bounds limit.Bounds
	// MaxBody is the maximum size of a request's body, in bytes; MaxValues and MaxDepth bound the JSON in it.
	MaxBody             int64
	MaxValues, MaxDepth int
	// Memory is the budget that requests share.
	Memory *memory.Budget
	// Batch is the maximum number of operations in one request; 0 allows no batches.
	Batch int
	// Timeout ends a query or mutation.
	Timeout time.Duration
	// Suggestions adds suggestions to error messages, which reveals names of the schema.
	Suggestions bool
	// Streams serves event streams, and WebSockets from pages that Origin accepts.
	Streams *transport.Streams
	Origin  func(*http.Request) bool
	// Trusted, if not nil, contains the only documents that may run.
	Trusted *TrustedDocuments
}

// NewHandler returns the GraphQL server. schema is the SDL that policy was compiled from. more are additional
// extensions, which run inside the guard.
func NewHandler(
	schema *ast.Schema,
	r *Resolver,
	policy *guard.Policy,
	o HandlerOptions,
	now func() time.Time,
	log *slog.Logger,
	more ...graphql.HandlerExtension,
) (*handler.Server, error) {
	documents, err := newCache(o.Memory.Caches()/2, func(text string, doc *ast.QueryDocument) int64 {
		return int64(len(text)) + memory.Document(doc)
	})
	if err != nil {
		return nil, err
	}
	persisted, err := newPersisted(o.Trusted, o.Memory.Caches()/4)
	if err != nil {
		return nil, err
	}
	limits, err := newLimits(o.Bounds, o.Memory.Caches()/4)
	if err != nil {
		return nil, err
	}
	executable := generated.NewExecutableSchema(generated.Config{Schema: schema, Resolvers: r})
	rules := func() *rules.Rules { return validation(o.Suggestions) }
	srv := handler.New(executable)
	srv.AddTransport(transport.WebSocket{Streams: o.Streams, Origin: o.Origin})
	srv.AddTransport(transport.Events{Streams: o.Streams})
	srv.AddTransport(transport.HTTP{
		MaxBody:   o.MaxBody,
		MaxValues: o.MaxValues,
		MaxDepth:  o.MaxDepth,
		Batch:     o.Batch,
		Memory:    o.Memory,
	})
	srv.SetQueryCache(documents)
	srv.SetParserTokenLimit(o.Bounds.Tokens)
	srv.SetDisableSuggestion(!o.Suggestions)
	srv.SetValidationRulesFn(rules)
	present := presenter(log)
	srv.SetErrorPresenter(present)
	srv.SetRecoverFunc(recovered)
	srv.Use(persisted)
	srv.Use(limits) // after the text of a persisted operation is known
	srv.Use(coercion.NewExtension(schema, generated.Arguments(executable), rules, documents))
	srv.Use(oneStream{schema})
	srv.Use(extension.Introspection{}) // the guard decides who may use it
	srv.AroundOperations(withSiblings)
	srv.AroundOperations(bounded(o.Timeout))
	var fields guard.Fields
	if !slices.ContainsFunc(more, interceptsLeaves) {
		fields = generated.Fields(executable)
	}
	srv.Use(boundedGuard{guard.NewExtension(policy, fields, r.Authenticator.Check, present, now, log)})
	for _, extension := range more {
		srv.Use(extension)
	}
	if !slices.ContainsFunc(more, interceptsResponses) {
		srv.Use(guard.NewResponder(policy, generated.Queries(executable), present))
	}
	return srv, nil
}

// interceptsLeaves reports whether an extension must see fields without a resolver. The guard then leaves all fields to
// gqlgen, which costs time. An extension that can do without has the method SkipsLeaves.
func interceptsLeaves(e graphql.HandlerExtension) bool {
	_, intercepts := e.(graphql.FieldInterceptor)
	_, skips := e.(interface{ SkipsLeaves() })
	return intercepts && !skips
}

// interceptsResponses reports whether an extension must see each response. gqlgen then answers all queries.
func interceptsResponses(e graphql.HandlerExtension) bool {
	_, intercepts := e.(graphql.ResponseInterceptor)
	return intercepts
}
