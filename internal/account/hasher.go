package account

import (
	"context"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/bcrypt"

	"github.com/graphwarden/graphwarden/internal/fault"
)

const (
	// Above cost 16 one hash takes a worker for seconds; an imported one of cost 31 would for a day.
	minCost, maxCost = 4, 16

	// maxBcrypt is how many bytes bcrypt looks at; the rest it ignores without a word.
	maxBcrypt = 72

	// mark starts a stored hash of our own: gw1$<pepper id>$<bcrypt>. Plain bcrypt starts with $.
	mark = "gw1$"

	// label starts every HMAC key. With a bare SHA-384 in its place the hashes of another breach could
	// be tried here as passwords.
	label = "graphwarden password v1:"

	alphanumeric     = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	bcryptAlphabet   = "./" + alphanumeric
	pepperIDAlphabet = alphanumeric + "_-"
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

	slots    chan struct{}
	limit    int64        // of admitted
	admitted atomic.Int64 // running and waiting
	refused  atomic.Int64 // for a full queue
	took     atomic.Int64 // nanoseconds that the last one ran
	now      func() time.Time
}

// NewHasher checks the options. Its errors name no pepper.
func NewHasher(o HasherOptions) (*Hasher, error) {
	if o.Cost < minCost || o.Cost > maxCost {
		return nil, fmt.Errorf("a bcrypt cost of %d is outside %d to %d", o.Cost, minCost, maxCost)
	}
	if o.Workers < 0 || o.Queue < 0 {
		return nil, errors.New("the number of password workers and the length of their queue cannot be negative")
	}
	keys, err := pepperKeys(o)
	if err != nil {
		return nil, err
	}
	var untrimmed *Hasher
	if o.UntrimmedPeppers != nil {
		keys, err := pepperKeys(HasherOptions{OldPeppers: o.UntrimmedPeppers})
		if err != nil {
			return nil, err
		}
		untrimmed = &Hasher{cost: o.Cost, pepperID: o.PepperID, keys: keys}
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
	return &Hasher{
		cost: o.Cost, pepperID: o.PepperID, keys: keys, untrimmed: untrimmed,
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

// Hash hashes a password that a PasswordPolicy accepted. The error is UNAVAILABLE if the queue is full
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

// Compare reports whether a password is the one of a stored hash: one of Hash, or a plain bcrypt hash
// of another system, or "" for an account that does not exist or has no password. It reports upgrade
// where the password is right and Hash would now store it better.
//
// Whatever the case, it takes the rounds of the configured cost, or of the stored one where that is
// higher. The error is UNAVAILABLE if the queue is full or ctx ended first.
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

// Rounds is how many bcrypt rounds were run so far, 2^cost for each hash.
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
		p = parsed{bcrypt: dummy(h.cost), cost: h.cost}
	}
	input, usable := h.input(p, password)
	match := h.matches(p.bcrypt, input)
	for c := p.cost; c < h.cost; c++ { // 2^c + (2^c + 2^(c+1) + … + 2^(t-1)) = 2^t
		h.matches(dummy(c), input)
	}
	ok = match && known && usable
	return ok, ok && (p.plain || p.cost < h.cost || p.pepperID != h.pepperID)
}

// parsed is a stored hash taken apart.
type parsed struct {
	bcrypt   string
	cost     int
	plain    bool
	pepperID string
}

// parse is false for what no password can match.
func (h *Hasher) parse(stored string) (parsed, bool) {
	p := parsed{bcrypt: stored, plain: true}
	if rest, ours := strings.CutPrefix(stored, mark); ours {
		p.plain = false
		p.pepperID, p.bcrypt, _ = strings.Cut(rest, "$")
	}
	cost, ok := costOf(p.bcrypt)
	p.cost = cost
	return p, ok && h.keys[p.pepperID] != nil
}

// input is what bcrypt gets of a password; false if that must not match whatever bcrypt says. Plain
// hashes were made of bytes as sent, and of them bcrypt reads 72, over and over if they are fewer, with
// a NUL between: longer passwords would match by their beginning, and P would match P+NUL+P.
func (h *Hasher) input(p parsed, password string) ([]byte, bool) {
	if p.plain {
		usable := len(password) <= maxBcrypt && !strings.Contains(password, "\x00") && utf8.ValidString(password)
		return []byte(password), usable
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

func (h *Hasher) matches(hash string, input []byte) bool {
	err := bcrypt.CompareHashAndPassword([]byte(hash), input)
	if err == nil || errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) { // else it did no work
		cost, _ := costOf(hash)
		h.rounds.Add(1 << cost)
	}
	return err == nil
}

// dummy is a hash to spend 2^cost rounds on. Nobody knows a password for it, and none would count.
func dummy(cost int) string {
	return fmt.Sprintf("$2a$%02d$%s", cost, strings.Repeat(".", 53))
}

// CheckImported accepts the bcrypt hashes of other systems, $2a$, $2b$ and $2y$ of a cost from 4 to 16.
// $2x$ marks hashes of an old fault in PHP's bcrypt, under which different passwords match.
func CheckImported(hash string) error {
	if _, ok := costOf(hash); !ok {
		return fmt.Errorf("not a bcrypt hash that starts with $2a$, $2b$ or $2y$ and has a cost from %d to %d", minCost, maxCost)
	}
	return nil
}

// costOf is false for anything but a bcrypt hash that a password can match.
func costOf(hash string) (int, bool) {
	if len(hash) != 60 || hash[:2] != "$2" || !strings.Contains("aby", hash[2:3]) || hash[3] != '$' || hash[6] != '$' {
		return 0, false
	}
	cost, err := strconv.ParseUint(hash[4:6], 10, 8)
	if err != nil || cost < minCost || cost > maxCost {
		return 0, false
	}
	encoding := base64.NewEncoding(bcryptAlphabet).WithPadding(base64.NoPadding)
	// Some generators left bits in the last character of the salt, which does no harm; in the last one
	// of the hash they match nothing. The lengths are checked because decoding skips line breaks.
	salt, err := encoding.DecodeString(hash[7:29])
	if err != nil || len(salt) != 16 {
		return 0, false
	}
	sum, err := encoding.Strict().DecodeString(hash[29:])
	return int(cost), err == nil && len(sum) == 23
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
