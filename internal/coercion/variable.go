package coercion

import (
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// variables coerces the variables of a request to their types in op (GraphQL specification, section 6.1.2).
func (x *Extension) variables(op *ast.OperationDefinition, given map[string]any) (map[string]any, *gqlerror.Error) {
	var found problems
	coerced := make(map[string]any, len(op.VariableDefinitions))
	for _, def := range op.VariableDefinitions {
		value, isGiven := given[def.Variable]
		value, wrong := x.variable(def, value, isGiven, false)
		if len(wrong) > 0 {
			argument, hidden := firstUse(op, def.Variable)
			if hidden {
				_, wrong = x.variable(def, value, isGiven, true)
			}
			for i := range wrong {
				wrong[i].path = append(argument[:len(argument):len(argument)], wrong[i].path[1:]...)
			}
		}
		found.add(def.Position, wrong...)
		if isGiven {
			coerced[def.Variable] = value
		}
	}
	return coerced, found.refusal()
}

func (x *Extension) variable(def *ast.VariableDefinition, value any, given, hidden bool) (any, []problem) {
	c := checker{schema: x.schema, name: func(path ast.Path) string { return "variable $" + path.String() }}
	at := &step{nil, ast.PathName(def.Variable)}
	switch {
	case given:
		value = c.value(at, def.Type, value, hidden)
	case def.Type.NonNull && def.DefaultValue == nil:
		c.add(at, fault.Required, " of type %s was not provided", def.Type)
	}
	return value, c.problems
}

// firstUse returns the path of the first argument that uses the variable name, and whether any such argument is
// @sensitive. If only directives use the variable, the path is its name.
func firstUse(op *ast.OperationDefinition, name string) (first ast.Path, hidden bool) {
	for field, argument := range argumentsOf(op.SelectionSet, make(map[string]bool)) {
		def := field.Definition.Arguments.ForName(argument.Name)
		use, sensitive := within(argument.Value, name, isSensitive(def.Directives))
		hidden = hidden || sensitive
		if use != nil && first == nil {
			first = append(ast.Path{ast.PathName(argument.Name)}, use...)
		}
	}
	if first == nil {
		first = ast.Path{ast.PathName(clip(name, maxName))}
	}
	return first, hidden
}

// within returns the path of the variable name in the literal v, or nil if v does not contain it.
func within(v *ast.Value, name string, hidden bool) (path ast.Path, sensitive bool) {
	if v.Kind == ast.Variable && v.Raw == name {
		return ast.Path{}, hidden
	}
	for i, child := range v.Children {
		element, childHidden := ast.PathElement(ast.PathIndex(i)), hidden
		if v.Kind == ast.ObjectValue {
			element = ast.PathName(child.Name)
			if field := v.Definition.Fields.ForName(child.Name); field != nil {
				childHidden = hidden || isSensitive(field.Directives)
			}
		}
		if below, s := within(child.Value, name, childHidden); below != nil {
			return append(ast.Path{element}, below...), s
		}
	}
	return nil, false
}
