package memory

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// collectEvery is the interval at which a busy server collects garbage.
const collectEvery = 500 * time.Millisecond

// Collector paces Go's garbage collector. By default Go collects each time the heap has doubled: a server whose live
// heap is small would then collect dozens of times a second under load. A Collector leaves room for half a second of
// allocation instead, at most `most` bytes and at least the live heap. An idle server allocates little, so its heap
// stays as small as by default.
type Collector struct {
	most int64
	now  func() time.Time

	mu        sync.Mutex // guards the fields below
	stopped   bool
	percent   int // the GOGC now in force
	allocated uint64
	at        time.Time
}

// cycle is garbage as soon as it is made: its finalizer runs after each collection.
type cycle struct{ collector *Collector }

// PaceCollector starts a Collector. It sets the GOGC of the whole process until Stop.
func PaceCollector(most int64, now func() time.Time) *Collector {
	c := &Collector{most: most, now: now, percent: 100, at: now()}
	c.allocated = read("/gc/heap/allocs:bytes")
	c.watch()
	return c
}

// Stop restores Go's default.
func (c *Collector) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	debug.SetGCPercent(100)
}

func (c *Collector) watch() {
	runtime.SetFinalizer(&cycle{c}, func(done *cycle) {
		if done.collector.adjust() {
			done.collector.watch()
		}
	})
}

// adjust sets the room until the next collection by the allocation since the last one. It reports false once stopped.
func (c *Collector) adjust() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return false
	}
	allocated, at := read("/gc/heap/allocs:bytes"), c.now()
	elapsed := max(at.Sub(c.at), time.Millisecond)
	perSecond := float64(allocated-c.allocated) / elapsed.Seconds()
	c.allocated, c.at = allocated, at

	// The runtime applies the percentage to all roots.
	base := int64(read("/gc/heap/live:bytes") + read("/gc/scan/stack:bytes") + read("/gc/scan/globals:bytes"))
	room := min(int64(perSecond*collectEvery.Seconds()), c.most-base)
	percent := 100
	if base > 0 {
		percent = max(100, int(room*100/base))
	}
	// Setting it stops the world for a moment, so leave it while it is about right.
	if percent > c.percent*9/8 || percent < c.percent*7/8 {
		c.percent = percent
		debug.SetGCPercent(percent)
	}
	return true
}

func read(metric string) uint64 {
	sample := []metrics.Sample{{Name: metric}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
