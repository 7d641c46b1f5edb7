package guard

import (
	"bytes"
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// Queries are the root fields of queries, by name. Generated code provides them. Each runs the field through gqlgen.
type Queries map[string]func(ctx context.Context, field graphql.CollectedField) graphql.Marshaler

// Responder answers queries with one root field as gqlgen's executor does. gqlgen spends about forty allocations around
// the root fields, most of them for several fields or several responses. The field itself runs through gqlgen, with all
// interceptors of root fields and fields. Interceptors of responses do not run.
type Responder struct {
	policy  *Policy
	queries Queries
	present graphql.ErrorPresenterFunc
}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationInterceptor
} = (*Responder)(nil)

// NewResponder makes a Responder. It must be the innermost operation interceptor of a server without interceptors of
// responses besides Extension. present is the server's error presenter.
func NewResponder(policy *Policy, queries Queries, present graphql.ErrorPresenterFunc) *Responder {
	return &Responder{policy: policy, queries: queries, present: present}
}

// ExtensionName implements graphql.HandlerExtension.
func (*Responder) ExtensionName() string { return "Responder" }

// Validate implements graphql.HandlerExtension.
func (*Responder) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptOperation leaves other operations to gqlgen.
func (r *Responder) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	if op.Operation.Operation != ast.Query {
		return next(ctx)
	}
	fields := rootFields(op, r.policy.roots[ast.Query])
	if len(fields) != 1 || r.queries[fields[0].Name] == nil {
		return next(ctx)
	}
	answered := false
	return func(ctx context.Context) *graphql.Response {
		if answered || ctx.Err() != nil {
			return nil
		}
		answered = true
		return r.respond(ctx, op, fields[0])
	}
}

func (r *Responder) respond(
	ctx context.Context, op *graphql.OperationContext, field graphql.CollectedField,
) *graphql.Response {
	ctx = graphql.WithResponseContext(ctx, r.present, op.RecoverFunc)
	ctx = graphql.WithFieldContext(ctx, &graphql.FieldContext{Object: r.policy.roots[ast.Query]})
	root := graphql.WithRootFieldContext(ctx, &graphql.RootFieldContext{Object: field.Name, Field: field})
	value := op.RootResolverMiddleware(root, func(ctx context.Context) (value graphql.Marshaler) {
		defer func() {
			if problem := recover(); problem != nil {
				op.Error(ctx, op.Recover(ctx, problem))
				value = graphql.Null
			}
		}()
		return r.queries[field.Name](ctx, field)
	})
	var data bytes.Buffer
	if isInvalid(value, field.Definition) {
		graphql.Null.MarshalGQL(&data)
	} else {
		if o, ok := value.(*written); ok {
			data.Grow(len(field.Alias) + len(o.text) + usualSize)
		}
		data.WriteString(`{"` + field.Alias + `":`)
		value.MarshalGQL(&data)
		data.WriteByte('}')
	}
	return &graphql.Response{
		Data:       data.Bytes(),
		Errors:     graphql.GetErrors(ctx),
		Extensions: graphql.GetExtensions(ctx),
	}
}

// rootFields returns the root fields of an operation.
func rootFields(op *graphql.OperationContext, root string) []graphql.CollectedField {
	set := op.Operation.SelectionSet
	if len(set) == 1 && isSimple(set) {
		field := set[0].(*ast.Field)
		return []graphql.CollectedField{{Field: field, Selections: field.SelectionSet, IsNonDeferrable: true}}
	}
	return graphql.CollectFields(op, set, []string{root})
}

// isInvalid reports whether the value of a field is a null that its object must not have.
func isInvalid(value graphql.Marshaler, field *ast.FieldDefinition) bool {
	if field.Type.NonNull {
		return value == graphql.Null
	}
	return value == graphql.RequiredNull // of a field that an interceptor has marked as non-null
}
