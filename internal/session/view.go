package session

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

const (
	// PollEvery is how often a replica re-reads recent revocations.
	PollEvery = 400 * time.Millisecond
	// MaxViewAge is the age of the view from which guarded fields are refused.
	MaxViewAge = 5 * time.Second
	// pollWindow is how far back each poll reads: much further than a transaction may take from its insert to its
	// commit, so that late commits are still read.
	pollWindow = 60 * time.Second
	// wokenWindow is how far back polls caused by notifications read: less, and yet twice what a transaction may take.
	wokenWindow = 20 * time.Second
	// minPause is the shortest pause between polls, however many notifications arrive.
	minPause = 2 * time.Millisecond
	// rowLife is how long the database keeps a revocation. It exceeds every View's life by far, so that rows are
	// still there after its clock jumped ahead by hours and back.
	rowLife = 26 * time.Hour
	// sweepEvery is how often expired entries are looked for.
	sweepEvery = time.Minute
	// maxEntries bounds the view's memory. Beyond it, every check queries the database; nothing is evicted.
	maxEntries = 500_000
	// topic is the topic of revocations.
	topic = "revocations"
)

// revocation is a row of the table: one session, or all tokens of a user below a version.
type revocation struct {
	SessionID    ID           `db:"session_id"`
	UserID       token.UserID `db:"user_id"`
	BelowVersion int64        `db:"below_version"`
	KeptSession  ID           `db:"kept_session"`
	Stale        bool         `db:"stale"`
	CreatedAt    store.Time   `db:"created_at"`
	until        moment
}

const revocationColumns = `COALESCE(session_id, '') AS session_id, COALESCE(user_id, '') AS user_id,
	COALESCE(below_version, 0) AS below_version, COALESCE(kept_session, '') AS kept_session, stale, created_at`

// reason returns what r means for the token c; empty if nothing.
func (r *revocation) reason(c *token.Claims) fault.Reason {
	switch {
	case r.SessionID != "":
		if r.SessionID != c.SessionID {
			return ""
		}
	case r.UserID != c.UserID || c.Version >= r.BelowVersion:
		return ""
	case r.Stale || r.KeptSession != "" && r.KeptSession == c.SessionID:
		return fault.TokenStale
	}
	return fault.TokenRevoked
}

// View holds all live revocations in the memory of this replica. A revocation made here is in it before the call that
// made it returns; others arrive by polling. Check polls first if the view is older than store.Prompt. If that fails,
// Check refuses every caller once the view is older than MaxViewAge.
type View struct {
	db   *store.DB
	now  func() time.Time
	base time.Time
	max  int
	// every is PollEvery, except in tests.
	every   time.Duration
	options ViewOptions
	// life outlives every access token by the clock of any replica: 1 h is the bound of their life.
	life time.Duration

	mu       sync.RWMutex
	sessions map[ID]moment // session → when the entry may go
	users    map[token.UserID][]revocation
	latest   store.Time // the latest that this machine's clock has shown
	dropped  int        // revocations beyond max; unless 0, checks query the database

	reading *store.Reading
	polling sync.Mutex    // guards what follows
	conn    *sqlx.Conn    // the poll's own
	polled  store.Time    // when the last good poll was, by the database's clock
	sweep   time.Duration // when to drop expired entries, and to look for room, next; since base
	skew    atomic.Int64  // of the last good poll
}

// ViewOptions configure a View. The functions must not wait; nil ones are not called.
type ViewOptions struct {
	// MaxSkew is how far the clocks of replicas and of the database may be from each other.
	MaxSkew time.Duration
	// OnRevoke is called after each revocation is in the view, possibly more than once. One argument is empty.
	OnRevoke func(ID, token.UserID)
	// OnLag is called with the time from each revocation on another replica until this one knew of it.
	OnLag func(time.Duration)
}

// NewView returns an empty view, which polls at its first Check. now must carry a monotonic reading, as time.Now does.
func NewView(db *store.DB, o ViewOptions, now func() time.Time) *View {
	return &View{
		db:       db,
		now:      now,
		base:     now(),
		max:      maxEntries,
		every:    PollEvery,
		options:  o,
		life:     time.Hour + token.Leeway + 2*o.MaxSkew + time.Minute,
		sessions: make(map[ID]moment),
		users:    make(map[token.UserID][]revocation),
		reading:  store.NewReading(now),
	}
}

// Age is how old the view is: the time since the last good poll began.
func (v *View) Age() time.Duration { return v.reading.Age() }

// Size is how many subjects the view holds.
func (v *View) Size() int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return len(v.sessions) + len(v.users)
}

