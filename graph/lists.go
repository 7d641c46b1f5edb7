package graph

import (
	"context"
	"reflect"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/memory"
)

// cellBytes is what one field of one item of a list takes until it is written: measured at up to … bytes.
const cellBytes = 640

// listMemory claims what the items of a list will take before they are resolved. Lists are what makes an answer larger
// than its document, which is bounded. A list that does not fit is refused as a whole.
type listMemory struct{}

var _ interface {
	graphql.HandlerExtension
	graphql.FieldInterceptor
} = listMemory{}

// ExtensionName implements graphql.HandlerExtension.
func (listMemory) ExtensionName() string { return "ListMemory" }

// Validate implements graphql.HandlerExtension.
func (listMemory) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptField looks at fields whose type is a list.
func (listMemory) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	value, err := next(ctx)
	field := graphql.GetFieldContext(ctx).Field
	if err != nil || value == nil || field.Definition.Type.Elem == nil {
		return value, err
	}
	list := reflect.ValueOf(value)
	if list.Kind() != reflect.Slice {
		return value, nil
	}
	if err := memory.From(ctx).Grow(int64(list.Len()) * itemBytes(field.Selections)); err != nil {
		return nil, err
	}
	return value, nil
}

// itemBytes is what one item takes of which set is selected, without the items of lists in it.
func itemBytes(set ast.SelectionSet) int64 {
	size := int64(cellBytes)
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			size += int64(len(s.Alias)) + itemBytes(s.SelectionSet)
		case *ast.InlineFragment:
			size += itemBytes(s.SelectionSet)
		case *ast.FragmentSpread:
			size += itemBytes(s.Definition.SelectionSet)
		}
	}
	return size
}
