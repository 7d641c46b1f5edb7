package session

import (
	"fmt"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// Held is what is stored about a session, except the secret behind its refresh tokens.
type Held struct {
	ID          ID          `db:"id" json:"id"`
	CreatedAt   store.Time  `db:"created_at" json:"createdAt"`
	LastSeenAt  store.Time  `db:"last_seen_at" json:"lastSeenAt"`
	RefreshedAt store.Time  `db:"rotated_at" json:"refreshedAt"`
	ExpiresAt   store.Time  `db:"expires_at" json:"expiresAt"`
	EndsAt      store.Time  `db:"ends_at" json:"endsAt"`
	RevokedAt   *store.Time `db:"revoked_at" json:"revokedAt"`
	ProvedAt    store.Time  `db:"auth_time" json:"provedAt"`
	Methods     string      `db:"amr" json:"methods"`
	IP          string      `db:"ip" json:"ip"`
	UserAgent   string      `db:"user_agent" json:"userAgent"`
}

// Export returns the newest limit sessions of user, also those that have ended.
func Export(tx *store.Tx, user token.UserID, limit int) (held []Held, err error) {
	held = []Held{} // not null in JSON
	err = tx.Select(&held, `SELECT id, created_at, last_seen_at, rotated_at, expires_at, ends_at, revoked_at, auth_time,
		amr, ip, user_agent FROM sessions WHERE user_id = $1 ORDER BY id DESC LIMIT $2`, user, limit)
	if err != nil {
		return nil, fmt.Errorf("export sessions: %w", err)
	}
	return held, nil
}
