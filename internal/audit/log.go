package audit

import (
	"context"
	"fmt"
	"hash/fnv"
	"strconv"
	"time"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

const (
	// slots is the maximum number of entries per hour for the failures against one account, by the client's address.
	// Failures against unknown accounts share strangerSlots times as many.
	slots         = 8
	strangerSlots = 8
	// maxFolded bounds the number of folded refusals, to about 400 MB, for any number of attacked accounts and addresses.
	maxFolded = 1_000_000
)

// Entry is one entry of the log. A folded entry stands for Count events from At to LastAt, and shows where the last of
// them came from.
type Entry struct {
	ID        string          `db:"id"`
	At        store.Time      `db:"at"`
	LastAt    store.Time      `db:"last_at"`
	Count     int32           `db:"count"`
	Action    Action          `db:"action"`
	Outcome   Outcome         `db:"outcome"`
	ActorID   token.UserID    `db:"actor_id"`
	UserID    token.UserID    `db:"user_id"`
	SessionID token.SessionID `db:"session_id"`
	IP        string          `db:"ip"`
	UserAgent string          `db:"user_agent"`
	RequestID string          `db:"request_id"`
	Detail    string          `db:"detail"`
}

const columns = `id, at, last_at, count, action, outcome, actor_id, user_id, session_id,
	ip, user_agent, request_id, detail`

// columns returns the destinations of columns.
func (e *Entry) columns() []any {
	return []any{&e.ID, &e.At, &e.LastAt, &e.Count, &e.Action, &e.Outcome, &e.ActorID, &e.UserID, &e.SessionID,
		&e.IP, &e.UserAgent, &e.RequestID, &e.Detail}
}

// OwnerID returns the user acted upon, for @auth(owner: true).
func (e *Entry) OwnerID() token.UserID { return e.UserID }

// ByOther reports whether another user, an administrator, was the actor.
func (e *Entry) ByOther() bool { return e.ActorID != "" && e.ActorID != e.UserID }

// OwnIP returns the address for the user acted upon. It is empty if ByOther, whose address is not theirs to see.
func (e *Entry) OwnIP() string {
	if e.ByOther() {
		return ""
	}
	return e.IP
}

// OwnUserAgent is the user agent under the rule of OwnIP.
func (e *Entry) OwnUserAgent() string {
	if e.ByOther() {
		return ""
	}
	return e.UserAgent
}

// OwnSessionID returns the session for the user acted upon. It is empty if it is the session of ByOther.
func (e *Entry) OwnSessionID() token.SessionID {
	if e.ByOther() && e.Action != AuthnTokenRevoked {
		return ""
	}
	return e.SessionID
}

// position returns the position of e in newestFirst.
func (e *Entry) position() store.Position {
	return store.Position{strconv.FormatInt(int64(e.At), 10), e.ID}
}

// Filter selects entries; zero fields match all. Since is inclusive, Until exclusive. They are pointers, because the
// zero time is 1970.
type Filter struct {
	User, Actor  token.UserID
	Action       Action
	Outcome      Outcome
	Since, Until *store.Time
}

// where returns the WHERE clause of f.
func (f Filter) where(q *store.Query) string {
	where := " WHERE TRUE"
	add := func(wanted bool, condition string, value any) {
		if wanted {
			where += " AND " + condition + " " + q.Arg(value)
		}
	}
	add(f.User != "", "user_id =", f.User)
	add(f.Actor != "", "actor_id =", f.Actor)
	add(f.Action != "", "action =", f.Action)
	add(f.Outcome != "", "outcome =", f.Outcome)
	add(f.Since != nil, "at >=", f.Since)
	add(f.Until != nil, "at <", f.Until)
	return where
}

// Matches reports whether f selects e.
func (f Filter) Matches(e *Entry) bool {
	return (f.User == "" || f.User == e.UserID) && (f.Actor == "" || f.Actor == e.ActorID) &&
		(f.Action == "" || f.Action == e.Action) && (f.Outcome == "" || f.Outcome == e.Outcome) &&
		(f.Since == nil || e.At >= *f.Since) && (f.Until == nil || e.At < *f.Until)
}

// Log reads the log, and records failures, which have no transaction of their own.
type Log struct {
	db        *store.DB
	life      time.Duration
	now       func() time.Time
	maxFolded int
}

// NewLog returns a Log whose entries are kept for life.
func NewLog(db *store.DB, life time.Duration, now func() time.Time) *Log {
	return &Log{db: db, life: life, now: now, maxFolded: maxFolded}
}

// Failed records a refused proof of identity. Any client can cause these, so they fold into one entry per hour for
// each account and slot of addresses.
func (l *Log) Failed(ctx context.Context, e Event) error {
	e.Outcome = Refused
	n := uint32(slots)
	if e.User == "" {
		n *= strangerSlots
	}
	address := fnv.New32a()
	_, _ = address.Write([]byte(e.By.IP))
	fold := fmt.Sprintf("%s %s %d %d", e.Action, e.User, address.Sum32()%n, l.now().Unix()/int64(time.Hour/time.Second))
	return l.db.Tx(ctx, func(tx *store.Tx) error { return write(tx, e, fold) })
}

// newestFirst is the order of all lists.
var newestFirst = store.Order{
	Columns:    []store.Column{{Name: "at", Type: "BIGINT"}, {Name: "id"}},
	Descending: true,
}

// byUser lists the entries that concern a user.
var byUser = store.Owned[token.UserID, Entry]{
	Table:     "audit_log",
	Columns:   columns,
	Into:      (*Entry).columns,
	Condition: "user_id <> ''",
	Owner:     "user_id",
	OwnerOf:   (*Entry).OwnerID,
	Order:     newestFirst,
	Position:  (*Entry).position,
}

// List returns the entries that match f, newest first.
func (l *Log) List(ctx context.Context, f Filter, w store.Window) (*store.Page[Entry], error) {
	var q store.Query
	var rows []*Entry
	query := "SELECT " + columns + " FROM audit_log" + f.where(&q) + q.Within(w, newestFirst) +
		newestFirst.By(w) + w.LimitClause()
	if err := l.db.Select(ctx, &rows, query, q.Args...); err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	return store.NewPage(w, rows, (*Entry).position), nil
}

// ListOf returns the same window of the entries that concern each of users, newest first.
func (l *Log) ListOf(
	ctx context.Context, users []token.UserID, w store.Window,
) (map[token.UserID]*store.Page[Entry], error) {
	return byUser.Pages(ctx, l.db, users, w)
}

// Count returns the number of entries that match f.
func (l *Log) Count(ctx context.Context, f Filter) (n int, err error) {
	var q store.Query
	if err := l.db.Get(ctx, &n, "SELECT count(*) FROM audit_log"+f.where(&q), q.Args...); err != nil {
		return 0, fmt.Errorf("count audit log: %w", err)
	}
	return n, nil
}

// CountOf returns the number of entries that concern each user. Users without any are not in the map.
func (l *Log) CountOf(ctx context.Context, users []token.UserID) (map[token.UserID]int, error) {
	return byUser.Counts(ctx, l.db, users)
}

// Prune deletes entries older than life, and the oldest folded refusals beyond maxFolded. It keeps what users did
// themselves, because a flood of refusals must not remove the traces of a thief.
func (l *Log) Prune(ctx context.Context) error {
	if err := l.db.Prune(ctx, "audit_log", "id", "at < now_us() - $2", l.life.Microseconds()); err != nil {
		return err
	}
	return l.db.Prune(ctx, "audit_log", "id",
		`fold IS NOT NULL AND outcome = $2 AND at < (SELECT at FROM audit_log
			WHERE fold IS NOT NULL AND outcome = $2 ORDER BY at DESC LIMIT 1 OFFSET $3)`,
		Refused, l.maxFolded-1)
}
