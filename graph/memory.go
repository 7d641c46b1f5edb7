package graph

import (
	"context"
	"reflect"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/graphwarden/graphwarden/internal/guard"
	"github.com/graphwarden/graphwarden/internal/memory"
)

// fieldSize is what a field of one object takes from when it is resolved until the answer is written, beside twice its
// alias. Measured: 220 bytes in an answer of 127,000 fields, 355 in one of 10,000.
const fieldSize = 320

// boundedGuard is the guard with claims for what fields will take before they are resolved: all of an operation once, and
// those of the items of a list when it is known how many there are. Nothing else makes an answer larger than its document.
// Where something does not fit, nothing more of the operation is resolved.
//
// It is no extension of its own because each field interceptor costs every field an allocation.
type boundedGuard struct{ *guard.Extension }

var _ interface {
	graphql.HandlerExtension
	graphql.OperationContextMutator
	graphql.OperationInterceptor
	graphql.ResponseInterceptor
	graphql.FieldInterceptor
} = boundedGuard{}

// MutateOperationContext claims what every field takes once.
func (boundedGuard) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	if err := memory.From(ctx).Grow(fieldBytes(op.Operation.SelectionSet)); err != nil {
		return refusal(err)
	}
	return nil
}

// InterceptField claims the items of lists that the guard lets pass.
func (g boundedGuard) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	field := graphql.GetFieldContext(ctx).Field
	if len(field.Selections) == 0 {
		return g.Extension.InterceptField(ctx, next)
	}
	claim := memory.From(ctx)
	if err := claim.Refused(); err != nil {
		return nil, err
	}
	value, err := g.Extension.InterceptField(ctx, next)
	if err != nil || value == nil || field.Definition.Type.Elem == nil {
		return value, err
	}
	if list := reflect.ValueOf(value); list.Kind() == reflect.Slice {
		if err := claim.Grow(int64(list.Len()) * fieldBytes(field.Selections)); err != nil {
			return nil, err
		}
	}
	return value, nil
}

// fieldBytes is what the fields of set take together, of a list one item.
func fieldBytes(set ast.SelectionSet) (size int64) {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			size += fieldSize + 2*int64(len(s.Alias))
			if s.Definition.Type.Elem == nil {
				size += fieldBytes(s.SelectionSet)
			}
		case *ast.InlineFragment:
			size += fieldBytes(s.SelectionSet)
		case *ast.FragmentSpread:
			size += fieldBytes(s.Definition.SelectionSet)
		}
	}
	return size
}
