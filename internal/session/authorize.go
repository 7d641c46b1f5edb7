package session

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// The refusals of an access token that was good when it was issued.
var (
	ErrTokenRevoked = fault.New(fault.Unauthenticated, fault.TokenRevoked, "this access token was revoked: sign in again")
	ErrTokenStale   = fault.New(fault.Unauthenticated, fault.TokenStale, "this access token is out of date: refresh it")
)

// Authorize checks in tx that caller, the claims of a verified access token, still holds: the session is live, the
// account enabled, and its version and roles are those of the token. It returns ErrTokenRevoked or ErrTokenStale
// otherwise, for an empty caller too.
//
// The guard judges a field by the token and by this replica's view of revocations, and both can be behind the
// database: the request may have been under way for seconds, or the revocation was made on another replica. Every
// act that uses a role or changes a credential or a session calls Authorize first in its transaction. The rows of
// the caller and of the users acted upon are locked until the end of tx, and every end of a session, change of
// roles and disabling locks its user's row too. So either the act commits before the revocation is answered, or it
// is refused.
func Authorize(tx *store.Tx, caller token.Claims, users ...token.UserID) error {
	if err := Lock(tx, append(users, caller.UserID)...); err != nil {
		return err
	}
	var now struct {
		Version int64  `db:"version"`
		Roles   string `db:"roles"`
		IsLive  bool   `db:"is_live"`
	}
	// A statement of its own: on Postgres, the one that waited for the lock sees the sessions as of before the wait.
	err := tx.Get(&now, `SELECT version, roles, disabled_at IS NULL AND EXISTS (SELECT 1 FROM sessions
		WHERE id = $2 AND user_id = users.id AND revoked_at IS NULL AND expires_at > now_us()) AS is_live
		FROM users WHERE id = $1`, caller.UserID, caller.SessionID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return ErrTokenRevoked
	case err != nil:
		return fmt.Errorf("read caller: %w", err)
	case !now.IsLive:
		return ErrTokenRevoked
	case now.Version != caller.Version || !slices.Equal(ParseRoles(now.Roles), caller.Roles):
		return ErrTokenStale
	}
	return nil
}

// Lock locks the rows of users until the end of tx, in the order of their ids: two administrators who act on each
// other do not deadlock.
func Lock(tx *store.Tx, users ...token.UserID) error {
	for _, id := range slices.Compact(slices.Sorted(slices.Values(users))) {
		if _, err := tx.Exec("UPDATE users SET updated_at = updated_at WHERE id = $1", id); err != nil {
			return fmt.Errorf("lock user: %w", err)
		}
	}
	return nil
}
