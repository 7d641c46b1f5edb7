package throttle

// MaxLocal is maxLocal.
const MaxLocal = maxLocal

// Local returns the number of buckets in memory.
func (t *Throttle) Local() int {
	t.local.mu.Lock()
	defer t.local.mu.Unlock()
	return len(t.local.empty)
}
