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

// delivery is how a transport sends the results of an operation.
type delivery struct {
	// begin is called once a subscription has started. No later event is missed.
	begin func()
	// next sends one answer.
	next func(payload []byte)
	// last ends the operation, with its errors if there are any. Nothing follows it.
	last func(errs gqlerror.List)
}

type streamKey struct{}

// EndStream ends the stream of the operation behind ctx with the error f. Outside streams it does nothing. It does not
// block.
func EndStream(ctx context.Context, f *fault.Error) {
	if s, ok := ctx.Value(streamKey{}).(*stream); ok {
		s.end(refused(f))
	}
}

// run executes one operation on s. A subscription ends with s, without a message of its own: the client receives the
// reason for the end of the stream and, over a WebSocket, subscribes again.
//
// claim is the memory of the request or message, which run releases. What a subscription keeps is claimed separately.
func (t *Streams) run(
	ctx context.Context,
	s *stream,
	exec graphql.GraphExecutor,
	params *graphql.RawParams,
	claim *memory.Claim,
	d delivery,
) {
	ctx = context.WithValue(ctx, streamKey{}, s)
	defer claim.Release()
	defer func() {
		// A panic outside the resolvers would end the program, because this may be a separate goroutine.
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
			// The executor returns nil if the context ended before a response was made.
			timedOut := fault.Busy(fault.TimedOut, "the operation was canceled or took too long", 0)
			d.last(t.present(ctx, exec, presentable(timedOut)))
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

// subscribe runs a subscription until it ends, and returns the errors that ended it.
func (t *Streams) subscribe(
	ctx context.Context,
	s *stream,
	exec graphql.GraphExecutor,
	op *graphql.OperationContext,
	d delivery,
) gqlerror.List {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	owner := t.owner(s)
	op.Extensions = nil // read already
	size := int64(len(op.RawQuery)) + memory.Document(op.Doc) + memory.Values(op.Variables)
	kept, err := t.o.Memory.Subscription(owner, size)
	defer kept.Release()
	if err != nil {
		return t.present(ctx, exec, presentable(fault.Of(err)))
	}
	event := t.o.Memory.Work(owner)
	defer event.Release()
	ctx = memory.With(ctx, event)
	// Errors are presented in ctx: in within, an extension could take them for an event.
	next, within := exec.DispatchOperation(ctx, op)
	d.begin()
	for {
		resp := next(within)
		if resp == nil {
			return nil
		}
		// This comes after resp was made, so that a revocation in the meantime counts.
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

// refusal runs Check for the caller in ctx. If the token is no longer valid, the whole stream ends.
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

// payload encodes a response as the transport HTTP does. From then on claim covers only the payload: once as it is, and
// twice framed and written.
func (t *Streams) payload(resp *graphql.Response, claim *memory.Claim) []byte {
	payload := bytes.Join(encodeAnswer(resp, t.o.MaxErrors), nil)
	claim.Keep(3 * int64(len(payload)))
	return payload
}
