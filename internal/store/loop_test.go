package store_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/store"
)

// looping runs l in a synctest bubble and returns the times at which its runs began, in seconds. The loop runs until
// drive returns.
func looping(t *testing.T, l store.Loop, work func() error, drive func(*store.DB)) (runs []float64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l.DB, l.Now = new(store.DB), time.Now
		if l.Log == nil {
			l.Log = slog.New(slog.DiscardHandler)
		}
		start := time.Now()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			l.Run(ctx, func(context.Context) error {
				runs = append(runs, time.Since(start).Seconds())
				return work()
			})
		}()
		synctest.Wait()
		drive(l.DB)
		stop()
		<-ended
	})
	return runs
}

func succeeds() error { return nil }

func sleep(d time.Duration) func(*store.DB) {
	return func(*store.DB) {
		time.Sleep(d)
		synctest.Wait()
	}
}

func TestALoopRunsAtIntervalsAndAfterNotifications(t *testing.T) {
	t.Parallel()
	runs := looping(t, store.Loop{Every: time.Second, Topic: "topic"}, succeeds, func(db *store.DB) {
		sleep(1500 * time.Millisecond)(db)
		db.Tell("other")
		db.Tell("topic")
		sleep(time.Second)(db)
	})
	if diff := cmp.Diff([]float64{1, 1.5, 2}, runs); diff != "" {
		t.Error(diff)
	}
}

func TestALoopSkipsIntervalsWhenNotDue(t *testing.T) {
	t.Parallel()
	l := store.Loop{Every: time.Second, Due: func(age time.Duration) bool { return age >= 3*time.Second }}
	if diff := cmp.Diff([]float64{3, 6}, looping(t, l, succeeds, sleep(8*time.Second))); diff != "" {
		t.Error(diff)
	}
}

func TestANotificationRunsOnWake(t *testing.T) {
	t.Parallel()
	woken := 0
	l := store.Loop{Every: time.Second, Topic: "topic", OnWake: func(context.Context) error { woken++; return nil }}
	runs := looping(t, l, succeeds, func(db *store.DB) {
		db.Tell("topic")
		sleep(time.Second)(db)
	})
	if len(runs) != 1 || woken != 1 {
		t.Errorf("runs at %v, woken %d times", runs, woken)
	}
}

func TestALoopPausesBetweenRuns(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		loop store.Loop
		work time.Duration
		want []float64
	}{
		"at least MinPause": {store.Loop{MinPause: 100 * time.Millisecond, Share: 1}, 0, []float64{0, .1, .2}},
		"in proportion to the work": {
			store.Loop{MinPause: time.Millisecond, Share: 4}, 50 * time.Millisecond, []float64{0, .25, .5},
		},
		"no longer than Every": {store.Loop{Share: 9}, 200 * time.Millisecond, []float64{0, 1.2, 2.4}},
		"not at all":           {store.Loop{}, 100 * time.Millisecond, []float64{0, .1, .2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.loop.Every, test.loop.Topic = time.Second, "topic"
			var db *store.DB
			runs := looping(t, test.loop, func() error {
				time.Sleep(test.work)
				db.Tell("topic") // a burst: there is always another notification
				return nil
			}, func(d *store.DB) {
				db = d
				db.Tell("topic")
				time.Sleep(5 * time.Second)
			})
			if diff := cmp.Diff(test.want, runs[:3]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestALoopLogsTheFirstFailureAndTheRecovery(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	n := 0
	l := store.Loop{Every: time.Second, Failure: "failing", Recovery: "working"}
	l.Log = slog.New(slog.NewTextHandler(&log, nil))
	looping(t, l, func() error {
		n++
		if n%3 != 0 { // two of three in a row
			return errors.New("broken")
		}
		return nil
	}, sleep(6*time.Second))
	failed, recovered := strings.Count(log.String(), "failing"), strings.Count(log.String(), "working")
	if failed != 2 || recovered != 2 {
		t.Errorf("%d failures and %d recoveries in\n%s", failed, recovered, &log)
	}
}

func TestAStoppedLoopLogsNoFailure(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var stopped error
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		l := store.Loop{Now: time.Now, Every: time.Second, Log: slog.New(slog.NewTextHandler(&log, nil))}
		l.Run(ctx, func(ctx context.Context) error {
			stop()
			stopped = ctx.Err()
			return stopped
		})
	})
	if stopped == nil || log.Len() > 0 {
		t.Errorf("stopped by %v, logged %q", stopped, &log)
	}
}
