package token

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/store"
)

// State is the state of a key.
type State string

// The states of a key. Unique indexes allow at most one next and one active key.
const (
	Next    State = "next"
	Active  State = "active"
	Retired State = "retired"
	Revoked State = "revoked"
)

// KeyInfo describes a key to an operator. Times in the future are zero.
type KeyInfo struct {
	KeyID       string     `db:"kid"`
	Algorithm   Algorithm  `db:"algorithm"`
	State       State      `db:"state"`
	CreatedAt   store.Time `db:"created_at"`
	ActivatedAt store.Time `db:"activated_at"`
	// RetiredAt is the time at which the key was retired or revoked.
	RetiredAt store.Time `db:"retired_at"`
}

// errRaced means that the keys changed between reading and writing.
var errRaced = errors.New("another rotation came first")

// HasKeys reports whether the database has signing keys.
func HasKeys(ctx context.Context, db *store.DB) (has bool, err error) {
	if err := db.Get(ctx, &has, `SELECT EXISTS (SELECT 1 FROM signing_keys)`); err != nil {
		return false, fmt.Errorf("look for signing keys: %w", err)
	}
	return has, nil
}

// Inspect lists the keys without opening a ring, and does not change the database. It fails if the secret does not
// decrypt the keys that verify.
func Inspect(ctx context.Context, db *store.DB, s *secret.Secret) ([]KeyInfo, error) {
	r := &Ring{db: db, secret: s}
	r.current.Store(&keySet{})
	if err := r.reload(ctx); err != nil {
		return nil, err
	}
	return r.Keys(ctx)
}

// Keys lists the keys in the database, the oldest first.
func (r *Ring) Keys(ctx context.Context) ([]KeyInfo, error) {
	var keys []KeyInfo
	err := r.db.Select(ctx, &keys, `SELECT kid, algorithm, state, created_at,
		COALESCE(activated_at, 0) AS activated_at, COALESCE(retired_at, 0) AS retired_at
		FROM signing_keys ORDER BY created_at, kid`)
	if err != nil {
		return nil, fmt.Errorf("list the signing keys: %w", err)
	}
	return keys, nil
}

// Maintain rotates the keys if the active one is too old or has another algorithm than configured, publishes a next
// key, and deletes keys that verify nothing. Replicas may call it concurrently.
func (r *Ring) Maintain(ctx context.Context) error {
	if err := r.replenish(ctx); err != nil {
		return err
	}
	turn, err := r.turn(ctx)
	if err != nil {
		return err
	}
	old := turn.activeFor >= r.options.RotateEvery || turn.active.Algorithm != r.options.Algorithm
	if old && turn.publishedFor >= r.options.Overlap {
		if err := r.promote(ctx, turn, noAudit); err != nil && !errors.Is(err, errRaced) {
			return err
		}
	}
	err = r.db.Tx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`DELETE FROM signing_keys
			WHERE state IN ('retired', 'revoked') AND retired_at + $1 <= now_us()`, r.afterlife())
		return err
	})
	if err != nil {
		return fmt.Errorf("delete old signing keys: %w", err)
	}
	return r.Reseal(ctx)
}

// Record adds an operator's action on keys to the audit log, in the transaction of that action.
type Record func(tx *store.Tx, keys string) error

// noAudit is the Record of Maintain. Keys shows automatic rotations; in the audit log they would hide the actions of
// operators.
func noAudit(*store.Tx, string) error { return nil }

// Rotate makes the next key active. It refuses while cached key sets may not contain that key yet. After a leak, use
// Revoke, which does not wait.
func (r *Ring) Rotate(ctx context.Context, record Record) error {
	if err := r.checkSecret(); err != nil {
		return err
	}
	if err := r.replenish(ctx); err != nil {
		return err
	}
	turn, err := r.turn(ctx)
	if err != nil {
		return err
	}
	wait := r.options.Overlap - turn.publishedFor
	if wait > 0 {
		return fmt.Errorf("the next key has not been published for long enough: "+
			"rotate again in %s, or revoke the active key if it leaked", wait.Round(time.Second))
	}
	if err := r.promote(ctx, turn, record); err != nil {
		return err
	}
	return r.Reload(ctx)
}

