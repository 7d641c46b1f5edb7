// Package throttle owns how often somebody may try: buckets in the shared database, so that replicas
// agree, filled before the work that they limit is done.
//
// It promises that of any number of attempts at once no more than a bucket holds are let through, that
// a refused attempt takes nothing, and that no stranger can keep an account's owner out of an address
// from which they have signed in. What is counted is kept only as an HMAC. It does not know passwords.
package throttle

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/web"
)

// knownFor is how long an address counts as known after a sign-in from it.
const knownFor = 90 * 24 * time.Hour

// Rate is a bucket's size and the time in which a full one becomes empty again. One attempt comes back
// every Per/Burst, which is also the longest that anybody has to wait.
type Rate struct {
	Burst int
	Per   time.Duration
}

func (r Rate) interval() time.Duration { return r.Per / time.Duration(r.Burst) }

// Rates are the limits.
type Rates struct {
	// Pair is for one name of an account from one address.
	Pair Rate
	// Account is for one name of an account from all addresses that the account has not signed in from, together.
	Account Rate
	// Address is for one address, whatever the account (spraying).
	Address Rate
	// Register is for new accounts from one address; RegisterAll for all addresses together.
	Register, RegisterAll Rate
	// Refresh is for the genuine refresh tokens of one session.
	Refresh Rate
	// Own is for one kind of change that a user makes to their own account.
	Own Rate
	// RefreshInvalid and VerifyInvalid are for refresh tokens and tokens given to verifyToken that are not valid, from
	// one address and on one replica.
	RefreshInvalid, VerifyInvalid Rate
}

// Throttle counts attempts.
type Throttle struct {
	db    *store.DB
	key   []byte
	rates Rates
	local local

	refused atomic.Int64
}

// Refused is how many attempts were refused here.
func (t *Throttle) Refused() int64 { return t.refused.Load() }

// New wires a Throttle. now measures what is counted on this replica alone, by its monotonic reading.
func New(db *store.DB, s *secret.Secret, rates Rates, now func() time.Time) *Throttle {
	return &Throttle{db: db, key: s.Key("throttle"), rates: rates,
		local: local{now: now, base: now(), empty: make(map[string]time.Duration)}}
}

// bucket is one thing counted.
type bucket struct {
	key  string
	rate Rate
}

