package graph

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/transport"
)

// bounded ends queries and mutations that take longer than timeout. Subscriptions have no limit.
func bounded(timeout time.Duration) graphql.OperationMiddleware {
	message := fmt.Sprintf("the operation has used up its %s: ask for less at once", timeout)
	usedUp := fault.Busy(fault.TimedOut, message, time.Second)
	return func(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
		if graphql.GetOperationContext(ctx).Operation.Operation == ast.Subscription {
			return next(ctx)
		}
		began := graphql.Now()
		if batch, ok := transport.BatchFrom(ctx); ok {
			began = batch.Began
		}
		d := &deadline{Context: ctx, at: began.Add(timeout), cause: usedUp}
		respond := next(d)
		return func(context.Context) *graphql.Response {
			defer d.end()
			return respond(d)
		}
	}
}

// deadline is a context with a deadline. It behaves like one of context.WithDeadlineCause, but starts no timer until
// something waits for it. Most queries read from memory and wait for nothing.
type deadline struct {
	context.Context
	at    time.Time
	cause error

	mu     sync.Mutex
	timed  context.Context // nil until it is needed
	cancel context.CancelFunc
	ended  bool
}

// started returns the context with a timer, if it is needed.
func (d *deadline) started(needed bool) context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timed == nil && (needed || d.ended) {
		d.timed, d.cancel = context.WithDeadlineCause(d.Context, d.at, d.cause)
		if d.ended {
			d.cancel()
		}
	}
	return d.timed
}

// end cancels the context.
func (d *deadline) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	if d.cancel != nil {
		d.cancel()
	}
}

// Deadline implements context.Context.
func (d *deadline) Deadline() (time.Time, bool) { return d.started(true).Deadline() }

// Done implements context.Context.
func (d *deadline) Done() <-chan struct{} { return d.started(true).Done() }

// Err implements context.Context.
func (d *deadline) Err() error {
	if timed := d.started(!graphql.Now().Before(d.at)); timed != nil {
		return timed.Err()
	}
	return d.Context.Err()
}

// Value implements context.Context. Package context also asks for its own part of a context with a timer.
func (d *deadline) Value(key any) any {
	if timed := d.started(false); timed != nil {
		return timed.Value(key)
	}
	return d.Context.Value(key)
}
