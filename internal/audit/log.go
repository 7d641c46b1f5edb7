package audit

import (
	"context"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

const (
	// slots is how many entries an hour the failures against one account fold into, by the address that
	// they come from; those against nobody's account share as many times strangerSlots.
	slots         = 8
	strangerSlots = 8
	// maxFolded bounds the folded entries that are kept, about 400 MB of them, however many accounts are
	// attacked from however many addresses.
	maxFolded = 1_000_000
)

// Entry is one entry of the log. A folded one stands for Count events from At to LastAt, and tells of
// the last of them where it came from.
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

const columns = "id, at, last_at, count, action, outcome, actor_id, user_id, session_id, ip, user_agent, request_id, detail"

// OwnerID says whom an entry concerns, for @auth(owner: true).
func (e *Entry) OwnerID() token.UserID { return e.UserID }

// ByOther reports whether somebody else did it to the user: an administrator.
func (e *Entry) ByOther() bool { return e.ActorID != "" && e.ActorID != e.UserID }

// OwnIP and OwnUserAgent are where it came from, for the eyes of the user: empty if ByOther, whose
// address is not theirs to know.
func (e *Entry) OwnIP() string {
	if e.ByOther() {
		return ""
	}
	return e.IP
}

// OwnUserAgent is explained at OwnIP.
func (e *Entry) OwnUserAgent() string {
	if e.ByOther() {
		return ""
	}
	return e.UserAgent
}

// OwnSessionID is the session, for the eyes of the user: of what ByOther did in a session of their own, empty.
func (e *Entry) OwnSessionID() token.SessionID {
	if e.ByOther() && e.Action != AuthnTokenRevoked {
		return ""
	}
	return e.SessionID
}

// Position is where e stands among the entries, the newest first.
func (e *Entry) Position() store.Position {
	return store.Position{strconv.FormatInt(int64(e.At), 10), e.ID}
}

// Filter selects entries; what is zero selects all. Since is included, Until is not; 1970 is a time, too.
type Filter struct {
	User, Actor  token.UserID
	Action       Action
	Outcome      Outcome
	Since, Until *store.Time
}

// where writes f as SQL conditions that begin with AND.
func (f Filter) where(args []any) (string, []any) {
	var b strings.Builder
	add := func(wanted bool, condition string, value any) {
		if wanted {
			args = append(args, value)
			fmt.Fprintf(&b, " AND %s $%d", condition, len(args))
		}
	}
	add(f.User != "", "user_id =", f.User)
	add(f.Actor != "", "actor_id =", f.Actor)
	add(f.Action != "", "action =", f.Action)
	add(f.Outcome != "", "outcome =", f.Outcome)
	add(f.Since != nil, "at >=", f.Since)
	add(f.Until != nil, "at <", f.Until)
	return b.String(), args
}

// Matches reports whether f selects e.
func (f Filter) Matches(e *Entry) bool {
	return (f.User == "" || f.User == e.UserID) && (f.Actor == "" || f.Actor == e.ActorID) &&
		(f.Action == "" || f.Action == e.Action) && (f.Outcome == "" || f.Outcome == e.Outcome) &&
		(f.Since == nil || e.At >= *f.Since) && (f.Until == nil || e.At < *f.Until)
}

// Log reads the log, and writes what would have no transaction of its own.
type Log struct {
	db        *store.DB
	life      time.Duration
	now       func() time.Time
	maxFolded int
}

// NewLog wires a Log, whose entries are kept for life.
func NewLog(db *store.DB, life time.Duration, now func() time.Time) *Log {
	return &Log{db: db, life: life, now: now, maxFolded: maxFolded}
}

// Failed records a refused proof of who somebody is. Strangers cause these, so they fold: one entry an
// hour for each account and slot of addresses.
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

// bounds are the conditions and the order of a window: the newest first.
func bounds(w store.Window, args []any) (condition, order string, all []any) {
	for _, bound := range []struct {
		at       store.Position
		operator string
	}{{w.After, "<"}, {w.Before, ">"}} {
		if bound.at != nil {
			condition += fmt.Sprintf(" AND (at, id) %s (CAST($%d AS BIGINT), $%d)", bound.operator, len(args)+1, len(args)+2)
			args = append(args, bound.at[0], bound.at[1])
		}
	}
	args = append(args, w.Limit+1)
	if w.FromEnd {
		return condition, fmt.Sprintf(" ORDER BY at, id LIMIT $%d", len(args)), args
	}
	return condition, fmt.Sprintf(" ORDER BY at DESC, id DESC LIMIT $%d", len(args)), args
}

// List returns the entries that f selects, the newest first, and whether there are more beyond the
// window in the direction read.
func (l *Log) List(ctx context.Context, f Filter, w store.Window) (list []*Entry, more bool, err error) {
	selected, args := f.where(nil)
	within, order, args := bounds(w, args)
	if err := l.db.Select(ctx, &list, "SELECT "+columns+" FROM audit_log WHERE TRUE"+selected+within+order, args...); err != nil {
		return nil, false, fmt.Errorf("read audit log: %w", err)
	}
	list, more = store.Cut(w, list)
	return list, more, nil
}

// ListOf returns what concerns each of the users, the newest first, in one query: for all of them the
// same window.
func (l *Log) ListOf(ctx context.Context, users []token.UserID, w store.Window) (map[token.UserID]*store.Page[Entry], error) {
	within, order, args := bounds(w, nil)
	query, args := store.Each("SELECT "+columns+" FROM audit_log WHERE user_id <> '' AND user_id = %s"+within+order, users, args...)
	pages, err := store.PageBy(ctx, l.db, w, users, (*Entry).OwnerID, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	return pages, nil
}

// Count returns how many entries f selects.
func (l *Log) Count(ctx context.Context, f Filter) (n int, err error) {
	selected, args := f.where(nil)
	if err := l.db.Get(ctx, &n, "SELECT count(*) FROM audit_log WHERE TRUE"+selected, args...); err != nil {
		return 0, fmt.Errorf("count audit log: %w", err)
	}
	return n, nil
}

// CountOf returns how many entries concern each user; one whom none does is not in the map.
func (l *Log) CountOf(ctx context.Context, users []token.UserID) (map[token.UserID]int, error) {
	return store.CountBy(ctx, l.db, "audit_log", "user_id", "user_id <> ''", users)
}

// Prune deletes what has reached its age, and of the folded refusals the oldest beyond their bound. What users did
// themselves stays, or a flood of refusals would remove the traces of a thief.
func (l *Log) Prune(ctx context.Context) error {
	if err := l.db.Prune(ctx, "audit_log", "id", "at < now_us() - $2", l.life.Microseconds()); err != nil {
		return err
	}
	return l.db.Prune(ctx, "audit_log", "id",
		`fold IS NOT NULL AND outcome = $2 AND at < (SELECT at FROM audit_log
			WHERE fold IS NOT NULL AND outcome = $2 ORDER BY at DESC LIMIT 1 OFFSET $3)`,
		Refused, l.maxFolded-1)
}
