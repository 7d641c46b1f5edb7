package graph

import (
	"context"
	"fmt"
	"reflect"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// exactEnums refuses variables whose enum values are spelled in another case. The validator lets them pass,
// and the domain would be given what the schema does not have: a role "admin", or a scope "all" that ends one
// session only.
type exactEnums struct{ schema *ast.Schema }

var _ interface {
	graphql.HandlerExtension
	graphql.OperationContextMutator
} = exactEnums{}

// ExtensionName implements graphql.HandlerExtension.
func (exactEnums) ExtensionName() string { return "ExactEnums" }

// Validate implements graphql.HandlerExtension.
func (exactEnums) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext looks at the variables once the validator has found that they fit their types else.
func (e exactEnums) MutateOperationContext(_ context.Context, op *graphql.OperationContext) *gqlerror.Error {
	for _, v := range op.Operation.VariableDefinitions {
		if !e.fits(v.Type, op.Variables[v.Variable]) {
			return refusal(fault.New(fault.ValidationFailed, "", fmt.Sprintf("the variable $%.100s holds a value that its enum does not have; case matters", v.Variable)))
		}
	}
	return nil
}

func (e exactEnums) fits(t *ast.Type, value any) bool {
	if value == nil {
		return true
	}
	if t.Elem != nil {
		list := reflect.ValueOf(value)
		if list.Kind() != reflect.Slice { // one value is a list of one
			return e.fits(t.Elem, value)
		}
		for i := range list.Len() {
			if !e.fits(t.Elem, list.Index(i).Interface()) {
				return false
			}
		}
		return true
	}
	switch def := e.schema.Types[t.NamedType]; def.Kind {
	case ast.Enum:
		name, _ := value.(string)
		return def.EnumValues.ForName(name) != nil
	case ast.InputObject:
		fields, _ := value.(map[string]any)
		for _, field := range def.Fields {
			if !e.fits(field.Type, fields[field.Name]) {
				return false
			}
		}
	}
	return true
}
