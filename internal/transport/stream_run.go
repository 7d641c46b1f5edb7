package transport

import (
	"bytes"
	"context"
	"fmt"
	"runtime/debug"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/memory"
)

// delivery is how a transport sends what an operation answers.
type delivery struct {
	// begin is called once a subscription has begun: of what happens from then on no event is missed.
	begin func()
	// next sends one answer.
	next func(payload []byte)
	// last ends the operation: with errors if there are any, and then without anything more.
	last func(errs gqlerror.List)
}

type streamKey struct{}

// EndStream ends the stream that the operation behind ctx runs on, with the error f; elsewhere it does
// nothing. It does not wait.
func EndStream(ctx context.Context, f *fault.Error) {
	if s, ok := ctx.Value(streamKey{}).(*stream); ok {
		s.end(refused(f))
	}
}

// run executes one operation on s. A subscription ends with s; then nothing more is sent, for its client
// is told why the stream ends and, over a WebSocket, subscribes again.
//
// claim is what the request or message holds, which run gives back. What a subscription keeps is claimed instead.
func (t *Streams) run(ctx context.Context, s *stream, exec graphql.GraphExecutor, params *graphql.RawParams, claim *memory.Claim, d delivery) {
	ctx = context.WithValue(ctx, streamKey{}, s)
	defer claim.Release()
	defer func() {
		// A panic outside of the resolvers would end the program: this may be a goroutine of its own.
		if v := recover(); v != nil {
			f := fault.Unexpected(fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
			d.last(t.present(ctx, exec, presentable(f)))
		}
	}()
	op, errs := exec.CreateOperationContext(memory.With(ctx, claim), params)
	ctx = graphql.WithOperationContext(ctx, op)
	if len(errs) > 0 {
		d.last(t.present(ctx, exec, errs[:min(len(errs), t.o.MaxErrors)]...))
		return
	}
	if op.Operation.Operation != ast.Subscription {
		next, ctx := exec.DispatchOperation(memory.With(ctx, claim), op)
		resp := next(ctx)
		if resp == nil {
			// The executor's answer to a context that ended before a response was made.
			d.last(t.present(ctx, exec, presentable(fault.Busy(fault.TimedOut, "the operation was cancelled or took too long", 0))))
			return
		}
		d.next(t.payload(resp, claim))
		d.last(nil)
		return
	}
	claim.Release()
	errs = t.subscribe(ctx, s, exec, op, d)
	if s.ctx.Err() == nil {
		d.last(errs)
	}
}

// subscribe runs a subscription to its end, or to the errors that end it.
func (t *Streams) subscribe(ctx context.Context, s *stream, exec graphql.GraphExecutor, op *graphql.OperationContext, d delivery) gqlerror.List {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	owner := t.owner(s)
	op.Extensions = nil // read already
	kept, err := t.o.Memory.Subscription(owner, int64(len(op.RawQuery))+memory.Document(op.Doc)+memory.Values(op.Variables))
	defer kept.Release()
	if err != nil {
		return t.present(ctx, exec, presentable(fault.Of(err)))
	}
	event := t.o.Memory.Work(owner)
	defer event.Release()
	ctx = memory.With(ctx, event)
	// Errors are presented outside of it: within, an extension may take them for an event.
	next, within := exec.DispatchOperation(ctx, op)
	d.begin()
	for {
		resp := next(within)
		if resp == nil {
			return nil
		}
		// After resp was made: a revocation meanwhile counts.
		if f := t.refusal(ctx, s); f != nil {
			return t.present(ctx, exec, presentable(f))
		}
		if s.ctx.Err() != nil {
			return nil
		}
		d.next(t.payload(resp, event))
		event.Keep(0)
	}
}

// refusal asks Check about the caller in ctx. A token that is no longer good ends the whole of s.
func (t *Streams) refusal(ctx context.Context, s *stream) *fault.Error {
	err := t.check(ctx)
	if err == nil {
		return nil
	}
	f := fault.Of(err)
	if f.Code == fault.Unauthenticated {
		s.end(refused(f))
	}
	return f
}

// present passes errs through the server's error presenter.
func (t *Streams) present(ctx context.Context, exec graphql.GraphExecutor, errs ...*gqlerror.Error) gqlerror.List {
	return exec.DispatchError(ctx, errs).Errors
}

// payload encodes a response as the transport over HTTP does. From then on it is all that claim holds, once as it is and
// twice as it is framed and written.
func (t *Streams) payload(resp *graphql.Response, claim *memory.Claim) []byte {
	payload := bytes.Join(encodeAnswer(resp, t.o.MaxErrors), nil)
	claim.Keep(3 * int64(len(payload)))
	return payload
}
