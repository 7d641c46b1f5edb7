package throttle

import (
	"fmt"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// Export returns when user last signed in from each known address. The addresses themselves are not stored.
func Export(tx *store.Tx, user token.UserID) (seen []store.Time, err error) {
	seen = []store.Time{} // not null in JSON
	err = tx.Select(&seen, "SELECT seen_at FROM known_addresses WHERE user_id = $1 ORDER BY seen_at DESC", user)
	if err != nil {
		return nil, fmt.Errorf("export known addresses: %w", err)
	}
	return seen, nil
}
