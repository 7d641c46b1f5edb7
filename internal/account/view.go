package account

import (
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/maypok86/otter/v2"

	"github.com/graphwarden/graphwarden/internal/store"
)

const (
	// maxViewed bounds the users that a View holds, about 1 KB each.
	maxViewed = 10_000
	// viewedFor is the longest time that a View keeps a user. It bounds the effect of rows that are changed by hand.
	viewedFor = 60 * time.Second
	// maxChanged bounds the rows that a poll reads. With more changes than that, the View forgets all users.
	maxChanged = 2_000
	// rememberChanges is how long a View remembers the changes that its polls have seen. No poll reads back further.
	rememberChanges = 5 * time.Minute
)

// View caches the users that were read by id on this replica. A change made here is in force before the call that made
// it returns; changes of other replicas arrive with the polls of the session view. Without a successful poll for
// maxAge, the View serves nothing.
//
// The View only serves what clients read. Code that decides on a user's rights or credentials reads the database in
// its transaction.
type View struct {
	now    func() time.Time
	maxAge time.Duration
	onLag  func(time.Duration)

	users  *otter.Cache[ID, viewed]
	locks  [64]stripe
	seed   maphash.Seed
	polled atomic.Int64 // when the last successful poll began, since base
	base   time.Time
	hits   atomic.Int64
	misses atomic.Int64

	changes map[ID]store.Time // the changes that polls have seen; only polls use it
}

type viewed struct {
	user User
	at   time.Duration // when it was read, since base
}

// stripe counts the changes of the users that share it, so that a row read before a change is not kept after it.
type stripe struct {
	mu      sync.Mutex
	changes uint64
}

// NewView returns an empty View. onLag is called with the time from each change on another replica, by the database's
// clock, until this replica knows it. It must not block.
func NewView(maxAge time.Duration, onLag func(time.Duration), now func() time.Time) *View {
	return &View{
		now:     now,
		maxAge:  maxAge,
		onLag:   onLag,
		users:   otter.Must(&otter.Options[ID, viewed]{MaximumSize: maxViewed}),
		seed:    maphash.MakeSeed(),
		base:    now(),
		changes: make(map[ID]store.Time),
	}
}

// Size returns the number of cached users.
func (v *View) Size() int { return v.users.EstimatedSize() }

// Hits returns how many users were served from memory.
func (v *View) Hits() int64 { return v.hits.Load() }

// Misses returns how many users were read from the database.
func (v *View) Misses() int64 { return v.misses.Load() }

func (v *View) elapsed() time.Duration { return v.now().Sub(v.base) }

// get returns a copy of a cached user, or nil.
func (v *View) get(id ID) *User {
	if v == nil {
		return nil
	}
	held, ok := v.users.GetIfPresent(id)
	now := v.elapsed()
	polled := time.Duration(v.polled.Load())
	if !ok || polled == 0 || now-polled > v.maxAge || now-held.at > viewedFor {
		v.misses.Add(1)
		return nil
	}
	v.hits.Add(1)
	return &held.user
}

// read calls f, which reads users from the database, and caches those that did not change in the meantime.
func (v *View) read(ids []ID, f func() ([]*User, error)) ([]*User, error) {
	if v == nil {
		return f()
	}
	before := make([]uint64, len(ids))
	for i, id := range ids {
		before[i] = v.stripe(id).count()
	}
	at := v.elapsed()
	users, err := f()
	if err != nil {
		return nil, err
	}
	for i, u := range users {
		if u != nil {
			v.keep(u, at, before[i])
		}
	}
	return users, nil
}

func (v *View) keep(u *User, at time.Duration, before uint64) {
	s := v.stripe(u.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes == before {
		v.users.Set(u.ID, viewed{user: *u, at: at})
	}
}

// Drop forgets a user who has changed.
func (v *View) Drop(id ID) {
	if v == nil {
		return
	}
	s := v.stripe(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	v.users.Invalidate(id)
}

// dropAll forgets all users.
func (v *View) dropAll() {
	for i := range v.locks {
		s := &v.locks[i]
		s.mu.Lock()
		s.changes++
		s.mu.Unlock()
	}
	v.users.InvalidateAll()
}

func (v *View) stripe(id ID) *stripe {
	return &v.locks[maphash.String(v.seed, string(id))%uint64(len(v.locks))]
}

func (s *stripe) count() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changes
}

// Poll forgets the users that changed after since. now and since are times of the database's clock. all is true if
// changes may have been missed, and then Poll forgets all users. Polls must not overlap.
func (v *View) Poll(ctx context.Context, conn *sqlx.Conn, since, now store.Time, all bool) error {
	if v == nil {
		return nil
	}
	began := v.elapsed()
	var changed []struct {
		ID        ID         `db:"id"`
		UpdatedAt store.Time `db:"updated_at"`
	}
	if !all {
		err := conn.SelectContext(ctx, &changed, "SELECT id, updated_at FROM users WHERE updated_at > $1 LIMIT $2",
			since, maxChanged+1)
		if err != nil {
			return fmt.Errorf("read changed users: %w", err)
		}
	}
	if all || len(changed) > maxChanged {
		clear(v.changes)
		v.dropAll()
	}
	for _, u := range changed {
		if v.changes[u.ID] == u.UpdatedAt {
			continue
		}
		v.changes[u.ID] = u.UpdatedAt
		v.Drop(u.ID)
		v.onLag(max(now.Sub(u.UpdatedAt), 0))
	}
	maps.DeleteFunc(v.changes, func(_ ID, at store.Time) bool { return now.Sub(at).Abs() > rememberChanges })
	v.polled.Store(int64(max(began, 1)))
	return nil
}
