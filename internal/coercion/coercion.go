package coercion

import (
	"context"
	"fmt"
	"slices"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// Unmarshalers are the generated unmarshalers of the arguments of a schema, keyed by "Type.field.argument".
type Unmarshalers map[string]func(ctx context.Context, value any) error

// Extension coerces the values of each operation before execution. It must run after extensions that replace or refuse
// the document.
type Extension struct {
	schema    *ast.Schema
	unmarshal Unmarshalers
	rules     func() *rules.Rules
	documents graphql.Cache[*ast.QueryDocument]
}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationParameterMutator
	graphql.OperationContextMutator
} = (*Extension)(nil)

// NewExtension returns an Extension. It shares the validation rules and the document cache with the executor.
func NewExtension(
	schema *ast.Schema, unmarshal Unmarshalers, rules func() *rules.Rules, documents graphql.Cache[*ast.QueryDocument],
) *Extension {
	return &Extension{schema, unmarshal, rules, documents}
}

// ExtensionName implements graphql.HandlerExtension.
func (*Extension) ExtensionName() string { return "Coercion" }

// Validate implements graphql.HandlerExtension. It returns an error if the generated code is older than the schema.
func (x *Extension) Validate(graphql.ExecutableSchema) error {
	for _, def := range x.schema.Types {
		if def.Kind != ast.Object || def.BuiltIn {
			continue
		}
		for _, field := range def.Fields {
			for _, argument := range field.Arguments {
				if key := keyOf(def, field, argument); x.unmarshal[key] == nil {
					return fmt.Errorf("the generated code lacks the argument %s: run go generate ./... again", key)
				}
			}
		}
	}
	return nil
}

func keyOf(def *ast.Definition, field *ast.FieldDefinition, argument *ast.ArgumentDefinition) string {
	return def.Name + "." + field.Name + "." + argument.Name
}

// MutateOperationParameters coerces the variables to their declared types, and checks the literals of a new document.
// It runs before gqlgen's coercion, whose messages do not name the variable. It skips invalid documents, because the
// executor lists all their errors.
func (x *Extension) MutateOperationParameters(ctx context.Context, params *graphql.RawParams) *gqlerror.Error {
	doc, known := x.documents.Get(ctx, params.Query)
	if !known {
		if err := CheckEscapes(params.Query); err != nil {
			return err
		}
		doc = x.valid(params.Query)
	}
	if doc == nil {
		return nil
	}
	op := doc.Operations.ForName(params.OperationName)
	if op == nil {
		return nil
	}
	record := graphql.GetOperationContext(ctx)
	record.Doc, record.Operation = doc, op // the transport needs the kind of refused operations too
	if !known {
		if err := x.literals(ctx, doc); err != nil {
			return err
		}
		x.documents.Add(ctx, params.Query, doc)
	}
	var err *gqlerror.Error
	params.Variables, err = x.variables(op, params.Variables)
	return err
}

// valid parses and validates a document. It returns nil if the document is invalid.
func (x *Extension) valid(text string) *ast.QueryDocument {
	doc, err := parser.ParseQuery(&ast.Source{Input: text})
	if err != nil || len(doc.Operations) == 0 || len(validator.ValidateWithRules(x.schema, doc, x.rules())) > 0 {
		return nil
	}
	return doc
}

// MutateOperationContext reads the arguments that depend on variables.
func (x *Extension) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	if len(op.Operation.VariableDefinitions) == 0 {
		return nil
	}
	var found problems
	for field, argument := range argumentsOf(op.Operation.SelectionSet, make(map[string]bool)) {
		if dependsOnVariable(argument.Value) {
			found.add(argument.Position, x.argument(ctx, field, argument, op.Variables)...)
		}
	}
	return found.refusal()
}

// literals reads the arguments that do not depend on variables.
func (x *Extension) literals(ctx context.Context, doc *ast.QueryDocument) *gqlerror.Error {
	var found problems
	seen := make(map[string]bool)
	for _, op := range doc.Operations {
		for field, argument := range argumentsOf(op.SelectionSet, seen) {
			if !dependsOnVariable(argument.Value) {
				found.add(argument.Position, x.argument(ctx, field, argument, nil)...)
			}
		}
	}
	return found.refusal()
}

// problems are the problems of one operation.
type problems struct {
	fields    []fault.Field
	locations []gqlerror.Location
}

func (p *problems) add(at *ast.Position, found ...problem) {
	for _, problem := range found {
		field := fault.Field{Path: problem.path.String(), Reason: problem.reason, Message: problem.message}
		if len(p.fields) == maxProblems || slices.Contains(p.fields, field) { // a variable can be used twice
			continue
		}
		p.fields = append(p.fields, field)
		if at != nil {
			p.locations = append(p.locations, gqlerror.Location{Line: at.Line, Column: at.Column})
		}
	}
}

// refusal returns the request error for the problems, or nil without problems.
func (p *problems) refusal() *gqlerror.Error {
	err := fault.Invalid(p.fields)
	if err == nil {
		return nil
	}
	return &gqlerror.Error{Err: err, Message: fault.As(err).Message, Locations: slices.Compact(p.locations)}
}
