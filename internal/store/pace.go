package store

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

const (
	// Prompt is how old what is read at intervals may be for a request to be judged by it as it is.
	Prompt = time.Second
	// readingTimeout bounds a reading, and how long a request waits for one.
	readingTimeout = 2 * time.Second
	// unread is the age of what was never read.
	unread = 1000 * time.Hour
	// quietAfter is how long there have been no requests when readings become seldom.
	quietAfter = time.Minute
)

// errFailing is the error of a reading that was not tried.
var errFailing = errors.New("the reading before has just failed")

// Reading is how old something in memory is that follows the database. One reading at a time serves all
// who wait for it.
type Reading struct {
	now    func() time.Time
	start  time.Time
	turn   chan struct{}
	good   atomic.Int64 // since start: when the last good reading began
	failed atomic.Int64 // since start: when the last bad one ended
}

// NewReading returns a Reading that is older than any bound. now must carry a monotonic reading, as
// time.Now does.
func NewReading(now func() time.Time) *Reading {
	r := &Reading{now: now, start: now(), turn: make(chan struct{}, 1)}
	r.good.Store(int64(-unread))
	r.failed.Store(int64(-unread))
	return r
}

func (r *Reading) elapsed() time.Duration { return r.now().Sub(r.start) }

// Age returns the time since the last good reading began.
func (r *Reading) Age() time.Duration { return r.elapsed() - time.Duration(r.good.Load()) }

// Read calls read, after the reading under way if there is one.
func (r *Reading) Read(ctx context.Context, read func(context.Context) error) error {
	return r.inTurn(ctx, func() error { return r.run(ctx, read) })
}

// CatchUp calls read unless the last reading is younger than Prompt, for a request that is about to be
// judged by it. Where readings have just failed, it fails at once.
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

// pace is how often what follows the database is read.
type pace struct {
	now   func() time.Time
	start time.Time
	idle  time.Duration // between readings while there are no requests; 0 means as always
	under atomic.Int64  // requests under way
	asked atomic.Int64  // since start: when the last one ended
}

// Request counts a request, or a stream, from now until end. While there are none, the database is read
// seldom.
func (p *pace) Request() (end func()) {
	p.under.Add(1)
	return func() {
		p.asked.Store(int64(p.now().Sub(p.start)))
		p.under.Add(-1)
	}
}

// Quiet reports whether there has been no request for so long that readings are seldom.
func (p *pace) Quiet() bool {
	return p.idle > 0 && p.under.Load() == 0 && p.now().Sub(p.start)-time.Duration(p.asked.Load()) > quietAfter
}

// Due reports whether it is time for a reading, age after the last one, that is frequent otherwise.
func (p *pace) Due(age time.Duration) bool { return !p.Quiet() || age >= p.idle }
