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

// Leeway bridges the clocks of two replicas, and the moments in which one of them still signs with a
// key that another has just retired.
const Leeway = 5 * time.Second

// Topic is what notifications of revoked keys are about: who hears one calls Reload.
const Topic = "signing keys"

// RingOptions say what a ring signs with and how long keys live.
type RingOptions struct {
	Algorithm Algorithm
	// Type is the typ of issued tokens; empty means TypeAccess. Tokens of TypeAccess always verify; those of TypeJWT only
	// where it is the Type.
	Type Type
	// RotateEvery is the age at which Maintain replaces the active key.
	RotateEvery time.Duration
	// Overlap is how long a key is published before it may sign.
	Overlap time.Duration
	// TokenLife is the life of the access tokens; a retired key verifies for as long, plus the Leeway.
	TokenLife time.Duration
	// Now tells how old the keys in memory are.
	Now func() time.Time
}

// Ring is the set of signing keys in the database as one process sees it. A key goes from next
// (published, not yet signing) over active to retired (verifying until its last token has expired);
// revoked keys verify nothing. Its methods may be called from many goroutines.
type Ring struct {
	db      *store.DB
	secret  *secret.Secret
	options RingOptions

	reading *store.Reading // one at a time: a slow reader could put back a key that a fast one saw revoked
	current atomic.Pointer[keySet]
}

// keySet is one state of the ring. It never changes.
type keySet struct {
	rows     []keyRow // what it was made of; nil if something in them failed
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

// OpenRing loads the keys, and makes the first ones if there are none. Its error says in a sentence what to do
// about a secret that opens nothing.
func OpenRing(ctx context.Context, db *store.DB, s *secret.Secret, o RingOptions) (*Ring, error) {
	// First, so that with a wrong secret nothing is written.
	r, err := LoadRing(ctx, db, s, o)
	if err != nil || r.current.Load().active != nil {
		return r, err
	}
	if err := r.replenish(ctx); err != nil {
		return nil, err
	}
	return r, r.Reload(ctx)
}

// LoadRing is OpenRing for a process that only reads: it makes no keys, and the ring may have none.
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

// Reload follows what other processes did to the keys. Without a change it costs one small query. A
// key that cannot be read is left out and reported; the others are followed all the same.
func (r *Ring) Reload(ctx context.Context) error { return r.reading.Read(ctx, r.reload) }

// CatchUp is Reload where the last one is older than store.Prompt. All callers share it.
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

// afterlife is how long a retired key verifies, in microseconds.
func (r *Ring) afterlife() int64 { return (r.options.TokenLife + Leeway).Microseconds() }

func (r *Ring) newKeySet(rows []keyRow, old *keySet) (*keySet, error) {
	set := &keySet{rows: rows, byID: map[string]*key{}, byHeader: map[string]*key{}}
	published := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	var failed error
	for _, row := range rows {
		// A kid is the hash of its key, so what is in memory under it stays right; and during a change
		// of the secret, rows sealed under one that this process does not know yet lose it nothing.
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

// JWKS is the JSON of the keys that others verify with (RFC 7517 section 5): next, active and those
// retired ones that still have tokens out. It is empty for HS256. The caller must not change it.
func (r *Ring) JWKS() []byte { return r.current.Load().jwks }

// JWKSMaxAge is how long the JWKS may be cached: half the overlap, so that a key is everywhere before
// it signs.
func (r *Ring) JWKSMaxAge() time.Duration { return min(r.options.Overlap/2, time.Hour) }
