package store

import "time"

// Time is an instant in microseconds since the Unix epoch, UTC. Every time column holds it on both databases (BIGINT),
// so that comparison and addition mean the same in SQL and in Go.
type Time int64

// TimeOf truncates t to microseconds.
func TimeOf(t time.Time) Time { return Time(t.UnixMicro()) }

// Std returns t as a time.Time in UTC.
func (t Time) Std() time.Time { return time.UnixMicro(int64(t)).UTC() }

// Add returns t+d, truncated to microseconds.
func (t Time) Add(d time.Duration) Time { return t + Time(d.Microseconds()) }

// Sub returns t-u.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t-u) * time.Microsecond }

// Skew returns how far another clock is certainly ahead of this one, negative if it is behind. The other clock read
// before and after around the reading t.
func (t Time) Skew(before, after time.Time) time.Duration {
	return max(TimeOf(before).Sub(t), 0) + min(TimeOf(after).Sub(t), 0)
}

// MarshalText returns t as RFC 3339, as the API writes it.
func (t Time) MarshalText() ([]byte, error) { return t.Std().AppendFormat(nil, time.RFC3339Nano), nil }
