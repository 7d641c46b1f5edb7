package guard

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// Extension enforces a Policy in a gqlgen server. It must be the outermost field interceptor.
type Extension struct {
	policy  *Policy
	fields  Fields
	check   func(context.Context) error
	present graphql.ErrorPresenterFunc
	now     func() time.Time
	log     *slog.Logger
}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationInterceptor
	graphql.ResponseInterceptor
	graphql.RootFieldInterceptor
	graphql.FieldInterceptor
} = (*Extension)(nil)

// NewExtension makes an Extension. If fields is not nil, field interceptors inside it do not see leaves. check is
// Authenticator.Check. present is the server's error presenter; refusals of whole operations pass through it like all
// other errors.
func NewExtension(
	policy *Policy,
	fields Fields,
	check func(context.Context) error,
	present graphql.ErrorPresenterFunc,
	now func() time.Time,
	log *slog.Logger,
) *Extension {
	return &Extension{policy: policy, fields: fields, check: check, present: present, now: now, log: log}
}

// ExtensionName implements graphql.HandlerExtension.
func (*Extension) ExtensionName() string { return "Guard" }

// Validate implements graphql.HandlerExtension.
func (*Extension) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptOperation judges the root fields before any resolver runs. It refuses a mutation if any root field is
// refused, so that a refused mutation has no partial effect, and a query if all root fields are refused.
func (g *Extension) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	root := g.policy.roots[op.Operation.Operation]
	s := stateAt(ctx, nil)
	fields := rootFields(op, root)
	var refused gqlerror.List
	for _, field := range fields {
		if field.Name == "__typename" {
			continue
		}
		if refusal := g.judge(root, field.Name, s, nil); refusal != nil {
			refused = append(refused, &gqlerror.Error{
				Err: refusal, Message: refusal.Message, Path: ast.Path{ast.PathName(field.Alias)},
				Locations: []gqlerror.Location{{Line: field.Position.Line, Column: field.Position.Column}},
			})
		}
	}
	if len(refused) == 0 || op.Operation.Operation == ast.Query && len(refused) < len(fields) {
		if op.Operation.Operation == ast.Subscription {
			ctx = context.WithValue(ctx, eventsKey{}, &events{})
		}
		return next(ctx)
	}
	ctx = graphql.WithResponseContext(ctx, g.present, op.RecoverFunc)
	for _, refusal := range refused {
		graphql.AddError(ctx, refusal)
	}
	return graphql.OneShot(&graphql.Response{Errors: graphql.GetErrors(ctx)})
}

// InterceptRootField checks the caller before each root field. If the token is no longer valid, it refuses the field
// and all fields below it for that reason. The root fields of a mutation run in sequence: a revocation can arrive
// during the first, and the last could restore the right. Those of a query are checked too, because the check is cheap
// and needs no distinction between operations.
func (g *Extension) InterceptRootField(ctx context.Context, next graphql.RootResolver) graphql.Marshaler {
	if err := g.check(ctx); err != nil {
		ctx = context.WithValue(ctx, stateKey{}, stateOf(nil, err))
	}
	return next(ctx)
}

// InterceptField judges one field by its concrete type.
func (g *Extension) InterceptField(ctx context.Context, next graphql.Resolver) (any, error) {
	fc := graphql.GetFieldContext(ctx)
	if strings.HasPrefix(fc.Object, "__") {
		return next(ctx) // below __schema or __type, which are judged themselves
	}
	var object any
	if fc.Parent != nil {
		object = fc.Parent.Result
	}
	s := stateAt(ctx, fc.Parent)
	if refusal := g.judge(fc.Object, fc.Field.Name, s, object); refusal != nil {
		return nil, refusal
	}
	value, err := next(ctx)
	if err != nil || value == nil {
		return value, err
	}
	if e := g.policy.entry(fc.Object, fc.Field.Name); e != nil && len(e.yields) > 0 {
		if refusal := g.judgeYield(e, s, value); refusal != nil {
			return nil, refusal
		}
		value = g.direct(ctx, fc, s, value)
	}
	return g.follow(ctx, fc, s, value), nil
}

