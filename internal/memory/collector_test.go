package memory_test

import (
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/memory"
)

// goal returns the heap size at which the next collection starts.
func goal() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

var sink atomic.Pointer[[1 << 16]byte]

// The collector is global to the process, so the test cannot be parallel.
func TestTheHeapGrowsWithTheRateOfAllocation(t *testing.T) {
	const most = 64 << 20
	var elapsed atomic.Int64
	began := time.Now()
	c := memory.PaceCollector(most, func() time.Time { return began.Add(time.Duration(elapsed.Load())) })
	defer c.Stop()
	until := func(name string, reached func(goal uint64) bool) {
		t.Helper()
		deadline := time.Now().Add(20 * time.Second)
		for !reached(goal()) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: the goal is %d MiB", name, goal()>>20)
			}
			for range 64 {
				sink.Store(new([1 << 16]byte))
			}
			runtime.Gosched()
		}
	}
	// No time passes, so the rate is infinite.
	until("a busy server", func(goal uint64) bool { return most/8*7 < goal && goal < most/4*5 })
	// An hour passes between collections.
	until("an idle server", func(goal uint64) bool {
		elapsed.Add(int64(time.Hour))
		return goal < most/2
	})
}
