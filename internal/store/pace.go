package store

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

const (
	// Prompt is the maximum age of data in memory that a request may use without a read.
	Prompt = time.Second
	// readingTimeout bounds a read, and how long a request waits for its turn.
	readingTimeout = 2 * time.Second
	// unread is the age of data that was never read.
	unread = 1000 * time.Hour
	// quietAfter is the time without requests after which background reads become rare.
	quietAfter = time.Minute
)

// errFailing is returned by CatchUp when it does not try to read.
var errFailing = errors.New("the last read of the database has just failed")

// Reading tracks the age of data in memory that follows the database. Reads run one at a time, and all waiting callers
// share one.
type Reading struct {
	now    func() time.Time
	start  time.Time
	turn   chan struct{}
	good   atomic.Int64 // since start: when the last successful read began
	failed atomic.Int64 // since start: when the last failed read ended
}

// NewReading returns a Reading older than any bound. now must return monotonic readings, as time.Now does.
func NewReading(now func() time.Time) *Reading {
	r := &Reading{now: now, start: now(), turn: make(chan struct{}, 1)}
	r.good.Store(int64(-unread))
	r.failed.Store(int64(-unread))
	return r
}

func (r *Reading) elapsed() time.Duration { return r.now().Sub(r.start) }

// Age returns the time since the last successful read began.
func (r *Reading) Age() time.Duration { return r.elapsed() - time.Duration(r.good.Load()) }

// Read calls read, after any read that is already running.
func (r *Reading) Read(ctx context.Context, read func(context.Context) error) error {
	return r.inTurn(ctx, func() error { return r.run(ctx, read) })
}

// CatchUp calls read if the last successful read is older than Prompt. Requests call it before using the data. It fails
// immediately if a read has just failed.
func (r *Reading) CatchUp(ctx context.Context, read func(context.Context) error) error {
	if r.Age() <= Prompt {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readingTimeout)
	defer cancel()
	if r.failing() {
		return errFailing
	}
	return r.inTurn(ctx, func() error {
		switch { // another caller may have read meanwhile
		case r.Age() <= Prompt:
			return nil
		case r.failing():
			return errFailing
		}
		return r.run(ctx, read)
	})
}

// failing reports whether the last read failed so recently that the background read has not retried yet.
func (r *Reading) failing() bool {
	failed := r.failed.Load()
	return failed > r.good.Load() && r.elapsed()-time.Duration(failed) < readingTimeout+Prompt
}

func (r *Reading) inTurn(ctx context.Context, f func() error) error {
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-r.turn }()
	return f()
}

func (r *Reading) run(ctx context.Context, read func(context.Context) error) error {
	began := r.elapsed()
	bounded, cancel := context.WithTimeout(ctx, readingTimeout)
	defer cancel()
	err := read(bounded)
	switch {
	case err == nil:
		r.good.Store(int64(began))
	case !errors.Is(ctx.Err(), context.Canceled): // a canceled caller proves nothing about the database
		r.failed.Store(int64(r.elapsed()))
	}
	return err
}

// pace decides how often background reads run.
type pace struct {
	now   func() time.Time
	start time.Time
	idle  time.Duration // interval of reads without requests; 0 means the same as with requests
	under atomic.Int64  // requests in progress
	asked atomic.Int64  // since start: when the last one ended
}

// Request counts a request or stream as in progress until end is called.
func (p *pace) Request() (end func()) {
	p.under.Add(1)
	return func() {
		p.asked.Store(int64(p.now().Sub(p.start)))
		p.under.Add(-1)
	}
}

// Quiet reports whether there has been no request for a minute, so that background reads may be rare.
func (p *pace) Quiet() bool {
	return p.idle > 0 && p.under.Load() == 0 && p.now().Sub(p.start)-time.Duration(p.asked.Load()) > quietAfter
}

// Due reports whether a frequent background read may run; age is the age of the last one.
func (p *pace) Due(age time.Duration) bool { return !p.Quiet() || age >= p.idle }
