package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// oneStream refuses a subscription that does not have exactly one root field after @skip and @include. The validator
// does not count them, and gqlgen answers this mistake of a client with an internal error.
type oneStream struct{ schema *ast.Schema }

var _ interface {
	graphql.HandlerExtension
	graphql.OperationContextMutator
} = oneStream{}

// ExtensionName implements graphql.HandlerExtension.
func (oneStream) ExtensionName() string { return "OneStream" }

// Validate implements graphql.HandlerExtension.
func (oneStream) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext counts the root fields once the variables are known.
func (s oneStream) MutateOperationContext(_ context.Context, op *graphql.OperationContext) *gqlerror.Error {
	if op.Operation.Operation != ast.Subscription ||
		len(graphql.CollectFields(op, op.Operation.SelectionSet, []string{s.schema.Subscription.Name})) == 1 {
		return nil
	}
	return refusal(fault.New(fault.ValidationFailed, "",
		"a subscription must have exactly one root field, which @skip and @include cannot leave out"))
}
