package throttle

import (
	"context"
	"fmt"

	"github.com/graphwarden/graphwarden/internal/store"
)

// Factor takes an attempt to prove a second factor. It is counted by account, so that another challenge gives no
// further attempts. Signed-in callers and known addresses have a bucket of their own: a stranger who knows the password
// cannot make the owner wait.
func (t *Throttle) Factor(ctx context.Context, a Attempt, signedIn bool) error {
	return t.db.Tx(ctx, func(tx *store.Tx) error {
		known, err := t.IsKnown(tx, a)
		if err != nil {
			return err
		}
		return t.TakeIn(tx, SecondFactor, string(a.User), ownership(known || signedIn))
	})
}

// FactorSucceeded forgets the failures of signed-in callers and known addresses. Those of strangers only expire:
// otherwise the owner's sign-ins would give them further attempts.
func (t *Throttle) FactorSucceeded(tx *store.Tx, a Attempt) error {
	key := t.name(string(SecondFactor), string(a.User), ownership(true))
	if _, err := tx.Exec("DELETE FROM throttle WHERE key = $1", key); err != nil {
		return fmt.Errorf("clear attempts: %w", err)
	}
	return nil
}

func ownership(own bool) string {
	if own {
		return "own"
	}
	return "stranger"
}
