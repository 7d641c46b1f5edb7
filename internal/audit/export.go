package audit

import (
	"fmt"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// Held is an entry of the log as the user whom it concerns may have it.
type Held struct {
	ID        string          `json:"id"`
	At        store.Time      `json:"at"`
	LastAt    store.Time      `json:"lastAt"`
	Count     int32           `json:"count"`
	Action    Action          `json:"action"`
	Outcome   Outcome         `json:"outcome"`
	SessionID token.SessionID `json:"sessionId"`
	IP        string          `json:"ip"`
	UserAgent string          `json:"userAgent"`
}

// Export returns the newest limit entries that concern user, without addresses and devices of others, and the newest
// limit entries of acts of user on others, without saying on whom.
func Export(tx *store.Tx, user token.UserID, limit int) (concerning, acts []Held, err error) {
	read := func(condition string) (held []Held, err error) {
		var entries []*Entry
		err = tx.Select(&entries, "SELECT "+columns+" FROM audit_log WHERE "+condition+" ORDER BY at DESC, id DESC LIMIT $2",
			user, limit)
		if err != nil {
			return nil, fmt.Errorf("export audit log: %w", err)
		}
		held = make([]Held, 0, len(entries)) // not null in JSON
		for _, e := range entries {
			one := Held{ID: e.ID, At: e.At, LastAt: e.LastAt, Count: e.Count, Action: e.Action, Outcome: e.Outcome}
			if e.ActorID == user {
				one.SessionID, one.IP, one.UserAgent = e.SessionID, e.IP, e.UserAgent
			} else {
				one.SessionID, one.IP, one.UserAgent = e.OwnSessionID(), e.OwnIP(), e.OwnUserAgent()
			}
			held = append(held, one)
		}
		return held, nil
	}
	if concerning, err = read("user_id = $1"); err != nil {
		return nil, nil, err
	}
	acts, err = read("actor_id = $1 AND user_id <> $1")
	return concerning, acts, err
}
