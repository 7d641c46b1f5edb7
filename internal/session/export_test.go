package session

import (
	"time"

	"github.com/graphwarden/graphwarden/internal/token"
)

// MaxPending bounds the marks that wait.
const MaxPending = maxPending

// PruneBatch is how many rows a clean-up deletes at once.
const PruneBatch = pruneBatch

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

// ParseRefresh reads a refresh token without checking its MAC, and writes it again.
func (s *Service) ParseRefresh(raw, salt string) (id ID, generation int64, again string, err error) {
	p, err := parseRefresh(raw)
	if err != nil {
		return "", 0, "", err
	}
	again, err = s.refreshToken(p.id, p.generation, salt)
	return p.id, p.generation, again, err
}

// Sleep has v believe that its last poll was d earlier by the database's clock, and not by its own.
func (v *View) Sleep(d time.Duration) {
	v.polling.Lock()
	defer v.polling.Unlock()
	v.polled = v.polled.Add(-d)
}