// judge applies the rule of a field. It refuses a field without a rule.
func (g *Extension) judge(typeName, fieldName string, s state, object any) *fault.Error {
	if fieldName == "__schema" || fieldName == "__type" {
		return g.policy.mayIntrospect(s, g.now)
	}
	e := g.policy.entry(typeName, fieldName)
	if e == nil {
		g.log.Error("a field without a rule was refused", "type", typeName, "field", fieldName)
		return fault.New(fault.Forbidden, fault.RoleRequired, "no caller may read this")
	}
	return g.apply(&e.rule, s, object)
}

func (g *Extension) apply(r *rule, s state, object any) *fault.Error {
	refusal := r.judge(s, object, g.now)
	if refusal != nil && refusal.Reason == fault.NotOwner && object != nil {
		if _, ok := as[Owned](object); !ok {
			g.log.Error("@auth(owner: true) on a Go type without OwnerID; refused", "type", reflect.TypeOf(object).String())
		}
	}
	return refusal
}

// judgeYield refuses an object if the caller may read none of its fields. Otherwise its __typename and its existence
// would reveal what no field does.
func (g *Extension) judgeYield(e *entry, s state, value any) *fault.Error {
	if g.allOpen(e.yields, s) {
		return nil
	}
	v := reflect.ValueOf(value)
	switch v.Kind() {
	case reflect.Chan:
		return g.judgeEvents(e.yields, s)
	case reflect.Slice:
		for i := range v.Len() {
			if refusal := g.judgeYield(e, s, v.Index(i).Interface()); refusal != nil {
				return refusal
			}
		}
		return nil
	}
	if signed, ok := as[signer](value); ok {
		s = state{principal: signed.Principal()}
	}
	return g.judgeObject(e.yields, s, v)
}

// judgeEvents refuses a subscription if the caller could not read any field of any event, even of their own. Each event
// of other subscriptions is judged when it arrives.
func (g *Extension) judgeEvents(types []string, s state) (refusal *fault.Error) {
	for _, name := range types {
		for _, r := range g.policy.types[name].rules {
			own := *r
			if own.owner {
				own.owner, own.roles = false, nil
			}
			if refusal = own.judge(s, nil, g.now); refusal == nil {
				return nil
			}
		}
	}
	return refusal
}

// allOpen reports whether each of the types has a field that s may read on every object.
func (g *Extension) allOpen(types []string, s state) bool {
	return !slices.ContainsFunc(types, func(name string) bool {
		return !slices.ContainsFunc(g.policy.types[name].rules, func(r *rule) bool {
			return r.public || s.principal != nil && !r.restricted() && r.maxAge == 0 && !r.verified && !r.mfa
		})
	})
}

func (g *Extension) judgeObject(types []string, s state, v reflect.Value) *fault.Error {
	if isNil(v) || !v.IsValid() {
		return nil
	}
	name := types[0]
	if len(types) > 1 {
		if name = typeName(v); !slices.Contains(types, name) {
			g.log.Error("refused a Go value of unknown schema type behind an interface or union: "+
				"give it a method GraphQLType() string", "type", v.Type().String())
			return fault.New(fault.Forbidden, fault.RoleRequired, "no caller may read this")
		}
	}
	return g.nothingToRead(name, s, v.Interface())
}

// nothingToRead returns the refusal of one of an object's fields if s may read none of them, else nil.
func (g *Extension) nothingToRead(name string, s state, object any) (refusal *fault.Error) {
	for _, r := range g.policy.types[name].rules {
		if refusal = g.apply(r, s, object); refusal == nil {
			return nil
		}
	}
	return refusal
}

// typeName returns the schema type of a Go value for which gqlgen only knows an interface or union: the result of its
// method GraphQLType, else the name of its Go type, which generated models share.
func typeName(v reflect.Value) string {
	for {
		if named, ok := v.Interface().(interface{ GraphQLType() string }); ok {
			return named.GraphQLType()
		}
		if v.Kind() != reflect.Pointer && v.Kind() != reflect.Interface || v.IsNil() {
			return v.Type().Name()
		}
		v = v.Elem()
	}
}
