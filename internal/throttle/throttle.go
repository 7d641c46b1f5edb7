package throttle

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/store"
)

// Bucket is a kind of limited action. Its rate is the setting of the same name with -limit.
type Bucket string

// The buckets, each with the parts of its key.
const (
	LoginPair       Bucket = "login-pair"       // a name of an account and an address
	LoginAccount    Bucket = "login-account"    // a name of an account, from all addresses unknown to the account
	LoginAddress    Bucket = "login-address"    // an address, for all accounts (spraying)
	RegisterAddress Bucket = "register-address" // an address
	Register        Bucket = "register"         // all new accounts
	Refresh         Bucket = "refresh"          // a session, for its valid refresh tokens
	RefreshInvalid  Bucket = "refresh-invalid"  // an address, on one replica
	VerifyInvalid   Bucket = "verify-invalid"   // an address, on one replica
	// PasswordRating has an address, on one replica: a row for each keystroke would cost more than the rating.
	PasswordRating Bucket = "password-rating"
	// OwnActs has a kind of change and the user who makes it to their own account. Kinds are separate: with a stolen
	// session, the one that needs no password must not use up the one that does.
	OwnActs Bucket = "own-acts"
	// MailPace and MailRecipient have the key of an address that mail was requested for.
	MailPace      Bucket = "mail-pace"
	MailRecipient Bucket = "mail-recipient"
	MailRequest   Bucket = "mail-request" // an address of a network
	Redeem        Bucket = "redeem"       // an address of a network, for links, codes and passkeys
	// PasskeyBegin has an address of a network.
	PasskeyBegin Bucket = "passkey-begin"
	// SecondFactor has a user, once for the attempts of the user's own sessions and known addresses and once for all
	// others.
	SecondFactor Bucket = "second-factor"
)

// Rate is the size of a bucket and the time in which a full one becomes empty again. One attempt comes back every
// Per/Burst, which is also the longest wait.
type Rate struct {
	Burst int
	Per   time.Duration
}

func (r Rate) interval() time.Duration { return r.Per / time.Duration(r.Burst) }

// tolerance is how far ahead of now a bucket that lets an attempt through may be empty again.
func (r Rate) tolerance() time.Duration { return r.Per - r.interval() }

// Args returns the interval and the tolerance that Next and HasRoom refer to, in microseconds.
func (r Rate) Args() (interval, tolerance int64) {
	return r.interval().Microseconds(), r.tolerance().Microseconds()
}

// A bucket is one number, empty: the time at which it will be empty again. It may be a column of another table. Next is
// the SQL for its value after one more attempt, and HasRoom that for whether the bucket lets the attempt through. One
// statement with both decides and takes, so of two concurrent attempts for the last place one is refused. A bucket
// that the clock left behind when it went back is full from the next attempt on.
func Next(empty, interval, tolerance string) string {
	return fmt.Sprintf(`%[2]s + CASE WHEN %[1]s < now_us() THEN now_us()
		WHEN %[1]s > now_us() + %[2]s + %[3]s THEN now_us() + %[3]s ELSE %[1]s END`, empty, interval, tolerance)
}

// HasRoom belongs to Next.
func HasRoom(empty, interval, tolerance string) string {
	return fmt.Sprintf("(%[1]s <= now_us() + %[3]s OR %[1]s > now_us() + %[2]s + %[3]s)", empty, interval, tolerance)
}

// Rates holds the rate of each bucket.
type Rates map[Bucket]Rate

// Throttle counts attempts.
type Throttle struct {
	db    *store.DB
	key   []byte
	rates Rates
	local local

	refused atomic.Int64
}

// New wires a Throttle. now is the clock of the buckets in memory; it must have a monotonic reading.
func New(db *store.DB, s *secret.Secret, rates Rates, now func() time.Time) *Throttle {
	return &Throttle{
		db:    db,
		key:   s.Key("throttle"),
		rates: rates,
		local: local{now: now, base: now(), empty: make(map[string]time.Duration)},
	}
}

// Refused returns the number of attempts refused by this replica.
func (t *Throttle) Refused() int64 { return t.refused.Load() }

