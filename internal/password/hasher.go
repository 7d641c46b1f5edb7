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
	// mark starts a stored hash of our own: gw1$<pepper id>$<bcrypt>. No other system uses this prefix.
	mark = "gw1$"

	// label starts every HMAC key. With a bare SHA-384 in its place the hashes of another breach could
	// be tried here as passwords.
	label = "graphwarden password v1:"

	pepperIDAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
)

// HasherOptions say how passwords are hashed.
type HasherOptions struct {
	// Cost is bcrypt's, 4 to 16: a hash takes 2^Cost rounds.
	Cost int
	// Pepper, when not empty, is a secret without which a copy of the database is of no use for
	// guessing. PepperID names it in each stored hash: 1 to 32 of A-Z a-z 0-9 _ -.
	Pepper, PepperID string
	// OldPeppers by id are still accepted. Hashes made without a pepper always are.
	OldPeppers map[string]string
	// UntrimmedPeppers are all peppers by id as earlier versions read them, if white space was around one. Hashes
	// made with them are still accepted, and each comparison takes twice as long.
	UntrimmedPeppers map[string]string
	// Workers is how many hashes run at once; 0 leaves one core to everyone else.
	Workers int
	// Queue is how many more may wait; 0 means 32 a worker.
	Queue int
	// Now measures how long a hash takes, for retryAfter. Without it retryAfter is the least, 1 s.
	Now func() time.Time
}

// Hasher makes and compares password hashes in a bounded pool, so that a flood of logins leaves
// verified traffic alone. What a comparison costs tells nothing of the account.
type Hasher struct {
	cost     int
	pepperID string
	keys     map[string][]byte // HMAC keys by pepper id; "" is the one without a pepper
	rounds   atomic.Uint64
	// untrimmed compares with UntrimmedPeppers; nil without any.
	untrimmed *Hasher
	dummies   []*Hash     // by cost, up to that of Hash, to spend time on
	memory    *sync.Mutex // held for a hash that takes much of it

	slots    chan struct{}
	limit    int64        // of admitted
	admitted atomic.Int64 // running and waiting
	refused  atomic.Int64 // for a full queue
	took     atomic.Int64 // nanoseconds that the last one ran
	now      func() time.Time
}

// NewHasher checks the options. Its errors name no pepper.
func NewHasher(o HasherOptions) (*Hasher, error) {
	if o.Cost < MinBcryptCost || o.Cost > MaxBcryptCost {
		return nil, fmt.Errorf("a bcrypt cost of %d is outside %d to %d", o.Cost, MinBcryptCost, MaxBcryptCost)
	}
	if o.Workers < 0 || o.Queue < 0 {
		return nil, errors.New("the number of password workers and the length of their queue cannot be negative")
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
			return nil, fmt.Errorf("the pepper id %q names two peppers", o.PepperID)
		}
		peppers[o.PepperID] = o.Pepper
	}
	keys := map[string][]byte{"": []byte(label)}
	for id, pepper := range peppers {
		if pepper == "" {
			return nil, fmt.Errorf("the password pepper with the id %q is empty", id)
		}
		if id == "" || len(id) > 32 || strings.Trim(id, pepperIDAlphabet) != "" {
			return nil, fmt.Errorf("the pepper id %q is not 1 to 32 of A-Z a-z 0-9 _ -", id)
		}
		keys[id] = []byte(label + pepper)
	}
	return keys, nil
}

// Hash hashes a password that a Policy accepted. The error is UNAVAILABLE if the queue is full
// or ctx ended first.
func (h *Hasher) Hash(ctx context.Context, password string) (stored string, err error) {
	password, ok := canonical(password)
	if !ok {
		return "", errors.New("hash password: not valid UTF-8, or too long")
	}
	err = h.run(ctx, func() {
		hash, err := bcrypt.GenerateFromPassword(digest(h.keys[h.pepperID], password), h.cost)
		if err != nil {
			panic(err) // only for more than 72 bytes; a digest has 64
		}
		h.rounds.Add(1 << h.cost)
		stored = mark + h.pepperID + "$" + string(hash)
	})
	return stored, err
}

// Compare reports whether a password is the one of a stored hash: one of Hash, or one of another system that
// package password can read, or "" for an account that does not exist or has no password. It reports upgrade
// where the password is right and Hash would now store it better.
//
// In every case it takes the rounds of the configured cost, or of the stored hash where those are more. For
// hashes other than bcrypt they are estimated. The error is UNAVAILABLE if the queue is full or ctx ended first.
func (h *Hasher) Compare(ctx context.Context, stored, password string) (ok, upgrade bool, err error) {
	err = h.run(ctx, func() {
		ok, upgrade = h.compare(stored, password)
		if h.untrimmed != nil { // whether or not ok, or the time would tell
			old, _ := h.untrimmed.compare(stored, password)
			ok, upgrade = ok || old, upgrade || old && !ok
		}
	})
	return ok, upgrade, err
}

// Rounds is how many bcrypt rounds were run so far, 2^cost for each hash. Other schemes count by their estimates.
func (h *Hasher) Rounds() uint64 {
	if h.untrimmed != nil {
		return h.rounds.Load() + h.untrimmed.rounds.Load()
	}
	return h.rounds.Load()
}

// Pending is how many hashes are under way or wait for their turn.
func (h *Hasher) Pending() int64 { return h.admitted.Load() }

// Refused is how many were turned away because too many waited.
func (h *Hasher) Refused() int64 { return h.refused.Load() }

// Full is the refusal that a hash would meet in the queue as it is now, else nil. Whoever asks first does
// nothing in vain for a login that a flood leaves no place for, not even in the database; the queue itself
// decides later.
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

// parsed is a stored hash taken apart.
type parsed struct {
	hash     *Hash
	foreign  bool // made by another system
	pepperID string
}

// parse takes a stored hash apart; false if no password can match it. It applies the bounds of the import again,
// because a row can be written by other means.
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

// input returns the bytes to hash for a password; false if the password must not match in any case. Other systems
// hashed the bytes as sent.
func (h *Hasher) input(p parsed, password string) ([]byte, bool) {
	if p.foreign {
		return []byte(password), true
	}
	password, usable := canonical(password)
	return digest(h.keys[p.pepperID], password), usable
}

// digest is base64 because bcrypt's input ends at a NUL in most implementations.
func digest(key []byte, password string) []byte {
	mac := hmac.New(sha512.New384, key)
	mac.Write([]byte(password))
	return base64.StdEncoding.AppendEncode(nil, mac.Sum(nil))
}

// matches compares. It serializes hashes that take memory, so that concurrent logins need no more than one of them.
func (h *Hasher) matches(hash *Hash, input []byte) bool {
	if hash.Memory > 0 {
		h.memory.Lock()
		defer h.memory.Unlock()
	}
	h.rounds.Add(hash.Rounds)
	return hash.Matches(input)
}

// run runs f in one of the slots, after waiting for one. Those beyond the queue are refused at once:
// they would be waiting for an answer that comes after their client gave up.
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
	if err := ctx.Err(); err != nil { // also if both were ready: nobody waits for the result any more
		return fault.Busy(fault.TimedOut, "the request ended before its turn came: try again", time.Second).Because(err)
	}
	start := h.now()
	f()
	h.took.Store(int64(h.now().Sub(start)))
	return nil
}
