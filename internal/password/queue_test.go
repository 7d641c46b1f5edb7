package password_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/password"
)

func TestEndedContextStartsNoWork(t *testing.T) {
	t.Parallel()
	h := mustHasher(t, password.HasherOptions{Cost: 4})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 { // select chooses randomly between a free slot and an ended context
		_, _, err := h.Compare(ctx, "", "the password")
		if !fault.Is(err, fault.TimedOut) || fault.As(err).Code != fault.Unavailable || !errors.Is(err, context.Canceled) {
			t.Fatalf("Compare: %v", err)
		}
		if stored, err := h.Hash(ctx, "the password"); !fault.Is(err, fault.TimedOut) || stored != "" {
			t.Fatalf("Hash: %q, %v", stored, err)
		}
	}
	if h.Rounds() != 0 {
		t.Errorf("%d rounds after the end", h.Rounds())
	}
	wantCompare(t, h, mustHash(t, h, "the password"), "the password", true, false)
}

// A worker reads the clock before and after its work, so that a clock that blocks keeps it busy. Wait returns when all
// goroutines of the bubble are blocked.
func TestQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const workers, queue = 2, 3
		var started atomic.Int64
		gate := make(chan struct{})
		open := sync.OnceFunc(func() { close(gate) })
		defer open()
		h := mustHasher(t, password.HasherOptions{Cost: 4, Workers: workers, Queue: queue, Now: func() time.Time {
			started.Add(1)
			<-gate // keeps the worker busy
			return time.Time{}
		}})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		results := make(chan error, workers+queue)
		compare := func(ctx context.Context) {
			_, _, err := h.Compare(ctx, "", "the password")
			results <- err
		}
		for range workers + queue - 1 {
			go compare(t.Context())
		}
		synctest.Wait()
		if err := h.Full(); err != nil {
			t.Errorf("full, but one more may wait: %v", err)
		}
		go compare(ctx) // takes the last place in the queue
		synctest.Wait()
		if err := h.Full(); !fault.Is(err, fault.Overloaded) || fault.As(err).RetryAfter != time.Second {
			t.Errorf("not full, but no more may wait: %v", err)
		}
		if started.Load() != workers {
			t.Errorf("%d run concurrently, want %d", started.Load(), workers)
		}

		for range 3 { // a refusal neither takes nor frees a place in the queue
			_, _, err := h.Compare(t.Context(), "", "the password")
			if !fault.Is(err, fault.Overloaded) || fault.As(err).Code != fault.Unavailable {
				t.Fatalf("beyond the queue: %v", err)
			}
			if got := fault.As(err).RetryAfter; got != time.Second {
				t.Errorf("nothing measured yet, retryAfter = %v", got)
			}
		}

		cancel()
		if err := <-results; !fault.Is(err, fault.TimedOut) || !errors.Is(err, context.Canceled) {
			t.Errorf("canceled while waiting: %v", err)
		}
		if h.Rounds() != 0 {
			t.Errorf("%d rounds while both workers were blocked", h.Rounds())
		}
		go compare(t.Context()) // takes the place of the canceled one
		synctest.Wait()
		if len(results) != 0 {
			t.Errorf("the place of the canceled one is not free: %v", <-results)
		}

		open()
		for range workers + queue {
			if err := <-results; err != nil {
				t.Errorf("waited and got %v", err)
			}
		}
		if want := uint64(workers+queue) << 4; h.Rounds() != want {
			t.Errorf("%d rounds, want %d: none for canceled and refused comparisons", h.Rounds(), want)
		}
	})
}

func TestRetryAfterFollowsTheMeasuredTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const workers, queue, took = 2, 4, 3 * time.Second
		var mu sync.Mutex
		now := time.Unix(0, 0)
		var gate chan struct{} // nil: open
		h := mustHasher(t, password.HasherOptions{Cost: 4, Workers: workers, Queue: queue, Now: func() time.Time {
			mu.Lock()
			now = now.Add(took)
			at, wait := now, gate
			mu.Unlock()
			if wait != nil {
				<-wait
			}
			return at
		}})
		wantCompare(t, h, "", "the password", false, false) // measured as one step of the clock

		mu.Lock()
		gate = make(chan struct{})
		mu.Unlock()
		var group sync.WaitGroup
		for range workers + queue {
			group.Go(func() { wantCompare(t, h, "", "the password", false, false) })
		}
		synctest.Wait()
		_, err := h.Hash(t.Context(), "the password")
		if want := (workers + queue) / workers * took; !fault.Is(err, fault.Overloaded) || fault.As(err).RetryAfter != want {
			t.Errorf("%v, retryAfter %v; want %v", err, fault.As(err).RetryAfter, want)
		}
		close(gate)
		group.Wait()
	})
}
