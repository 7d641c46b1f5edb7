package session

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// The refusals of an access token whose signature and expiry are valid.
var (
	ErrTokenRevoked = fault.New(fault.Unauthenticated, fault.TokenRevoked, "this access token was revoked: sign in again")
	ErrTokenStale   = fault.New(fault.Unauthenticated, fault.TokenStale, "this access token is out of date: refresh it")
)

// Authorize checks in tx that the access token of by is still in force: its session is live, the account is enabled,
// and its version and roles have not changed. Otherwise it returns ErrTokenRevoked or ErrTokenStale, for an
// unauthenticated client too.
//
// The guard judges a field by the token and by this replica's view of revocations. Both can be behind the database:
// the request may have been running for seconds, or another replica made the revocation. Every act that uses a role
// or changes a credential or a session therefore calls Authorize first in its transaction. Authorize locks the rows
// of the caller and of users, the accounts acted upon, until the end of tx. Ending a session, changing roles and
// disabling an account lock the user's row too. So the act either commits before the revocation is answered, or it
// is refused.
func Authorize(tx *store.Tx, by audit.Actor, users ...token.UserID) error {
	if by.Operator {
		return Lock(tx, users...)
	}
	if err := Lock(tx, append(users, by.UserID)...); err != nil {
		return err
	}
	var now struct {
		Version int64       `db:"version"`
		Roles   token.Roles `db:"roles"`
		IsLive  bool        `db:"is_live"`
	}
	// This is a separate statement. On Postgres, the statement that waited for the lock sees the sessions as they were
	// before the wait.
	err := tx.Get(&now, `SELECT version, roles, disabled_at IS NULL AND EXISTS (SELECT 1 FROM sessions
		WHERE id = $2 AND user_id = users.id AND revoked_at IS NULL AND expires_at > now_us()) AS is_live
		FROM users WHERE id = $1`, by.UserID, by.SessionID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return ErrTokenRevoked
	case err != nil:
		return fmt.Errorf("read caller: %w", err)
	case !now.IsLive:
		return ErrTokenRevoked
	case now.Version != by.Version || !slices.Equal(now.Roles, by.Roles):
		return ErrTokenStale
	}
	return nil
}

// Lock locks the rows of users until the end of tx, in the order of their ids: two administrators who act on each
// other do not deadlock.
func Lock(tx *store.Tx, users ...token.UserID) error {
	for _, id := range slices.Compact(slices.Sorted(slices.Values(users))) {
		if _, err := tx.Exec("UPDATE users SET version = version WHERE id = $1", id); err != nil {
			return fmt.Errorf("lock user: %w", err)
		}
	}
	return nil
}