// name is the key of a bucket: what is counted, unreadable to whoever reads the table. Parts are
// ended by NUL, which only the name in the middle can hold, so that no two buckets read alike.
func (t *Throttle) name(parts ...string) string {
	h := hmac.New(sha256.New, t.key)
	for _, part := range parts {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

// Attempt is a try to prove a password.
type Attempt struct {
	// Name is what the caller gave for the account. Attempts are counted by it, whether or not it leads to an account:
	// counted by account, two names with one bucket would tell that they lead to the same one.
	Name string
	// User is the account that Name leads to; empty for none.
	User token.UserID
	IP   string
}

// Login reserves an attempt, before any work. It answers RATE_LIMITED whether or not the password
// would have been right.
func (t *Throttle) Login(ctx context.Context, a Attempt) error {
	return t.db.Tx(ctx, func(tx *store.Tx) error {
		buckets := []bucket{{t.pair(a.Name, a.IP), t.rates.Pair}, {t.name("address", web.Network(a.IP)), t.rates.Address}}
		var known bool
		err := tx.Get(&known, "SELECT EXISTS (SELECT 1 FROM known_addresses WHERE key = $1 AND seen_at > now_us() - $2)",
			t.pair(string(a.User), a.IP), knownFor.Microseconds())
		if err != nil {
			return fmt.Errorf("look for a known address: %w", err)
		}
		if !known {
			buckets = append(buckets, bucket{t.name("account", a.Name), t.rates.Account})
		}
		return t.reserve(tx, buckets)
	})
}

// pair is the key of a name, or of an account, at an address.
func (t *Throttle) pair(name, ip string) string { return t.name("pair", name, web.Network(ip)) }

// Succeeded clears the pair's failures after a proved password, and remembers the address, in tx. The other two
// buckets stay as they are. The address's: one account of one's own must not pay for spraying others. The account's:
// a guesser elsewhere who has emptied it would be let through again as soon as the owner signs in, and so learn that
// there is such an account. The owner does not need it, since from now on this address is known.
func (t *Throttle) Succeeded(tx *store.Tx, a Attempt) error {
	if _, err := tx.Exec("DELETE FROM throttle WHERE key = $1", t.pair(a.Name, a.IP)); err != nil {
		return fmt.Errorf("clear attempts: %w", err)
	}
	return t.Remember(tx, a.User, a.IP)
}

// Remember counts an address as known to an account, in tx.
func (t *Throttle) Remember(tx *store.Tx, user token.UserID, ip string) error {
	_, err := tx.Exec(`INSERT INTO known_addresses (key, user_id, seen_at) VALUES ($1, $2, now_us())
		ON CONFLICT (key) DO UPDATE SET seen_at = excluded.seen_at`, t.pair(string(user), ip), user)
	if err != nil {
		return fmt.Errorf("remember address: %w", err)
	}
	return nil
}

// Register reserves a new account from an address.
func (t *Throttle) Register(ctx context.Context, ip string) error {
	return t.take(ctx, bucket{t.name("register", web.Network(ip)), t.rates.Register}, bucket{t.name("register all"), t.rates.RegisterAll})
}

// RefreshInvalid counts a refresh token that this server did not issue.
func (t *Throttle) RefreshInvalid(ip string) error {
	return t.takeLocal("refresh "+web.Network(ip), t.rates.RefreshInvalid)
}

// VerifyInvalid counts a token that was given to verifyToken and is not valid. Valid ones cost nothing: a service
// behind one address asks for all of its users.
func (t *Throttle) VerifyInvalid(ip string) error {
	return t.takeLocal("verify "+web.Network(ip), t.rates.VerifyInvalid)
}

// takeLocal counts in memory. A forgery has nothing to guess that a limit would protect, so its limit is for the
// load alone, and a transaction for each would be more load than the forgery is.
func (t *Throttle) takeLocal(key string, rate Rate) error {
	if wait := t.local.take(key, rate); wait > 0 {
		return t.limited(wait, rate)
	}
	return nil
}

// Refresh reserves a refresh of a session, in the transaction that does it.
func (t *Throttle) Refresh(tx *store.Tx, id token.SessionID) error {
	return t.reserve(tx, []bucket{{t.name("refresh", string(id)), t.rates.Refresh}})
}

// Own reserves a change that user makes to their own account. Each kind of change
// has a bucket of its own: with a stolen session, the kind that needs no password must not use up the one that does.
func (t *Throttle) Own(tx *store.Tx, user token.UserID, kind string) error {
	return t.reserve(tx, []bucket{{t.name("own", kind, string(user)), t.rates.Own}})
}

func (t *Throttle) take(ctx context.Context, buckets ...bucket) error {
	return t.db.Tx(ctx, func(tx *store.Tx) error { return t.reserve(tx, buckets) })
}

// reserve takes one attempt from each bucket, or from none: its error undoes the transaction. The
// statement that takes is the one that decides, so of two at once for the last attempt one is refused.
// No bucket is ever more than full: one that the clock left behind when it went back is full from this attempt on.
func (t *Throttle) reserve(tx *store.Tx, buckets []bucket) error {
	for _, b := range buckets {
		var empty store.Time
		interval, tolerance := b.rate.interval(), b.rate.Per-b.rate.interval()
		err := tx.Get(&empty, `INSERT INTO throttle (key, empty) VALUES ($1, now_us() + $2)
			ON CONFLICT (key) DO UPDATE SET empty = $2 + CASE WHEN throttle.empty < now_us() THEN now_us()
				WHEN throttle.empty > now_us() + $2 + $3 THEN now_us() + $3 ELSE throttle.empty END
			WHERE throttle.empty <= now_us() + $3 OR throttle.empty > now_us() + $2 + $3
			RETURNING empty`, b.key, interval.Microseconds(), tolerance.Microseconds())
		if errors.Is(err, sql.ErrNoRows) {
			return t.full(tx, b, tolerance)
		}
		if err != nil {
			return fmt.Errorf("count attempt: %w", err)
		}
	}
	return nil
}

// full says how long the bucket b lets nothing through.
func (t *Throttle) full(tx *store.Tx, b bucket, tolerance time.Duration) error {
	var wait int64
	err := tx.Get(&wait, "SELECT empty - $2 - now_us() FROM throttle WHERE key = $1", b.key, tolerance.Microseconds())
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read bucket: %w", err)
	}
	return t.limited(time.Duration(wait)*time.Microsecond, b.rate)
}

// limited refuses for the time wait, but never for longer than an attempt takes to come back.
func (t *Throttle) limited(wait time.Duration, rate Rate) error {
	t.refused.Add(1)
	e := fault.New(fault.RateLimited, fault.TooManyAttempts, "too many attempts: wait a while")
	e.RetryAfter = max(min(wait, rate.interval()), time.Second)
	return e
}

// Prune deletes buckets that are empty and addresses that are known no more.
func (t *Throttle) Prune(ctx context.Context) error {
	if err := t.db.Prune(ctx, "throttle", "key", "empty < now_us() - $2", time.Minute.Microseconds()); err != nil {
		return err
	}
	return t.db.Prune(ctx, "known_addresses", "key", "seen_at < now_us() - $2", knownFor.Microseconds())
}
