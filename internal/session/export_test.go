package session

import (
	"time"

	"github.com/graphwarden/graphwarden/internal/token"
)

// MaxPending is the maximum number of pending marks.
const MaxPending = maxPending

// SetMax sets the maximum number of subjects in v.
func (v *View) SetMax(n int) {
	v.polling.Lock()
	defer v.polling.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.max = n
}

// SweepNow makes the next Poll remove expired entries.
func (v *View) SweepNow() {
	v.polling.Lock()
	defer v.polling.Unlock()
	v.sweep = 0
}

// Rows returns how many revocations v has for a user.
func (v *View) Rows(user token.UserID) int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return len(v.users[user])
}

// Pending returns how many marks are not yet written.
func (a *Activity) Pending() (seen, touched int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.seen), len(a.touched)
}

// fuzzSalt is the salt of every session in MustToken and ReadToken.
const fuzzSalt = "salt"

// MustToken returns a refresh token.
func (s *Service) MustToken(id ID, generation int64) string {
	raw, err := s.refreshToken(id, generation, fuzzSalt)
	if err != nil {
		panic(err)
	}
	return raw
}

// ReadToken parses a refresh token and reports whether its MAC is valid. id is empty if raw is malformed.
func (s *Service) ReadToken(raw string) (id ID, generation int64, accepted bool) {
	p, err := parseRefresh(raw)
	if err != nil {
		return "", 0, false
	}
	p.salt = fuzzSalt
	return p.id, p.generation, s.macHolds(p)
}

// Sleep moves the last poll of v back by d on the database's clock, but not on the monotonic one.
func (v *View) Sleep(d time.Duration) {
	v.polling.Lock()
	defer v.polling.Unlock()
	v.polled = v.polled.Add(-d)
}

// SetPollEvery sets the interval at which Follow polls without a notification.
func (v *View) SetPollEvery(d time.Duration) { v.every = d }
