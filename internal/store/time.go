package store

import "time"

// Time is an instant in microseconds since the Unix epoch, UTC: what every time column holds on both
// databases (BIGINT), so that comparing and adding mean the same in SQL and in Go.
type Time int64

// TimeOf cuts t to microseconds.
func TimeOf(t time.Time) Time { return Time(t.UnixMicro()) }

// Std returns t as a time.Time in UTC.
func (t Time) Std() time.Time { return time.UnixMicro(int64(t)).UTC() }

// Add returns t+d, cut to microseconds.
func (t Time) Add(d time.Duration) Time { return t + Time(d.Microseconds()) }

// Sub returns t-u.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t-u) * time.Microsecond }

// Skew returns how far another clock, which read before and after around the reading t of this one, is certain to
// be ahead of it; it is negative where the other is behind.
func (t Time) Skew(before, after time.Time) time.Duration {
	return max(TimeOf(before).Sub(t), 0) + min(TimeOf(after).Sub(t), 0)
}
