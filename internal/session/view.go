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
	// PollEvery is the interval between two polls of recent revocations.
	PollEvery = 400 * time.Millisecond
	// MaxViewAge is the maximum age of the view. Guarded fields are refused when it is older.
	MaxViewAge = 5 * time.Second
	// pollWindow is how far back each poll reads. It is much longer than a transaction may take from its insert to its
	// commit, so a revocation that commits late is still read.
	pollWindow = 60 * time.Second
	// wokenWindow is the window of polls after a notification: smaller, but still twice as long as a transaction may
	// take.
	wokenWindow = 20 * time.Second
	// minPause is the minimum pause between two polls, for any rate of notifications.
	minPause = 2 * time.Millisecond
	// rowLife is how long the database keeps a revocation. It is much longer than View.life, so that rows still exist
	// after the database's clock jumps ahead by hours and back.
	rowLife = 26 * time.Hour
	// sweepEvery is the interval at which expired entries are removed.
	sweepEvery = time.Minute
	// maxEntries bounds the view's memory. When it is full, each check queries the database; no entry is evicted.
	maxEntries = 500_000
	// topic is the topic of notifications about revocations.
	topic = "revocations"
)

// revocation is a row of the table. It revokes one session, or all tokens of a user below a version.
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

// reason returns the reason for which r refuses the token c, or "" if r does not apply.
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

// View is this replica's copy of all revocations that still apply. It contains a revocation made on this replica
// before the call that made it returns; others arrive by polling. If the view is older than store.Prompt, Check first
// reads the database. If that fails and the view is older than MaxViewAge, Check refuses every caller.
type View struct {
	db      *store.DB
	now     func() time.Time
	base    time.Time
	max     int
	every   time.Duration // PollEvery, except in tests
	options ViewOptions
	// life exceeds the life of every access token, at most 1 h, by the clock of any replica.
	life time.Duration

	mu       sync.RWMutex
	sessions map[ID]moment // when each entry may be removed
	users    map[token.UserID][]revocation
	latest   store.Time // the latest wall-clock time of this machine so far
	dropped  int        // revocations without an entry, because the view was full

	reading  *store.Reading
	polling  sync.Mutex    // guards the fields below
	conn     *sqlx.Conn    // the connection of the poll
	polled   store.Time    // the time of the last successful poll, by the database's clock
	sweep    time.Duration // the time of the next removal of expired entries, since base
	skew     atomic.Int64  // measured by the last successful poll
	failures atomic.Int64
}

// ViewOptions configure a View. The functions must not block, and may be nil.
type ViewOptions struct {
	// MaxSkew is the maximum difference between the clocks of replicas and of the database.
	MaxSkew time.Duration
	// OnRevoke is called after each revocation is in the view, possibly more than once. One argument is empty.
	OnRevoke func(ID, token.UserID)
	// OnPoll is called in each poll, on its connection. Its reads are as current as the view: an error fails the
	// poll. since is how far back the poll reads, now the time, both by the database's clock; all says that changes
	// may have been missed.
	OnPoll func(ctx context.Context, conn *sqlx.Conn, since, now store.Time, all bool) error
	// OnLag is called with the time from each revocation on another replica until it is in this view.
	OnLag func(time.Duration)
}

// NewView returns an empty view. Its first Check reads the database. While this machine's clock and the database's
// differ by more than MaxSkew, it refuses every caller. now must carry a monotonic reading, as time.Now does.
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

// Age returns the time since the last successful poll began.
func (v *View) Age() time.Duration { return v.reading.Age() }

// Failures returns how often reading revocations has failed.
func (v *View) Failures() int64 { return v.failures.Load() }

// Size returns the number of sessions and users in the view.
func (v *View) Size() int {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return len(v.sessions) + len(v.users)
}

// Check returns why the token c is refused: TOKEN_REVOKED, TOKEN_STALE or "". It returns UNAVAILABLE if the view is too
// old to accept a token, or if the clocks differ too much.
func (v *View) Check(ctx context.Context, c *token.Claims) (fault.Reason, error) {
	age := v.Age() // read before the lookup, which may miss what a poll adds in between
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

// floor returns the minimum of a user's next version: above every version that this replica knows, and at least the
// time. A restored database has lost versions that tokens still carry.
func (v *View) floor(user token.UserID) int64 {
	v.mu.RLock()
	defer v.mu.RUnlock()
	floor := v.now().UnixMicro()
	for _, r := range v.users[user] {
		floor = max(floor, r.BelowVersion+1)
	}
	return floor
}

// worst returns the worst reason for which rows refuse c. A stale token promises that a refresh helps, so TOKEN_REVOKED
// comes first.
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

// revoke inserts r in tx. It is in force on this replica when tx commits.
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

// add adds r to the view until the given moment and reports whether it is new. v.mu must be locked. Adding a known
// revocation only extends it.
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

// merge adds r to rows. Of rows that differ only in the version it keeps the highest, which covers the others. It does
// not modify rows.
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

// Poll reads recent revocations, or all if some may have been missed, as at the start. After a failure the view is
// unchanged and becomes older.
func (v *View) Poll(ctx context.Context) error { return v.pollBack(ctx, pollWindow) }

// CatchUp polls if the view is older than store.Prompt, because a paused or idle server does not poll. All callers
// share one poll, and none waits long.
func (v *View) CatchUp(ctx context.Context) error {
	return v.reading.CatchUp(ctx, func(ctx context.Context) error { return v.poll(ctx, pollWindow) })
}

// pollBack is Poll with another window.
func (v *View) pollBack(ctx context.Context, window time.Duration) error {
	return v.reading.Read(ctx, func(ctx context.Context) error { return v.poll(ctx, window) })
}

func (v *View) poll(ctx context.Context, window time.Duration) error {
	v.polling.Lock()
	defer v.polling.Unlock()
	if err := v.read(ctx, window); err != nil {
		v.failures.Add(1)
		v.release() // the connection may be broken
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
	// The gap is measured by the database's clock, as created_at is: the monotonic clock stands still while a machine
	// sleeps. If the database's clock went back, earlier polls may have skipped rows as too old.
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
	if all && v.dropped == dropped { // otherwise a new one was dropped after the rows were read
		v.dropped = 0
	}
	news, until := rows[:0:0], v.untilFrom(read)
	for _, r := range rows {
		if v.add(r, until) {
			news = append(news, r)
		}
	}
	if len(rows) > v.max {
		v.dropped++ // the limit cut off some rows
	}
	v.mu.Unlock()
	// At the start no revocation is late. A revocation without room is new in each poll.
	if v.options.OnLag != nil && v.polled != 0 && dropped == 0 {
		for _, r := range news {
			v.options.OnLag(max(now.Sub(r.CreatedAt), 0) + v.now().Sub(asked))
		}
	}
	v.polled = now
	v.onRevoke(news...)
	return nil
}

// forget removes the entries that no valid token can match. v.mu must be locked.
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

// rest releases the poll's connection until the next poll.
func (v *View) rest() {
	v.polling.Lock()
	defer v.polling.Unlock()
	v.release()
}

// release releases the poll's connection. v.polling must be locked.
func (v *View) release() {
	if v.conn != nil {
		_ = v.conn.Close()
		v.conn = nil
	}
}

// Follow polls until ctx ends, at intervals and after notifications from the database.
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

// isDue reports whether a poll is due without a notification. If not, it releases the poll's connection.
func (v *View) isDue(time.Duration) bool {
	due := v.db.Due(v.Age())
	if !due {
		v.rest()
	}
	return due
}
