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

// exactVariables refuses variables that the validator lets pass though their types do not allow it: numbers as
// text, and enum values spelled in another case. The domain would be given what the schema does not have: a role
// "admin", or a scope "all" that ends one session only. That text is no Int is for model.UnmarshalInt to say.
type exactVariables struct{ schema *ast.Schema }

var _ interface {
	graphql.HandlerExtension
	graphql.OperationContextMutator
} = exactVariables{}

// ExtensionName implements graphql.HandlerExtension.
func (exactVariables) ExtensionName() string { return "ExactVariables" }

// Validate implements graphql.HandlerExtension.
func (exactVariables) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext looks at the variables once the validator has found that they fit their types else.
func (x exactVariables) MutateOperationContext(_ context.Context, op *graphql.OperationContext) *gqlerror.Error {
	for _, v := range op.Operation.VariableDefinitions {
		if !x.fits(v.Type, op.Variables[v.Variable]) {
			return refusal(fault.New(fault.ValidationFailed, "", fmt.Sprintf("the variable $%.100s holds a value that its type does not have: a number is no text, and the case of an enum's value matters", v.Variable)))
		}
	}
	return nil
}

func (x exactVariables) fits(t *ast.Type, value any) bool {
	if value == nil {
		return true
	}
	if t.Elem != nil {
		list := reflect.ValueOf(value)
		if list.Kind() != reflect.Slice { // one value is a list of one
			return x.fits(t.Elem, value)
		}
		for i := range list.Len() {
			if !x.fits(t.Elem, list.Index(i).Interface()) {
				return false
			}
		}
		return true
	}
	switch def := x.schema.Types[t.NamedType]; def.Kind {
	case ast.Enum:
		name, _ := value.(string)
		return def.EnumValues.ForName(name) != nil
	case ast.Scalar:
		_, isText := value.(string) // a number is a json.Number
		return isText || def.Name != "String"
	case ast.InputObject:
		fields, _ := value.(map[string]any)
		for _, field := range def.Fields {
			if !x.fits(field.Type, fields[field.Name]) {
				return false
			}
		}
	}
	return true
}
