package guard

import (
	"context"
	"reflect"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// events are those of a subscription on their way from its resolver to gqlgen. The guard takes each out of
// the resolver's channel, judges it, and hands it on through a channel of its own. It puts the event into
// the context too, where gqlgen leaves it out: who owns it could not be told by the fields below, and
// paths of errors would not begin with the subscription.
type events struct {
	field *graphql.FieldContext
	from  reflect.Value // what the resolver sends to
	to    reflect.Value // what gqlgen receives from; holds one
	state state
	ended bool
}

type eventsKey struct{}

// follow puts the guard between a subscription's channel and gqlgen; other values pass.
func (g *Extension) follow(ctx context.Context, fc *graphql.FieldContext, s state, value any) any {
	e, _ := ctx.Value(eventsKey{}).(*events)
	from := reflect.ValueOf(value)
	if e == nil || fc.Object != g.policy.roots[ast.Subscription] || from.Kind() != reflect.Chan {
		return value
	}
	e.field, e.from, e.state = fc, from, s
	e.to = reflect.MakeChan(reflect.ChanOf(reflect.BothDir, from.Type().Elem()), 1)
	return e.to.Convert(from.Type()).Interface()
}

// InterceptResponse judges each event of a subscription: by the rule of the subscription, which ends when
// its caller is not admitted any more, and by what of the event the caller may read.
func (g *Extension) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	e, _ := ctx.Value(eventsKey{}).(*events)
	if e == nil || !e.from.IsValid() {
		return next(ctx)
	}
	if e.ended {
		return nil
	}
	chosen, event, ok := reflect.Select([]reflect.SelectCase{
		{Dir: reflect.SelectRecv, Chan: e.from},
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())},
	})
	if chosen != 0 || !ok {
		return nil
	}
	refusal := g.judge(e.field.Object, e.field.Field.Name, e.state, nil)
	e.ended = refusal != nil
	if rule := g.policy.entry(e.field.Object, e.field.Field.Name); refusal == nil && len(rule.yields) > 0 {
		refusal = g.judgeYield(rule, e.state, event.Interface())
	}
	if refusal != nil {
		return g.refuseEvent(ctx, e.field, refusal)
	}
	// The fields of the event before have all been read: this is not called again until its response is made.
	e.field.Result = event.Interface()
	e.to.Send(event)
	return next(graphql.WithFieldContext(ctx, e.field))
}

func (g *Extension) refuseEvent(ctx context.Context, field *graphql.FieldContext, refusal *fault.Error) *graphql.Response {
	op := graphql.GetOperationContext(ctx)
	ctx = graphql.WithResponseContext(graphql.WithFieldContext(ctx, field), g.present, op.RecoverFunc)
	graphql.AddError(ctx, refusal)
	return &graphql.Response{Errors: graphql.GetErrors(ctx)}
}
