package store

import (
	"context"
	"log/slog"
	"time"
)

// Loop runs background work until its context ends: at intervals, and early after a notification.
type Loop struct {
	DB  *DB
	Now func() time.Time
	Log *slog.Logger

	// Every is the interval without notifications.
	Every time.Duration
	// Due reports whether to run at the end of an interval; age is the time since the last run began. Nil means always.
	// DB.Due makes runs rare while there are no requests.
	Due func(age time.Duration) bool
	// Topic is the topic whose notifications cause a run; empty for none.
	Topic string
	// OnWake runs after a notification instead of the work; nil means the work.
	OnWake func(context.Context) error
	// MinPause is the minimum pause between two runs. The pause is Share times the duration of the run if that is longer,
	// but never longer than Every. Both keep bursts of notifications from overloading the database.
	MinPause time.Duration
	Share    int

	// Failure is the log message for the first of several failures in a row.
	Failure string
	// Recovery is the log message for the first success after a failure; empty for none.
	Recovery string
}

// Run runs work until ctx ends. Notifications during a run cause one more.
func (l Loop) Run(ctx context.Context, work func(context.Context) error) {
	var wake <-chan struct{}
	if l.Topic != "" {
		var stop func()
		wake, stop = l.DB.Wake(l.Topic)
		defer stop()
	}
	tick := time.NewTicker(l.Every)
	defer tick.Stop()
	began := l.Now()
	for failing := false; ctx.Err() == nil; {
		run := work
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if l.Due != nil && !l.Due(l.Now().Sub(began)) {
				continue
			}
		case <-wake:
			if l.OnWake != nil {
				run = l.OnWake
			}
		}
		began = l.Now()
		failing = l.report(ctx, run(ctx), failing)
		l.pause(ctx, l.Now().Sub(began))
	}
}

// report logs changes between failure and success. It returns whether the loop is failing now.
func (l Loop) report(ctx context.Context, err error, failing bool) bool {
	switch {
	case err != nil && !failing && ctx.Err() == nil:
		l.Log.Error(l.Failure, "error", err)
	case err == nil && failing && l.Recovery != "":
		l.Log.Info(l.Recovery)
	}
	return err != nil
}

// pause waits after a run of the given duration.
func (l Loop) pause(ctx context.Context, run time.Duration) {
	pause := min(max(l.MinPause, time.Duration(l.Share)*run), l.Every)
	if pause <= 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(pause):
	}
}
