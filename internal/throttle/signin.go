package throttle

import (
	"context"
	"fmt"
	"time"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/web"
)

// knownFor is how long an address stays known after a sign-in from it.
const knownFor = 90 * 24 * time.Hour

// Attempt is an attempt to prove a password.
type Attempt struct {
	// Name is the account's name as the caller gave it. Attempts are counted by it, whether or not there is such an
	// account: if they were counted by account, two names with one bucket would reveal that they share one. It is empty
	// for a registration, which Register counts.
	Name string
	// User is the account of that name; empty for none.
	User token.UserID
	IP   string
}

// Login takes an attempt before any work. It returns RATE_LIMITED whether or not the password is right.
func (t *Throttle) Login(ctx context.Context, a Attempt) error {
	return t.db.Tx(ctx, func(tx *store.Tx) error {
		if err := t.TakeIn(tx, LoginPair, a.Name, web.Network(a.IP)); err != nil {
			return err
		}
		if err := t.TakeIn(tx, LoginAddress, web.Network(a.IP)); err != nil {
			return err
		}
		known, err := t.IsKnown(tx, a)
		if err != nil || known {
			return err
		}
		return t.TakeIn(tx, LoginAccount, a.Name)
	})
}

// Register takes a new account from an address.
func (t *Throttle) Register(ctx context.Context, ip string) error {
	return t.db.Tx(ctx, func(tx *store.Tx) error {
		if err := t.TakeIn(tx, RegisterAddress, web.Network(ip)); err != nil {
			return err
		}
		return t.TakeIn(tx, Register)
	})
}

// Succeeded forgets the failures of the pair after a proved password, and remembers the address, in tx. The other two
// buckets stay as they are. If one's own account emptied the address's, it would pay for spraying others. If a sign-in
// emptied the account's, a guesser elsewhere who is refused would be let through again, and so learn that the account
// exists. The owner does not need it, because this address is known from now on.
func (t *Throttle) Succeeded(tx *store.Tx, a Attempt) error {
	if a.Name != "" {
		pair := t.name(string(LoginPair), a.Name, web.Network(a.IP))
		if _, err := tx.Exec("DELETE FROM throttle WHERE key = $1", pair); err != nil {
			return fmt.Errorf("clear attempts: %w", err)
		}
	}
	_, err := tx.Exec(`INSERT INTO known_addresses (key, user_id, seen_at) VALUES ($1, $2, now_us())
		ON CONFLICT (key) DO UPDATE SET seen_at = excluded.seen_at`, t.known(a), a.User)
	if err != nil {
		return fmt.Errorf("remember address: %w", err)
	}
	return nil
}

// IsKnown reports whether the account has signed in from the address within the last 90 days.
func (t *Throttle) IsKnown(tx *store.Tx, a Attempt) (known bool, err error) {
	err = tx.Get(&known, "SELECT EXISTS (SELECT 1 FROM known_addresses WHERE key = $1 AND seen_at > now_us() - $2)",
		t.known(a), knownFor.Microseconds())
	if err != nil {
		return false, fmt.Errorf("look for a known address: %w", err)
	}
	return known, nil
}

// IsNew reports whether a successful attempt comes from an address that the account does not know, although it knows
// others. Call it before Succeeded.
func (t *Throttle) IsNew(tx *store.Tx, a Attempt) (isNew bool, err error) {
	err = tx.Get(&isNew, `SELECT EXISTS (SELECT 1 FROM known_addresses WHERE user_id = $1)
		AND NOT EXISTS (SELECT 1 FROM known_addresses WHERE key = $2 AND seen_at > now_us() - $3)`,
		a.User, t.known(a), knownFor.Microseconds())
	if err != nil {
		return false, fmt.Errorf("look for a new address: %w", err)
	}
	return isNew, nil
}

// known returns the key of an account at an address. Deployments have keys that were made from the word pair.
func (t *Throttle) known(a Attempt) string { return t.name("pair", string(a.User), web.Network(a.IP)) }
