package coercion

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// argumentsOf visits the arguments of all fields in set, including skipped ones. It enters each fragment once; entered
// holds the names of those already entered.
func argumentsOf(set ast.SelectionSet, entered map[string]bool) iter.Seq2[*ast.Field, *ast.Argument] {
	return func(yield func(*ast.Field, *ast.Argument) bool) { visit(set, entered, yield) }
}

func visit(set ast.SelectionSet, entered map[string]bool, yield func(*ast.Field, *ast.Argument) bool) bool {
	for _, selection := range set {
		switch s := selection.(type) {
		case *ast.Field:
			for _, argument := range s.Arguments {
				if !yield(s, argument) {
					return false
				}
			}
			set = s.SelectionSet
		case *ast.InlineFragment:
			set = s.SelectionSet
		case *ast.FragmentSpread:
			if entered[s.Name] {
				continue
			}
			entered[s.Name] = true
			set = s.Definition.SelectionSet
		}
		if !visit(set, entered, yield) {
			return false
		}
	}
	return true
}

func dependsOnVariable(v *ast.Value) bool {
	return v.Kind == ast.Variable ||
		slices.ContainsFunc(v.Children, func(child *ast.ChildValue) bool { return dependsOnVariable(child.Value) })
}

// argument reads an argument of a field as execution does. The variables must be coerced.
func (x *Extension) argument(
	ctx context.Context, field *ast.Field, argument *ast.Argument, variables map[string]any,
) []problem {
	def := field.Definition.Arguments.ForName(argument.Name)
	value, given := variables[argument.Value.Raw]
	if argument.Value.Kind != ast.Variable {
		var err error
		value, err = argument.Value.Value(variables)
		given = err == nil // else validation has refused it
	}
	if !given {
		return nil
	}
	c := checker{schema: x.schema, name: func(path ast.Path) string { return nameOf(field, argument, path) }}
	at := &step{nil, ast.PathName(def.Name)}
	hidden := isSensitive(def.Directives)
	c.value(at, def.Type, value, hidden) // the value may be null if the variable or the argument has a default
	if len(c.problems) == 0 {
		for _, object := range x.schema.GetPossibleTypes(field.ObjectDefinition) {
			c.unmarshal(ctx, x.unmarshal[keyOf(object, field.Definition, def)], def, value)
		}
	}
	return c.problems
}

// unmarshal calls a generated unmarshaler, which calls those of custom scalars.
func (c *checker) unmarshal(
	ctx context.Context, read func(context.Context, any) error, def *ast.ArgumentDefinition, value any,
) {
	if read == nil { // an argument of introspection, which has no custom scalars
		return
	}
	path := ast.Path{ast.PathName(def.Name)}
	err := safely(graphql.WithPathContext(ctx, graphql.NewPathWithField(def.Name)), read, value)
	if err == nil {
		return
	}
	if given, ok := errors.AsType[*gqlerror.Error](err); ok && len(given.Path) > 0 {
		path = given.Path
	}
	t, value, hidden := c.at(def, value, path[1:])
	p := problem{path, fault.Malformed, c.name(path) + ": " + mismatch(t, value, hidden)}
	if f := fault.As(err); f != nil { // other errors may contain the value or the names of Go types
		p.message += ": " + f.Message
	}
	c.problems = append(c.problems, p)
}

// at returns the type and the value at path in an argument, and whether it is @sensitive.
func (c *checker) at(
	def *ast.ArgumentDefinition, value any, path ast.Path,
) (t *ast.Definition, found any, hidden bool) {
	t, hidden = c.schema.Types[def.Type.Name()], isSensitive(def.Directives)
	for _, element := range path {
		switch element := element.(type) {
		case ast.PathName:
			field := t.Fields.ForName(string(element))
			if field == nil {
				return t, value, hidden
			}
			t, hidden = c.schema.Types[field.Type.Name()], hidden || isSensitive(field.Directives)
			fields, _ := value.(map[string]any)
			value = fields[string(element)]
		case ast.PathIndex:
			if items, ok := value.([]any); ok && int(element) < len(items) {
				value = items[element]
			}
		}
	}
	return t, value, hidden
}

// safely turns a panic of an unmarshaler, for example in a type assertion, into an error.
func safely(ctx context.Context, read func(context.Context, any) error, value any) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the unmarshaler panicked")
		}
	}()
	return read(ctx, value)
}

// nameOf returns the name for messages of the value at path, which starts with the name of the argument. If a variable
// contains the value, it is the variable's name.
func nameOf(field *ast.Field, argument *ast.Argument, path ast.Path) string {
	v, rest := descend(argument.Value, path[1:])
	if v.Kind == ast.Variable {
		return "variable $" + append(ast.Path{ast.PathName(clip(v.Raw, maxName))}, rest...).String()
	}
	return "argument " + path.String() + " of " + field.Name
}
