package token

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/store"
)

// Leeway tolerates clock differences between replicas, and the short time in which a replica still signs with a key
// that another one has retired.
const Leeway = 5 * time.Second

// Topic is the notification topic of key revocations. Subscribers call Reload.
const Topic = "signing keys"

// RingOptions configure a Ring.
type RingOptions struct {
	Algorithm Algorithm
	// Type is the typ of issued tokens; empty means TypeAccess. TypeAccess tokens always verify, TypeJWT tokens only if
	// Type is TypeJWT.
	Type Type
	// RotateEvery is the age at which Maintain replaces the active key.
	RotateEvery time.Duration
	// Overlap is how long a key is published before it may sign.
	Overlap time.Duration
	// TokenLife is the lifetime of access tokens. A retired key verifies for TokenLife plus Leeway.
	TokenLife time.Duration
	// Now is the clock that measures the age of the keys in memory.
	Now func() time.Time
}

// Ring is one process's view of the signing keys in the database. A key is first next (published, not yet signing),
// then active, then retired (verifying until its last token has expired). Revoked keys verify nothing. A Ring is safe
// for concurrent use.
type Ring struct {
	db      *store.DB
	secret  *secret.Secret
	options RingOptions

	reading *store.Reading // serialized, so that a slow reader cannot bring back a key that a fast one saw revoked
	current atomic.Pointer[keySet]
}

// keySet is one state of the ring. It is immutable.
type keySet struct {
	rows     []keyRow // the rows it was made from; nil if one of them failed
	byID     map[string]*key
	byHeader map[string]*key
	active   *key
	jwks     []byte
}

type keyRow struct {
	KeyID     string `db:"kid"`
	Algorithm string `db:"algorithm"`
	PublicJWK string `db:"public_jwk"`
	Sealed    string `db:"sealed"`
	State     State  `db:"state"`
}

// OpenRing loads the keys, and generates the first ones if there are none. If the secret does not decrypt the keys, the
// error says what to do.
func OpenRing(ctx context.Context, db *store.DB, s *secret.Secret, o RingOptions) (*Ring, error) {
	// Load first, so that nothing is written if the secret is wrong.
	r, err := LoadRing(ctx, db, s, o)
	if err != nil || r.current.Load().active != nil {
		return r, err
	}
	if err := r.replenish(ctx); err != nil {
		return nil, err
	}
	return r, r.Reload(ctx)
}

// LoadRing loads the keys for a process that only reads. It generates none, so the ring may be empty.
func LoadRing(ctx context.Context, db *store.DB, s *secret.Secret, o RingOptions) (*Ring, error) {
	if _, err := ParseAlgorithm(string(o.Algorithm)); err != nil {
		return nil, err
	}
	o.Type = cmp.Or(o.Type, TypeAccess)
	r := &Ring{db: db, secret: s, options: o, reading: store.NewReading(o.Now)}
	r.current.Store(&keySet{})
	if err := r.Reload(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// Reload applies the changes of other processes. Without a change it costs one small query. It skips unreadable keys,
// and returns an error for them.
func (r *Ring) Reload(ctx context.Context) error { return r.reading.Read(ctx, r.reload) }

// CatchUp calls Reload if the last one is older than store.Prompt. Concurrent callers share one Reload.
func (r *Ring) CatchUp(ctx context.Context) error { return r.reading.CatchUp(ctx, r.reload) }

func (r *Ring) reload(ctx context.Context) error {
	var rows []keyRow
	err := r.db.Select(ctx, &rows, `SELECT kid, algorithm, public_jwk, sealed, state FROM signing_keys
		WHERE state IN ('next', 'active') OR state = 'retired' AND retired_at + $1 > now_us()
		ORDER BY created_at, kid`, r.afterlife())
	if err != nil {
		return fmt.Errorf("read the signing keys: %w", err)
	}
	old := r.current.Load()
	if slices.Equal(rows, old.rows) {
		return nil
	}
	set, err := r.newKeySet(rows, old)
	r.current.Store(set)
	return err
}

// afterlife returns how long a retired key verifies, in microseconds.
func (r *Ring) afterlife() int64 { return (r.options.TokenLife + Leeway).Microseconds() }

func (r *Ring) newKeySet(rows []keyRow, old *keySet) (*keySet, error) {
	set := &keySet{rows: rows, byID: map[string]*key{}, byHeader: map[string]*key{}}
	published := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	var failed error
	for _, row := range rows {
		// A kid is the hash of its key, so a key in memory never becomes wrong. Keeping it also preserves keys that were
		// sealed again under a new secret which this process does not know yet.
		k := old.byID[row.KeyID]
		if k == nil {
			var err error
			if k, err = openKey(row, r.secret); err != nil {
				failed = fmt.Errorf("signing key %s in the database: %w", row.KeyID, err)
				continue
			}
		}
		set.byID[k.id] = k
		for _, typ := range []Type{TypeAccess, r.options.Type} {
			set.byHeader[k.headers[typ]] = k
		}
		if row.State == Active {
			set.active = k
		}
		if k.algorithm != HS256 {
			published.Keys = append(published.Keys, k.jwk())
		}
	}
	if failed != nil {
		set.rows = nil // the next Reload tries again
	}
	var err error
	if set.jwks, err = json.Marshal(published); err != nil {
		return old, fmt.Errorf("encode the JWKS: %w", err)
	}
	return set, failed
}

// JWKS returns the public keys as JSON (RFC 7517 section 5): the next and the active key, and retired keys whose tokens
// have not expired. The set is empty for HS256. The caller must not modify the result.
func (r *Ring) JWKS() []byte { return r.current.Load().jwks }

// JWKSMaxAge returns how long the JWKS may be cached: half the overlap, so that every cache holds a key before it
// signs.
func (r *Ring) JWKSMaxAge() time.Duration { return min(r.options.Overlap/2, time.Hour) }
