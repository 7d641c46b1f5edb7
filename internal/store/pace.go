package store

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

const (
	// Prompt is the age up to which a request is judged by data in memory as it is.
	Prompt = time.Second
	// readingTimeout bounds a read, and how long a request waits for its turn.
	readingTimeout = 2 * time.Second
	// unread is the age of what was never read.
	unread = 1000 * time.Hour
	// quietAfter is the time without requests after which background reads become rare.
	quietAfter = time.Minute
)

// errFailing is the error of CatchUp when it does not try.
var errFailing = errors.New("the last read of the database has just failed")

// Reading tracks the age of data in memory that follows the database. Reads run one at a time, and all
// waiting callers share one.
type Reading struct {
	now    func() time.Time
	start  time.Time
	turn   chan struct{}
	good   atomic.Int64 // since start: when the last good reading began
	failed atomic.Int64 // since start: when the last bad one ended
}

// NewReading returns a Reading older than any bound. now must carry a monotonic reading, as time.Now does.
func NewReading(now func() time.Time) *Reading {
	r := &Reading{now: now, start: now(), turn: make(chan struct{}, 1)}
	r.good.Store(int64(-unread))
	r.failed.Store(int64(-unread))
	return r
}

func (r *Reading) elapsed() time.Duration { return r.now().Sub(r.start) }

// Age returns the time since the last good reading began.
func (r *Reading) Age() time.Duration { return r.elapsed() - time.Duration(r.good.Load()) }

// Read calls read, after the one under way if there is any.
func (r *Reading) Read(ctx context.Context, read func(context.Context) error) error {
	return r.inTurn(ctx, func() error { return r.run(ctx, read) })
}

// CatchUp calls read if the last good one is older than Prompt; a request calls it before it is judged by the
// data. It fails at once if a read has just failed.
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

// failing reports whether the last reading failed, so recently that the next is about to be tried.
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
	case !errors.Is(ctx.Err(), context.Canceled): // a caller who left says nothing about the database
		r.failed.Store(int64(r.elapsed()))
	}
	return err
}

// pace decides how often the database is read in the background.
type pace struct {
	now   func() time.Time
	start time.Time
	idle  time.Duration // between reads while there are no requests; 0 means as frequent as with them
	under atomic.Int64  // requests under way
	asked atomic.Int64  // since start: when the last one ended
}

// Request counts a request or stream as under way until end is called.
func (p *pace) Request() (end func()) {
	p.under.Add(1)
	return func() {
		p.asked.Store(int64(p.now().Sub(p.start)))
		p.under.Add(-1)
	}
}

// Quiet reports whether there has been no request for a minute, so that background reads are rare.
func (p *pace) Quiet() bool {
	return p.idle > 0 && p.under.Load() == 0 && p.now().Sub(p.start)-time.Duration(p.asked.Load()) > quietAfter
}

// Due reports whether a frequent background read may run, the last one being of that age.
func (p *pace) Due(age time.Duration) bool { return !p.Quiet() || age >= p.idle }
