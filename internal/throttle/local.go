package throttle

import (
	"sync"
	"time"
)

// maxLocal bounds the memory of local to less than 10 MB.
const maxLocal = 50_000

// local holds the buckets of this replica alone, in memory and by the monotonic clock.
type local struct {
	now  func() time.Time
	base time.Time

	mu    sync.Mutex
	empty map[string]time.Duration // bucket → when it will be empty again, since base
}

// take takes one attempt from a bucket, or returns how long to wait for one.
func (l *local) take(key string, rate Rate) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now().Sub(l.base)
	empty, known := l.empty[key]
	wait = empty - rate.tolerance() - now
	if wait > 0 {
		return wait
	}
	if !known && len(l.empty) >= maxLocal {
		l.forgetOne()
	}
	l.empty[key] = max(empty, now) + rate.interval()
	return 0
}

// forgetOne makes room for another bucket. A flood from more addresses than there is room for is not limited by
// address anyway, and a search for the best one to forget would cost more than the flood itself.
func (l *local) forgetOne() {
	for key := range l.empty {
		delete(l.empty, key)
		return
	}
}
