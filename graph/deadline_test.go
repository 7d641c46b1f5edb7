package graph_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graphwarden/graphwarden/graph"
)

// A deadline behaves like a context with a timer, whether or not something waits for it before the time is up.
func TestDeadlinesNeedNoTimer(t *testing.T) {
	t.Parallel()
	usedUp := errors.New("used up")
	type key struct{}
	for name, wait := range map[string]func(context.Context){
		"nothing waits": func(context.Context) {},
		"a read waits":  func(ctx context.Context) { ctx.Done() },
		"a child waits": func(ctx context.Context) { context.AfterFunc(ctx, func() {}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				parent, stop := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
				defer stop()
				at := time.Now().Add(time.Second)
				late, endLate := graph.NewDeadline(parent, at, usedUp)
				defer endLate()
				ended, end := graph.NewDeadline(parent, at, usedUp)
				wait(late)
				wait(ended)
				if late.Err() != nil || context.Cause(late) != nil || late.Value(key{}) != "value" {
					t.Errorf("before the deadline: %v, %v, %v", late.Err(), context.Cause(late), late.Value(key{}))
				}
				end()
				if err := ended.Err(); !errors.Is(err, context.Canceled) {
					t.Errorf("after the end: %v", err)
				}
				<-ended.Done()
				time.Sleep(time.Second)
				synctest.Wait()
				if err := late.Err(); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(context.Cause(late), usedUp) {
					t.Errorf("after the deadline: %v, %v", err, context.Cause(late))
				}
				<-late.Done()
				if got, ok := late.Deadline(); !ok || !got.Equal(at) || late.Value(key{}) != "value" {
					t.Errorf("deadline %v, value %v", got, late.Value(key{}))
				}
				stopped, endStopped := graph.NewDeadline(parent, time.Now().Add(time.Second), usedUp)
				defer endStopped()
				wait(stopped)
				stop()
				if err := stopped.Err(); !errors.Is(err, context.Canceled) {
					t.Errorf("after the end of its parent: %v", err)
				}
			})
		})
	}
}