// Check returns TOKEN_REVOKED or TOKEN_STALE if the token c is revoked, else nothing. Its error is UNAVAILABLE if the
// view is too old to tell, or if the clocks differ by more than MaxSkew.
func (v *View) Check(ctx context.Context, c *token.Claims) (fault.Reason, error) {
	age := v.Age() // before the look-up: a poll that ends in between must not vouch for older entries
	reason, complete := v.look(c)
	if reason == "" && age > store.Prompt && v.CatchUp(ctx) == nil {
		age = 0
		reason, complete = v.look(c)
	}
	if reason != "" {
		return reason, nil
	}
	if age > MaxViewAge {
		return "", fault.Busy(fault.RevocationViewStale, "cannot tell just now which tokens have been revoked", 2*time.Second)
	}
	if err := v.CheckClock(); err != nil {
		return "", err
	}
	if !complete {
		return v.ask(ctx, c)
	}
	return "", nil
}

func (v *View) look(c *token.Claims) (reason fault.Reason, complete bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if _, ok := v.sessions[c.SessionID]; ok {
		return fault.TokenRevoked, true
	}
	return worst(v.users[c.UserID], c), v.dropped == 0
}

// floor returns the least next version of a user: above each that this replica knows, and not below the time. A
// database that was restored has lost versions that tokens still carry.
func (v *View) floor(user token.UserID) int64 {
	v.mu.RLock()
	defer v.mu.RUnlock()
	floor := v.now().UnixMicro()
	for _, r := range v.users[user] {
		floor = max(floor, r.BelowVersion+1)
	}
	return floor
}

// worst prefers TOKEN_REVOKED: a stale token promises that a refresh helps.
func worst(rows []revocation, c *token.Claims) fault.Reason {
	var found fault.Reason
	for i := range rows {
		if reason := rows[i].reason(c); reason == fault.TokenRevoked {
			return reason
		} else if reason != "" {
			found = reason
		}
	}
	return found
}

func (v *View) ask(ctx context.Context, c *token.Claims) (fault.Reason, error) {
	var rows []revocation
	err := v.db.Select(ctx, &rows, "SELECT "+revocationColumns+" FROM revocations WHERE session_id = $1 OR user_id = $2",
		c.SessionID, c.UserID)
	if err != nil {
		return "", fmt.Errorf("look up revocations: %w", err)
	}
	return worst(rows, c), nil
}

// revoke writes r in tx. It is in force here as soon as tx is durable.
func (v *View) revoke(tx *store.Tx, r revocation) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("revocation id: %w", err)
	}
	_, err = tx.Exec(`INSERT INTO revocations (id, session_id, user_id, below_version, kept_session, stale,
			created_at, expires_at)
		VALUES ($1, NULLIF($2, ''), NULLIF($3, ''), NULLIF(CAST($4 AS BIGINT), 0), NULLIF($5, ''), $6,
			now_us(), now_us() + $7)`,
		id.String(), r.SessionID, r.UserID, r.BelowVersion, r.KeptSession, r.Stale, rowLife.Microseconds())
	if err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	tx.OnCommit(func() {
		v.mu.Lock()
		v.add(r, v.untilFrom(v.moment(v.now())))
		v.mu.Unlock()
		v.onRevoke(r)
	})
	return tx.Notify(topic)
}

func (v *View) onRevoke(rows ...revocation) {
	if v.options.OnRevoke == nil {
		return
	}
	for _, r := range rows {
		v.options.OnRevoke(r.SessionID, r.UserID)
	}
}

// add keeps r until then and reports whether it is new. Adding it again only keeps it longer. v.mu is held.
func (v *View) add(r revocation, until moment) (news bool) {
	r.until = until
	_, knowsSession := v.sessions[r.SessionID]
	rows, knowsUser := v.users[r.UserID]
	switch {
	case !knowsSession && !knowsUser && len(v.sessions)+len(v.users) >= v.max:
		v.dropped++
		return true
	case r.SessionID != "":
		v.sessions[r.SessionID] = until
		return !knowsSession
	}
	v.users[r.UserID] = merge(rows, r)
	return !slices.ContainsFunc(rows, func(old revocation) bool {
		return old.Stale == r.Stale && old.KeptSession == r.KeptSession && old.BelowVersion >= r.BelowVersion
	})
}

// merge adds r to rows and keeps the highest version of rows that differ in it only: it covers the others. It does not
// change rows.
func merge(rows []revocation, r revocation) []revocation {
	merged := []revocation{r}
	for _, old := range rows {
		if old.Stale != r.Stale || old.KeptSession != r.KeptSession {
			merged = append(merged, old)
		} else if old.BelowVersion > merged[0].BelowVersion {
			merged[0] = old
		}
	}
	return merged
}

// Poll reads recent revocations, or all of them if it may have missed some, as at the start. A failed poll leaves the
// view unchanged.
func (v *View) Poll(ctx context.Context) error { return v.pollBack(ctx, pollWindow) }

