package session

import (
	"time"

	"github.com/graphwarden/graphwarden/internal/token"
)

// MaxPending bounds the marks that wait.
const MaxPending = maxPending

// SetMax sets how many subjects v can hold.
func (v *View) SetMax(n int) {
	v.polling.Lock()
	defer v.polling.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.max = n
}

// SweepNow has the next Poll look for expired entries, and for room.
func (v *View) SweepNow() {
	v.polling.Lock()
	defer v.polling.Unlock()
	v.sweep = 0
}

// Rows is how many rows v keeps about a user.
func (v *View) Rows(user token.UserID) int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return len(v.users[user])
}

// Pending is how many marks wait to be written.
func (a *Activity) Pending() (seen, touched int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.seen), len(a.touched)
}

// fuzzSalt is the salt of every session that MustToken and ReadToken know.
const fuzzSalt = "salt"

// MustToken makes a refresh token.
func (s *Service) MustToken(id ID, generation int64) string {
	raw, err := s.refreshToken(id, generation, fuzzSalt)
	if err != nil {
		panic(err)
	}
	return raw
}

// ReadToken reads a refresh token, and tells whether its MAC is right; id is empty if it is none.
func (s *Service) ReadToken(raw string) (id ID, generation int64, accepted bool) {
	p, err := parseRefresh(raw)
	if err != nil {
		return "", 0, false
	}
	p.salt = fuzzSalt
	return p.id, p.generation, s.macHolds(p)
}

// Sleep has v believe that its last poll was d earlier by the database's clock, and not by its own.
func (v *View) Sleep(d time.Duration) {
	v.polling.Lock()
	defer v.polling.Unlock()
	v.polled = v.polled.Add(-d)
}

// SetPollEvery sets how often Follow polls without being woken.
func (v *View) SetPollEvery(d time.Duration) { v.every = d }
