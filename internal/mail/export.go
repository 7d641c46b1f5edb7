package mail

import (
	"fmt"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// Held is what is stored about a mail, except its sealed recipient and data.
type Held struct {
	Kind      Kind        `db:"kind" json:"kind"`
	State     string      `db:"state" json:"state"`
	Locale    string      `db:"locale" json:"locale"`
	CreatedAt store.Time  `db:"created_at" json:"createdAt"`
	EndedAt   *store.Time `db:"ended_at" json:"endedAt"`
}

// Export returns the newest limit mails to user.
func Export(tx *store.Tx, user token.UserID, limit int) (held []Held, err error) {
	held = []Held{} // not null in JSON
	err = tx.Select(&held, `SELECT kind, state, locale, created_at, ended_at FROM mail
		WHERE user_id = $1 ORDER BY id DESC LIMIT $2`, user, limit)
	if err != nil {
		return nil, fmt.Errorf("export mails: %w", err)
	}
	return held, nil
}
