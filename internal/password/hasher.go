package password

import (
	"context"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/graphwarden/graphwarden/internal/fault"
)

const (
	// mark is the prefix of hashes that Hasher makes: gw1$<pepper id>$<bcrypt>. No other system uses it.
	mark = "gw1$"

	// label is the prefix of every HMAC key. With plain SHA-384 instead of an HMAC, attackers could try stolen SHA-384
	// hashes as passwords.
	label = "graphwarden password v1:"

	pepperIDAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
)

// HasherOptions configure a Hasher.
type HasherOptions struct {
	// Cost is the bcrypt cost, 4 to 16. A hash takes 2^Cost rounds.
	Cost int
	// Pepper is an optional secret. Passwords in a copy of the database cannot be guessed without it. PepperID is its
	// name in stored hashes, 1 to 32 characters of A-Z a-z 0-9 _ -.
	Pepper, PepperID string
	// OldPeppers are peppers by id that are still accepted. Hashes without a pepper are always accepted.
	OldPeppers map[string]string
	// UntrimmedPeppers are all peppers by id as earlier versions read them, with surrounding white space. Hashes made
	// with them are still accepted, but each comparison takes twice as long.
	UntrimmedPeppers map[string]string
	// Workers is the maximum number of concurrent hashes; 0 means all cores but one.
	Workers int
	// Queue is the maximum number of waiting hashes; 0 means 32 per worker.
	Queue int
	// Now is the clock that measures a hash, for retryAfter. Without it, retryAfter is always 1 s.
	Now func() time.Time
}

// Hasher hashes passwords and compares them with hashes. Its worker pool is bounded, so that a flood of logins does not
// slow down authenticated requests. The time of a comparison does not depend on the account.
type Hasher struct {
	cost     int
	pepperID string
	keys     map[string][]byte // HMAC keys by pepper id; "" is the one without a pepper
	rounds   atomic.Uint64
	// untrimmed compares with UntrimmedPeppers. It is nil without them.
	untrimmed *Hasher
	dummies   []*Hash     // by cost, to spend time on
	memory    *sync.Mutex // held for a hash that takes much memory

	slots    chan struct{}
	limit    int64        // of admitted
	admitted atomic.Int64 // number of running and waiting hashes
	refused  atomic.Int64 // number of hashes refused because of a full queue
	took     atomic.Int64 // duration of the last hash in nanoseconds
	now      func() time.Time
}

// NewHasher returns a Hasher, or an error if an option is invalid. No error contains a pepper.
func NewHasher(o HasherOptions) (*Hasher, error) {
	if o.Cost < MinBcryptCost || o.Cost > MaxBcryptCost {
		return nil, fmt.Errorf("the bcrypt cost %d is not between %d and %d", o.Cost, MinBcryptCost, MaxBcryptCost)
	}
	if o.Workers < 0 || o.Queue < 0 {
		return nil, errors.New("the number of password workers and the length of their queue must not be negative")
	}
	keys, err := pepperKeys(o)
	if err != nil {
		return nil, err
	}
	if o.Workers == 0 {
		o.Workers = max(1, runtime.GOMAXPROCS(0)-1)
	}
	if o.Queue == 0 {
		o.Queue = 32 * o.Workers
	}
	if o.Now == nil {
		o.Now = func() time.Time { return time.Time{} }
	}
	dummies := make([]*Hash, o.Cost+1)
	for cost := MinBcryptCost; cost <= o.Cost; cost++ {
		if dummies[cost], err = Parse(fmt.Sprintf("$2a$%02d$%s", cost, strings.Repeat(".", 53))); err != nil {
			return nil, err
		}
	}
	memory, untrimmed := new(sync.Mutex), (*Hasher)(nil)
	if o.UntrimmedPeppers != nil {
		keys, err := pepperKeys(HasherOptions{OldPeppers: o.UntrimmedPeppers})
		if err != nil {
			return nil, err
		}
		untrimmed = &Hasher{cost: o.Cost, dummies: dummies, pepperID: o.PepperID, keys: keys, memory: memory}
	}
	return &Hasher{
		cost: o.Cost, dummies: dummies, pepperID: o.PepperID, keys: keys, untrimmed: untrimmed, memory: memory,
		slots: make(chan struct{}, o.Workers), limit: int64(o.Workers) + int64(o.Queue), now: o.Now,
	}, nil
}

func pepperKeys(o HasherOptions) (map[string][]byte, error) {
	peppers := map[string]string{}
	maps.Copy(peppers, o.OldPeppers)
	if o.Pepper != "" || o.PepperID != "" {
		if old, taken := peppers[o.PepperID]; taken && old != o.Pepper {
			return nil, fmt.Errorf("two peppers have the id %q", o.PepperID)
		}
		peppers[o.PepperID] = o.Pepper
	}
	keys := map[string][]byte{"": []byte(label)}
	for id, pepper := range peppers {
		if pepper == "" {
			return nil, fmt.Errorf("the password pepper with the id %q is empty", id)
		}
		if id == "" || len(id) > 32 || strings.Trim(id, pepperIDAlphabet) != "" {
			return nil, fmt.Errorf("the pepper id %q must have 1 to 32 characters of A-Z a-z 0-9 _ -", id)
		}
		keys[id] = []byte(label + pepper)
	}
	return keys, nil
}

// Hash hashes a password. The password must satisfy a Policy. The error is UNAVAILABLE if the queue is full or ctx ends
// first.
func (h *Hasher) Hash(ctx context.Context, password string) (stored string, err error) {
	password, ok := canonical(password)
	if !ok {
		return "", errors.New("hash password: not valid UTF-8, or too long")
	}
	err = h.timed(ctx, func() {
		hash, err := bcrypt.GenerateFromPassword(digest(h.keys[h.pepperID], password), h.cost)
		if err != nil {
			panic(err) // unreachable: bcrypt accepts 72 bytes, and a digest has 64
		}
		h.rounds.Add(1 << h.cost)
		stored = mark + h.pepperID + "$" + string(hash)
	})
	return stored, err
}

