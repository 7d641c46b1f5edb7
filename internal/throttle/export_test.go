package throttle

// MaxLocal bounds the buckets in memory.
const MaxLocal = maxLocal

// Local is how many there are.
func (t *Throttle) Local() int {
	t.local.mu.Lock()
	defer t.local.mu.Unlock()
	return len(t.local.empty)
}
