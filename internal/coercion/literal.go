package coercion

import (
	"encoding/json"
	"fmt"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/core"
)

// LiteralRule returns the validation rule ValuesOfCorrectType (GraphQL specification, section 5.6). Unlike gqlparser's
// rule, it names the argument, checks the range of Int, and does not repeat values that may be secrets. With
// suggestions, it suggests names for misspelled ones.
func LiteralRule(suggestions bool) core.Rule {
	return core.Rule{Name: "ValuesOfCorrectType", RuleFunc: func(observers *core.Events, refuse core.AddErrFunc) {
		l := literals{refuse, suggestions}
		observers.OnField(func(w *core.Walker, field *ast.Field) {
			if field.Definition != nil {
				l.arguments(w.Schema, field.Name, field.Definition.Arguments, field.Arguments)
			}
		})
		observers.OnDirective(func(w *core.Walker, directive *ast.Directive) {
			if directive.Definition != nil {
				l.arguments(w.Schema, "@"+directive.Name, directive.Definition.Arguments, directive.Arguments)
			}
		})
		observers.OnOperation(func(w *core.Walker, op *ast.OperationDefinition) {
			for _, v := range op.VariableDefinitions {
				if v.DefaultValue != nil && v.Definition != nil && v.Definition.IsInputType() {
					l.check(w.Schema, "the default of $", v.Variable, "", v.Type, v.DefaultValue, false)
				}
			}
		})
	}}
}

type literals struct {
	refuse      core.AddErrFunc
	suggestions bool
}

func (l literals) arguments(
	schema *ast.Schema, of string, defs ast.ArgumentDefinitionList, arguments ast.ArgumentList,
) {
	for _, argument := range arguments {
		if def := defs.ForName(argument.Name); def != nil {
			l.check(schema, "argument ", def.Name, " of "+of, def.Type, argument.Value, isSensitive(def.Directives))
		}
	}
}

// check refuses the parts of the literal v that have the wrong type. Messages name v before + name + after.
func (l literals) check(schema *ast.Schema, before, name, after string, t *ast.Type, v *ast.Value, hidden bool) {
	c := checker{schema: schema, literal: true, name: func(path ast.Path) string {
		return before + path.String() + after
	}}
	c.value(&step{nil, ast.PathName(name)}, t, literal(v), hidden)
	for _, p := range c.problems {
		at, _ := descend(v, p.path[1:])
		l.refuse(core.Message("%s%s", p.message, l.suggestion(schema, t, p.path[1:], at)), core.At(at.Position))
	}
	if _, err := v.Value(nil); err != nil && len(c.problems) == 0 {
		path := ast.Path{ast.PathName(name)}
		l.refuse(core.Message("%s contains a number that is too large", c.name(path)), core.At(v.Position))
	}
}

// suggestion suggests a field or an enum value for the misspelled one at path in a value of type t.
func (l literals) suggestion(schema *ast.Schema, t *ast.Type, path ast.Path, v *ast.Value) string {
	if !l.suggestions {
		return ""
	}
	var options []string
	def, meant := typeAt(schema, t, path), v.Raw
	if def == nil { // the last name is unknown
		def = typeAt(schema, t, path[:len(path)-1])
		meant = fmt.Sprint(path[len(path)-1])
		for _, field := range def.Fields {
			options = append(options, field.Name)
		}
	} else if v.Kind == ast.EnumValue || v.Kind == ast.StringValue {
		for _, value := range def.EnumValues {
			options = append(options, value.Name)
		}
	}
	if options = core.SuggestionList(meant, options); len(options) == 0 {
		return ""
	}
	return ". Did you mean " + core.QuotedOrList(options...) + "?"
}

// typeAt returns the definition of the type at path in a value of type t, or nil.
func typeAt(schema *ast.Schema, t *ast.Type, path ast.Path) *ast.Definition {
	def := schema.Types[t.Name()]
	for _, element := range path {
		name, isName := element.(ast.PathName)
		if !isName {
			continue
		}
		field := def.Fields.ForName(string(name))
		if field == nil {
			return nil
		}
		def = schema.Types[field.Type.Name()]
	}
	return def
}

// literal converts a literal to a value for a checker.
func literal(v *ast.Value) any {
	switch v.Kind {
	case ast.Variable:
		return variable{}
	case ast.IntValue:
		return json.Number(v.Raw)
	case ast.FloatValue:
		return floatLiteral(v.Raw)
	case ast.StringValue, ast.BlockValue:
		return v.Raw
	case ast.BooleanValue:
		return v.Raw == "true"
	case ast.EnumValue:
		return enumLiteral(v.Raw)
	case ast.ListValue:
		items := make([]any, len(v.Children))
		for i, child := range v.Children {
			items[i] = literal(child.Value)
		}
		return items
	case ast.ObjectValue:
		fields := make(map[string]any, len(v.Children))
		for _, child := range v.Children {
			fields[child.Name] = literal(child.Value)
		}
		return fields
	}
	return nil
}

// descend follows path into the literal v. It stops at a variable or a missing value, and returns the rest of the path.
func descend(v *ast.Value, path ast.Path) (*ast.Value, ast.Path) {
	for len(path) > 0 {
		var next *ast.Value
		switch element := path[0].(type) {
		case ast.PathName:
			next = v.Children.ForName(string(element))
		case ast.PathIndex:
			if v.Kind == ast.ListValue && int(element) < len(v.Children) {
				next = v.Children[element].Value
			} else if v.Kind != ast.Variable && element == 0 { // a single value is coerced to a list of one
				next = v
			}
		}
		if next == nil {
			break
		}
		v, path = next, path[1:]
	}
	return v, path
}