// Take takes one attempt from a bucket, or returns RATE_LIMITED. The parts are what the attempt is counted by.
func (t *Throttle) Take(ctx context.Context, bucket Bucket, parts ...string) error {
	return t.db.Tx(ctx, func(tx *store.Tx) error { return t.TakeIn(tx, bucket, parts...) })
}

// TakeIn is Take in tx. Its error must undo tx, so that several buckets give one attempt each or none.
func (t *Throttle) TakeIn(tx *store.Tx, bucket Bucket, parts ...string) error {
	rate, err := t.Rate(bucket)
	if err != nil {
		return err
	}
	return t.reserve(tx, t.name(append([]string{string(bucket)}, parts...)...), rate)
}

// TakeLocal is Take on this replica alone, in memory. Forgeries are counted with it: they cannot be guessed, so their
// limit only bounds load, and a transaction for each would cost more than the forgery.
func (t *Throttle) TakeLocal(bucket Bucket, parts ...string) error {
	rate, err := t.Rate(bucket)
	if err != nil {
		return err
	}
	wait := t.local.take(string(bucket)+" "+strings.Join(parts, " "), rate)
	if wait > 0 {
		return t.limited(wait, rate)
	}
	return nil
}

// Rate returns the rate of a bucket.
func (t *Throttle) Rate(bucket Bucket) (Rate, error) {
	rate, ok := t.rates[bucket]
	if !ok {
		return Rate{}, fmt.Errorf("throttle: %s has no rate", bucket)
	}
	return rate, nil
}

// name returns the key of a bucket, unreadable to readers of the table. Parts end in NUL, which only a part in the
// middle can contain, so that no two buckets have the same key.
func (t *Throttle) name(parts ...string) string {
	h := hmac.New(sha256.New, t.key)
	for _, part := range parts {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

// take counts an attempt in the bucket of a key, or returns no row if the bucket has no room.
var take = `INSERT INTO throttle (key, empty) VALUES ($1, now_us() + $2)
	ON CONFLICT (key) DO UPDATE SET empty = ` + Next("throttle.empty", "$2", "$3") + `
	WHERE ` + HasRoom("throttle.empty", "$2", "$3") + ` RETURNING empty`

// reserve takes one attempt from the bucket of key.
func (t *Throttle) reserve(tx *store.Tx, key string, rate Rate) error {
	var empty int64
	interval, tolerance := rate.Args()
	err := tx.Scan([]any{&empty}, take, key, interval, tolerance)
	if errors.Is(err, sql.ErrNoRows) {
		return t.full(tx, key, rate)
	}
	if err != nil {
		return fmt.Errorf("count attempt: %w", err)
	}
	return nil
}

// full returns RATE_LIMITED with the time until the bucket of key lets an attempt through.
func (t *Throttle) full(tx *store.Tx, key string, rate Rate) error {
	var wait int64
	err := tx.Get(&wait, "SELECT empty - $2 - now_us() FROM throttle WHERE key = $1",
		key, rate.tolerance().Microseconds())
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read bucket: %w", err)
	}
	return t.limited(time.Duration(wait)*time.Microsecond, rate)
}

// Check returns RATE_LIMITED if a bucket in a column has no room at the time now.
func (t *Throttle) Check(rate Rate, empty, now store.Time) error {
	wait := empty.Sub(now) - rate.tolerance()
	if wait <= 0 || wait > rate.interval() {
		return nil
	}
	return t.limited(wait, rate)
}

// limited returns RATE_LIMITED for the time wait, but never for longer than an attempt takes to come back.
func (t *Throttle) limited(wait time.Duration, rate Rate) error {
	t.refused.Add(1)
	e := fault.New(fault.RateLimited, fault.TooManyAttempts, "too many attempts: wait a while")
	e.RetryAfter = max(min(wait, rate.interval()), time.Second)
	return e
}

// Prune deletes empty buckets and addresses that are no longer known.
func (t *Throttle) Prune(ctx context.Context) error {
	if err := t.db.Prune(ctx, "throttle", "key", "empty < now_us() - $2", time.Minute.Microseconds()); err != nil {
		return err
	}
	return t.db.Prune(ctx, "known_addresses", "key", "seen_at < now_us() - $2", knownFor.Microseconds())
}
