package session

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

const (
	// FlushEvery is the interval at which new generations are written. Config keeps the grace above it.
	FlushEvery = 500 * time.Millisecond
	// touchEvery is the maximum delay of last_seen_at.
	touchEvery = time.Minute
	// flushBatch bounds the marks per transaction, and with it how long others wait for SQLite's write lock.
	flushBatch = 500
	// maxPending bounds the memory during an outage. A mark dropped beyond it is made again at the next use.
	maxPending = 100_000
)

// Activity records which generation of each session its client has used, and when the session was last used. The
// generation decides whether a late refresh is a lost answer or a theft. It is therefore written within FlushEvery, and
// remembered as written only after the commit: after a crash in between, the next use marks it again. The time of the
// last use may be lost.
type Activity struct {
	db  *store.DB
	now func() time.Time
	// written is a bounded copy of the database. A lost entry costs only a repeated write.
	written *otter.Cache[ID, mark]

	mu      sync.Mutex
	seen    map[ID]int64
	touched map[ID]store.Time
}

type mark struct {
	generation int64
	touched    store.Time
}

// NewActivity returns an empty Activity. now is the clock of last_seen_at.
func NewActivity(db *store.DB, now func() time.Time) (*Activity, error) {
	written, err := otter.New(&otter.Options[ID, mark]{MaximumSize: maxPending})
	if err != nil {
		return nil, fmt.Errorf("activity cache: %w", err)
	}
	return &Activity{db: db, now: now, written: written, seen: make(map[ID]int64), touched: make(map[ID]store.Time)}, nil
}

// Mark records the use of a verified access token. It does no I/O.
func (a *Activity) Mark(c *token.Claims) {
	now := store.TimeOf(a.now())
	last, _ := a.written.GetIfPresent(c.SessionID)
	isNew, isDue := last.generation < c.Generation, now.Sub(last.touched) >= touchEvery
	if !isNew && !isDue {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if isNew && (len(a.seen) < maxPending || a.seen[c.SessionID] > 0) {
		a.seen[c.SessionID] = max(a.seen[c.SessionID], c.Generation)
	}
	if isDue && len(a.touched) < maxPending {
		a.touched[c.SessionID] = now
		a.written.Set(c.SessionID, mark{last.generation, now}) // before the commit, because this mark may be lost
	}
}

// Flush writes the new generations, then the times of last use. If the former fail, the next flush writes them.
func (a *Activity) Flush(ctx context.Context) error {
	a.mu.Lock()
	seen, touched := a.seen, a.touched
	a.seen, a.touched = make(map[ID]int64), make(map[ID]store.Time)
	a.mu.Unlock()

	err := flush(ctx, a.db, seen, "UPDATE sessions SET seen_generation = $2 WHERE id = $1 AND seen_generation < $2")
	if err != nil {
		a.restore(seen)
		return fmt.Errorf("write seen generations: %w", err)
	}
	for id, generation := range seen {
		last, _ := a.written.GetIfPresent(id)
		a.written.Set(id, mark{generation, last.touched})
	}
	const touch = "UPDATE sessions SET last_seen_at = $2 WHERE id = $1 AND last_seen_at < $2"
	if err := flush(ctx, a.db, touched, touch); err != nil {
		return fmt.Errorf("write last uses: %w", err)
	}
	return nil
}

func (a *Activity) restore(seen map[ID]int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, generation := range seen {
		a.seen[id] = max(a.seen[id], generation)
	}
}

// flush runs query for every entry in the order of the ids, so that two replicas do not deadlock.
func flush[V cmp.Ordered](ctx context.Context, db *store.DB, entries map[ID]V, query string) error {
	ids := slices.Sorted(maps.Keys(entries))
	for batch := range slices.Chunk(ids, flushBatch) {
		err := db.Tx(ctx, func(tx *store.Tx) error {
			for _, id := range batch {
				if _, err := tx.Exec(query, id, entries[id]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Follow flushes until ctx ends, and then once more within grace.
func (a *Activity) Follow(ctx context.Context, grace time.Duration, log *slog.Logger) {
	store.Loop{
		DB:      a.db,
		Now:     a.now,
		Log:     log,
		Every:   FlushEvery,
		Failure: "activity cannot be written",
	}.Run(ctx, a.Flush)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := a.Flush(ctx); err != nil {
		log.Error("activity could not be written at the stop", "error", err)
	}
}