// CatchUp polls if the view is older than store.Prompt: a server that was suspended or idle has not polled. All callers
// share one poll, and none waits for long.
func (v *View) CatchUp(ctx context.Context) error {
	return v.reading.CatchUp(ctx, func(ctx context.Context) error { return v.poll(ctx, pollWindow) })
}

// pollBack is Poll, reading back no further than window.
func (v *View) pollBack(ctx context.Context, window time.Duration) error {
	return v.reading.Read(ctx, func(ctx context.Context) error { return v.poll(ctx, window) })
}

func (v *View) poll(ctx context.Context, window time.Duration) error {
	v.polling.Lock()
	defer v.polling.Unlock()
	if err := v.read(ctx, window); err != nil {
		v.release() // it may be broken; the next poll takes another
		return fmt.Errorf("poll revocations: %w", err)
	}
	return nil
}

func (v *View) read(ctx context.Context, window time.Duration) error {
	if v.conn == nil {
		conn, err := v.db.Conn(ctx)
		if err != nil {
			return err
		}
		v.conn = conn
	}
	before := v.now()
	now, err := v.db.Fresh(ctx, v.conn)
	if err != nil {
		return err
	}
	asked := v.now()
	v.skew.Store(int64(now.Skew(before, asked)))
	v.mu.RLock()
	dropped := v.dropped
	v.mu.RUnlock()
	read := v.moment(asked)
	due := read.monotonic >= v.sweep
	// The gap is measured by the database's clock, like created_at: ours stops while a machine sleeps. If that clock went
	// back, rows may have looked too old before.
	gap := now.Sub(v.polled)
	all := gap > window/2 || gap < 0 || dropped > 0 && due
	since := now.Add(-window)
	if all {
		since = now.Add(-v.life)
	}
	var rows []revocation
	err = v.conn.SelectContext(ctx, &rows, "SELECT "+revocationColumns+" FROM revocations WHERE created_at > $1 LIMIT $2",
		since, v.max+1)
	if err != nil {
		return err
	}
	v.mu.Lock()
	v.latest = max(v.latest, read.wall)
	if due {
		v.forget(read)
		v.sweep = read.monotonic + sweepEvery
	}
	if all && v.dropped == dropped { // otherwise one was dropped since the rows were read
		v.dropped = 0
	}
	news, until := rows[:0:0], v.untilFrom(read)
	for _, r := range rows {
		if v.add(r, until) {
			news = append(news, r)
		}
	}
	if len(rows) > v.max {
		v.dropped++ // the limit cut some off
	}
	v.mu.Unlock()
	// Nothing is late at the start. Revocations beyond max would be new each time.
	if v.options.OnLag != nil && v.polled != 0 && dropped == 0 {
		for _, r := range news {
			v.options.OnLag(max(now.Sub(r.CreatedAt), 0) + v.now().Sub(asked))
		}
	}
	v.polled = now
	v.onRevoke(news...)
	return nil
}

// forget drops the entries that no live token can match. v.mu is held.
func (v *View) forget(now moment) {
	for id, until := range v.sessions {
		if now.reached(until) {
			delete(v.sessions, id)
		}
	}
	for id, rows := range v.users {
		live := rows[:0:0]
		for _, r := range rows {
			if !now.reached(r.until) {
				live = append(live, r)
			}
		}
		if len(live) == 0 {
			delete(v.users, id)
		} else {
			v.users[id] = live
		}
	}
}

// rest returns the connection to the pool until the next poll.
func (v *View) rest() {
	v.polling.Lock()
	defer v.polling.Unlock()
	v.release()
}

// release returns the connection to the pool. v.polling is held.
func (v *View) release() {
	if v.conn != nil {
		_ = v.conn.Close()
		v.conn = nil
	}
}

// Follow polls until ctx ends: at intervals, and when the database notifies of a revocation.
func (v *View) Follow(ctx context.Context, log *slog.Logger) {
	defer v.rest()
	apart := false
	poll := func(window time.Duration) func(context.Context) error {
		return func(ctx context.Context) error {
			err := v.pollBack(ctx, window)
			apart = v.logSkew(log, apart)
			if err != nil {
				return fmt.Errorf("%w; the view is %s old", err, v.Age().Round(time.Millisecond))
			}
			return nil
		}
	}
	store.Loop{
		DB:       v.db,
		Now:      v.now,
		Log:      log,
		Every:    v.every,
		Due:      v.isDue,
		Topic:    topic,
		OnWake:   poll(wokenWindow),
		MinPause: minPause,
		Share:    1,
		Failure:  "revocations cannot be read; guarded fields are refused once the view is too old",
		Recovery: "revocations are read again",
	}.Run(ctx, poll(pollWindow))
}

// isDue reports whether a poll is due without a notification. Until then, the poll has no connection.
func (v *View) isDue(time.Duration) bool {
	due := v.db.Due(v.Age())
	if !due {
		v.rest()
	}
	return due
}