// Compare reports whether a password matches a stored hash, which Hash or another system made. The hash is "" for an
// unknown account and for an account without a password. Compare reports upgrade if the password matches and a new hash
// would be stronger.
//
// It always runs as many rounds as the configured cost requires, or the rounds of the stored hash if they are more. For
// schemes other than bcrypt, rounds are estimates. The error is UNAVAILABLE if the queue is full or ctx ends first.
func (h *Hasher) Compare(ctx context.Context, stored, password string) (ok, upgrade bool, err error) {
	err = h.timed(ctx, func() {
		ok, upgrade = h.compare(stored, password)
		if h.untrimmed != nil { // even if ok, so that the time does not depend on it
			old, _ := h.untrimmed.compare(stored, password)
			ok, upgrade = ok || old, upgrade || old && !ok
		}
	})
	return ok, upgrade, err
}

// Rounds returns the number of bcrypt rounds run so far, 2^cost per hash. Other schemes count by their estimates.
func (h *Hasher) Rounds() uint64 {
	if h.untrimmed != nil {
		return h.rounds.Load() + h.untrimmed.rounds.Load()
	}
	return h.rounds.Load()
}

// Pending returns the number of running and waiting hashes.
func (h *Hasher) Pending() int64 { return h.admitted.Load() }

// Refused returns the number of hashes refused because of a full queue.
func (h *Hasher) Refused() int64 { return h.refused.Load() }

// Full returns the error for a full queue, or nil if the queue has room. Callers check it before they use the database
// for a login that Hash or Compare would refuse anyway.
func (h *Hasher) Full() error {
	if h.admitted.Load() < h.limit {
		return nil
	}
	return h.overloaded()
}

func (h *Hasher) overloaded() error {
	h.refused.Add(1)
	drained := time.Duration(h.took.Load() * h.limit / int64(cap(h.slots)))
	return fault.Busy(fault.Overloaded, "too many sign-ins at this moment: try again later", max(time.Second, drained))
}

func (h *Hasher) compare(stored, password string) (ok, upgrade bool) {
	p, known := h.parse(stored)
	if !known {
		p = parsed{hash: h.dummies[h.cost]}
	}
	input, usable := h.input(p, password)
	match := h.matches(p.hash, input)
	// Costs c, c+1, … t-1 make up for a hash of cost c: 2^c + (2^c + 2^(c+1) + … + 2^(t-1)) = 2^t.
	missing := uint64(1)<<h.cost - min(p.hash.Rounds, 1<<h.cost)
	for _, dummy := range slices.Backward(h.dummies) {
		if dummy != nil && dummy.Rounds <= missing {
			h.matches(dummy, input)
			missing -= dummy.Rounds
		}
	}
	ok = match && known && usable
	return ok, ok && (p.foreign || p.hash.Rounds < 1<<h.cost || p.pepperID != h.pepperID)
}

// parsed is a parsed stored hash.
type parsed struct {
	hash     *Hash
	foreign  bool // made by another system
	pepperID string
}

// parse parses a stored hash. It reports false if no password can match it. It applies the bounds of the import again,
// because a row can be written without the import.
func (h *Hasher) parse(stored string) (parsed, bool) {
	rest, ours := strings.CutPrefix(stored, mark)
	p := parsed{foreign: !ours}
	if ours {
		p.pepperID, rest, _ = strings.Cut(rest, "$")
		ours = strings.HasPrefix(rest, "$2")
	}
	hash, err := Parse(rest)
	p.hash = hash
	return p, err == nil && (ours || p.foreign) && h.keys[p.pepperID] != nil
}

// input returns the bytes to hash for a password. It reports false if the password must not match. Other systems hash
// the bytes that the user sent.
func (h *Hasher) input(p parsed, password string) ([]byte, bool) {
	if p.foreign {
		return []byte(password), true
	}
	password, usable := canonical(password)
	return digest(h.keys[p.pepperID], password), usable
}

// digest returns the HMAC of a password in base64, because for most bcrypt implementations the input ends at a NUL.
func digest(key []byte, password string) []byte {
	mac := hmac.New(sha512.New384, key)
	mac.Write([]byte(password))
	return base64.StdEncoding.AppendEncode(nil, mac.Sum(nil))
}

// matches compares input with a hash. It serializes hashes that take much memory, to bound the memory of concurrent
// logins.
func (h *Hasher) matches(hash *Hash, input []byte) bool {
	if hash.Memory > 0 {
		h.memory.Lock()
		defer h.memory.Unlock()
	}
	h.rounds.Add(hash.Rounds)
	return hash.Matches(input)
}

// timed is run for a hash, whose duration tells how long the queue takes.
func (h *Hasher) timed(ctx context.Context, f func()) error {
	return h.run(ctx, func() {
		start := h.now()
		f()
		h.took.Store(int64(h.now().Sub(start)))
	})
}

// run waits for a slot and runs f in it. It refuses immediately if the queue is full, because the client would give up
// before its turn.
func (h *Hasher) run(ctx context.Context, f func()) error {
	defer h.admitted.Add(-1)
	if h.admitted.Add(1) > h.limit {
		return h.overloaded()
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
	}
	if err := ctx.Err(); err != nil { // even with a free slot: the caller no longer waits for the result
		return fault.Busy(fault.TimedOut, "the request ended before its turn came: try again", time.Second).Because(err)
	}
	f()
	return nil
}
