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
	// MaxViewAge is how old the view may get before guarded fields are refused rather than judged by it.
	MaxViewAge = 5 * time.Second
	// pollWindow is how far back each poll reads: far more than a transaction may take from its insert
	// to its commit, so that one which commits late is still read.
	pollWindow = 60 * time.Second
	// wokenWindow is that of the polls in between which notifications cause: less to read, and yet twice
	// what a transaction may take.
	wokenWindow = 20 * time.Second
	// minPause is between polls, however many notifications come.
	minPause = 2 * time.Millisecond
	// rowLife is how long the database keeps a revocation. It exceeds every View's life by far, so that rows are
	// still there after its clock jumped ahead by hours and back.
	rowLife = 26 * time.Hour
	// sweepEvery is how often expired entries are looked for.
	sweepEvery = time.Minute
	// maxEntries bounds the view's memory. Beyond it every check asks the database; nothing is evicted.
	maxEntries = 500_000
	// topic is what notifications of revocations are about.
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

// reason says what r means for the token c: empty if nothing.
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

// View is this replica's picture of all live revocations. A revocation made here is in it before the
// call that made it returns; others arrive by polling. Check reads first where the picture is older than
// store.Prompt. If that fails, Check refuses every caller from the age MaxViewAge on.
type View struct {
	db   *store.DB
	now  func() time.Time
	base time.Time
	max  int
	// every is PollEvery.
	every   time.Duration
	options ViewOptions
	// life outlives every access token by the clock of any replica: 1 h is the bound of their life.
	life time.Duration

	mu       sync.RWMutex
	sessions map[ID]moment // session → when the entry may go
	users    map[token.UserID][]revocation
	latest   store.Time // the latest that this machine's clock has shown
	dropped  int        // revocations that found no room: if there are any, the database is asked

	reading *store.Reading
	polling sync.Mutex    // guards what follows
	conn    *sqlx.Conn    // the poll's own
	polled  store.Time    // when the last good poll was, by the database's clock
	sweep   time.Duration // when to look for expired entries, and for room again, next; since base
	skew    atomic.Int64  // of the last good poll
}

// ViewOptions configure a View. The functions must not wait; nil ones are not called.
type ViewOptions struct {
	// MaxSkew is how far the clocks of replicas and of the database may be from each other.
	MaxSkew time.Duration
	// OnRevoke is called after each revocation is in the view, possibly more than once. One argument is empty.
	OnRevoke func(ID, token.UserID)
	// OnPoll is called in each poll, on its connection. What it reads is as current as the view: an error fails the
	// poll. since is how far back the poll reads, now the time, both by the database's clock; all says that changes
	// may have been missed.
	OnPoll func(ctx context.Context, conn *sqlx.Conn, since, now store.Time, all bool) error
	// OnLag is called with the time from each revocation on another replica until this one knew of it.
	OnLag func(time.Duration)
}

// NewView makes an empty view, which reads at its first Check, and refuses every caller while this machine's clock
// and the database's are more than MaxSkew apart. now must carry a monotonic reading, as time.Now does.
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

// Check says what has been revoked of the token c: TOKEN_REVOKED, TOKEN_STALE or nothing. Its error is
// UNAVAILABLE, where the view is too old to say nothing or the clocks disagree.
func (v *View) Check(ctx context.Context, c *token.Claims) (fault.Reason, error) {
	age := v.Age() // before looking: a poll that ends in between must not vouch for what was there before it
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

// floor is what a user's next version must reach: above each that this replica knows of, and no lower than the time.
// A database that went back in time has lost versions of which there are tokens.
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

// revoke writes r in tx and has it in force here as soon as tx is durable.
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
	return Notify(tx)
}

// Notify makes all replicas poll once tx has committed.
func Notify(tx *store.Tx) error { return tx.Notify(topic) }

func (v *View) onRevoke(rows ...revocation) {
	if v.options.OnRevoke == nil {
		return
	}
	for _, r := range rows {
		v.options.OnRevoke(r.SessionID, r.UserID)
	}
}

// add notes r until then and tells whether that was news; v.mu is held. Adding it again only keeps it longer.
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

// merge keeps, of rows that differ in the version only, the one with the highest: it covers the others.
// It never changes rows itself.
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

// Poll reads what was revoked lately, or everything where it cannot know what it missed, at its start
// above all. A failed poll leaves the view as it is, to age.
func (v *View) Poll(ctx context.Context) error { return v.pollBack(ctx, pollWindow) }

// CatchUp is Poll where the view is older than store.Prompt: a server that was stopped, or that nothing was
// asked of, has not polled. All callers share one poll, and none waits for long.
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
	// The gap is measured on the clock that created_at is of: ours stands still while a machine sleeps. Where that
	// clock went back, what it showed before may have hidden rows that were too old by it.
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
	if v.options.OnPoll != nil {
		missed := gap > window/2 || gap < 0
		if err := v.options.OnPoll(ctx, v.conn, now.Add(-window), now, missed); err != nil {
			return err
		}
	}
	v.mu.Lock()
	v.latest = max(v.latest, read.wall)
	if due {
		v.forget(read)
		v.sweep = read.monotonic + sweepEvery
	}
	if all && v.dropped == dropped { // else one was made and dropped since the rows were read
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
	// Nothing is late at the start; and what found no room is news each time.
	if v.options.OnLag != nil && v.polled != 0 && dropped == 0 {
		for _, r := range news {
			v.options.OnLag(max(now.Sub(r.CreatedAt), 0) + v.now().Sub(asked))
		}
	}
	v.polled = now
	v.onRevoke(news...)
	return nil
}

// forget drops the entries that no living token can match; v.mu is held.
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

// rest gives the poll's connection back until the next poll.
func (v *View) rest() {
	v.polling.Lock()
	defer v.polling.Unlock()
	v.release()
}

// release gives the poll's connection back; v.polling is held.
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
