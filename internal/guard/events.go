package guard

import (
	"context"
	"reflect"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// events carries the events of a subscription from its resolver to gqlgen. The guard receives each from the resolver's
// channel, judges it and sends it on through its own channel. It also puts the event into the field context, where
// gqlgen leaves it out: owners below could not be determined otherwise, and error paths would lack the subscription.
type events struct {
	field *graphql.FieldContext
	from  reflect.Value // what the resolver sends to
	to    reflect.Value // what gqlgen receives from; holds one
	state state
	ended bool
}

type eventsKey struct{}

// follow puts the guard between a subscription's channel and gqlgen. It returns other values unchanged.
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

// InterceptResponse judges each event of a subscription by the subscription's rule and by the fields of the event that
// the caller may read. It ends the subscription when its caller is no longer admitted.
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
	// The fields of the previous event have all been read: gqlgen calls this only after its response is made.
	e.field.Result = event.Interface()
	e.to.Send(event)
	return next(graphql.WithFieldContext(ctx, e.field))
}

func (g *Extension) refuseEvent(
	ctx context.Context,
	field *graphql.FieldContext,
	refusal *fault.Error,
) *graphql.Response {
	op := graphql.GetOperationContext(ctx)
	ctx = graphql.WithResponseContext(graphql.WithFieldContext(ctx, field), g.present, op.RecoverFunc)
	graphql.AddError(ctx, refusal)
	return &graphql.Response{Errors: graphql.GetErrors(ctx)}
}