// Revoke revokes a key: here when it returns, in other processes at their next Reload. If the key was active, the next
// key replaces it immediately, although services with a cached JWKS may refuse its tokens for a while.
func (r *Ring) Revoke(ctx context.Context, kid string, record Record) error {
	if err := r.checkSecret(); err != nil {
		return err
	}
	spare, err := r.newRow()
	if err != nil {
		return err
	}
	err = r.db.Tx(ctx, func(tx *store.Tx) error {
		n, err := tx.Exec(`UPDATE signing_keys SET state = 'revoked', retired_at = now_us()
			WHERE kid = $1 AND state <> 'revoked'`, kid)
		if err != nil {
			return err
		}
		if n == 0 { // already revoked, or unknown
			return tx.Get(&kid, `SELECT kid FROM signing_keys WHERE kid = $1`, kid)
		}
		if err := fill(tx, spare); err != nil {
			return err
		}
		if err := record(tx, kid); err != nil {
			return err
		}
		return tx.Notify(Topic)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("there is no signing key %q", kid)
	}
	if err != nil {
		return fmt.Errorf("revoke a signing key: %w", err)
	}
	return r.Reload(ctx)
}

// checkSecret refuses a current secret that no key is sealed with. The servers may not accept it; a key sealed with it
// would keep them from starting.
func (r *Ring) checkSecret() error {
	for _, row := range r.current.Load().rows {
		if _, current, err := unseal(row.KeyID, row.Sealed, r.secret); err == nil && current {
			return nil
		}
	}
	return errors.New("no key is sealed with this --secret: give the one that the servers have")
}

// turn holds the two keys that a rotation changes.
type turn struct {
	active, next            KeyInfo
	activeFor, publishedFor time.Duration
}

func (r *Ring) turn(ctx context.Context) (turn, error) {
	var t turn
	keys, err := r.Keys(ctx)
	if err != nil {
		return t, err
	}
	var now store.Time // read after the keys, so that no age is negative
	if err := r.db.Get(ctx, &now, `SELECT now_us()`); err != nil {
		return t, fmt.Errorf("read the database's clock: %w", err)
	}
	for _, k := range keys {
		switch k.State {
		case Active:
			t.active, t.activeFor = k, now.Sub(k.ActivatedAt)
		case Next:
			t.next, t.publishedFor = k, now.Sub(k.CreatedAt)
		}
	}
	return t, nil
}

// promote retires the active key, activates the next one, and publishes a new next key.
func (r *Ring) promote(ctx context.Context, t turn, record Record) error {
	spare, err := r.newRow()
	if err != nil {
		return err
	}
	err = r.db.Tx(ctx, func(tx *store.Tx) error {
		// Retire first: the unique index allows only one active key at a time.
		retired, err := tx.Exec(`UPDATE signing_keys SET state = 'retired', retired_at = now_us()
			WHERE kid = $1 AND state = 'active'`, t.active.KeyID)
		if err != nil {
			return err
		}
		activated, err := tx.Exec(`UPDATE signing_keys SET state = 'active', activated_at = now_us()
			WHERE kid = $1 AND state = 'next'`, t.next.KeyID)
		if err != nil {
			return err
		}
		if retired == 0 || activated == 0 {
			return errRaced
		}
		if err := fill(tx, spare); err != nil {
			return err
		}
		return record(tx, t.active.KeyID+" → "+t.next.KeyID)
	})
	if err != nil {
		return fmt.Errorf("rotate the signing keys: %w", err)
	}
	return nil
}

// replenish adds the missing keys: an active key, and a next key of the configured algorithm.
func (r *Ring) replenish(ctx context.Context) error {
	t, err := r.turn(ctx)
	if err != nil {
		return err
	}
	var spares []keyRow
	if t.active.KeyID == "" && t.next.KeyID == "" {
		spares = make([]keyRow, 2)
	} else if t.active.KeyID == "" || t.next.Algorithm != r.options.Algorithm {
		spares = make([]keyRow, 1)
	}
	for i := range spares { // outside the transaction, because generating an RSA key is slow
		if spares[i], err = r.newRow(); err != nil {
			return err
		}
	}
	if len(spares) == 0 {
		return nil
	}
	err = r.db.Tx(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(`DELETE FROM signing_keys WHERE state = 'next' AND algorithm <> $1
			AND EXISTS (SELECT 1 FROM signing_keys WHERE state = 'active')`, string(r.options.Algorithm))
		if err != nil {
			return err
		}
		return fill(tx, spares...)
	})
	if err != nil {
		return fmt.Errorf("add a signing key: %w", err)
	}
	return nil
}

// fill inserts spares as missing next and active keys. Every key starts as next, so that the unique index on next
// serializes replicas.
func fill(tx *store.Tx, spares ...keyRow) error {
	const activate = `UPDATE signing_keys SET state = 'active', activated_at = now_us()
		WHERE state = 'next' AND NOT EXISTS (SELECT 1 FROM signing_keys WHERE state = 'active')`
	if _, err := tx.Exec(activate); err != nil {
		return err
	}
	for _, s := range spares {
		_, err := tx.Exec(`INSERT INTO signing_keys (kid, algorithm, public_jwk, sealed, state, created_at)
			VALUES ($1, $2, $3, $4, 'next', now_us()) ON CONFLICT DO NOTHING`, s.KeyID, s.Algorithm, s.PublicJWK, s.Sealed)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(activate); err != nil {
			return err
		}
	}
	return nil
}

// newRow generates a key of the configured algorithm and seals it.
func (r *Ring) newRow() (keyRow, error) {
	k, err := generate(r.options.Algorithm)
	for err == nil && strings.HasPrefix(k.id, "-") { // 1 of 64 ids would look like a flag on a command line
		k, err = generate(r.options.Algorithm)
	}
	if err != nil {
		return keyRow{}, err
	}
	plain, err := k.encode()
	if err != nil {
		return keyRow{}, fmt.Errorf("encode a signing key: %w", err)
	}
	public, err := k.publicJWK()
	if err != nil {
		return keyRow{}, fmt.Errorf("encode a public key: %w", err)
	}
	return keyRow{
		KeyID: k.id, Algorithm: string(k.algorithm), PublicJWK: public, Sealed: seal(k.id, plain, r.secret), State: Next,
	}, nil
}

// Reseal seals every key under the current secret, so that older secrets can be removed. Only servers call it, because
// a command may run with another secret.
func (r *Ring) Reseal(ctx context.Context) error {
	var rows []keyRow
	err := r.db.Select(ctx, &rows, `SELECT kid, algorithm, public_jwk, sealed, state FROM signing_keys`)
	if err != nil {
		return fmt.Errorf("read the signing keys: %w", err)
	}
	for _, row := range rows {
		plain, current, err := unseal(row.KeyID, row.Sealed, r.secret)
		if err != nil || current {
			continue // Reload reports unreadable keys in use
		}
		err = r.db.Tx(ctx, func(tx *store.Tx) error {
			_, err := tx.Exec(`UPDATE signing_keys SET sealed = $1 WHERE kid = $2 AND sealed = $3`,
				seal(row.KeyID, plain, r.secret), row.KeyID, row.Sealed)
			return err
		})
		if err != nil {
			return fmt.Errorf("seal a signing key again: %w", err)
		}
	}
	return r.Reload(ctx)
}
