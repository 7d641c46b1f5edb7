package audit

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/graphwarden/graphwarden/internal/store"
)

const (
	// feedEvery is how soon subscribers get entries of another replica without a notification.
	feedEvery = 400 * time.Millisecond
	// feedWindow is how far before the last reading each one begins: further than a transaction may take from its entry
	// to its commit.
	feedWindow = 15 * time.Second
	// feedPause is the shortest pause between readings, however many notifications arrive. Each reads the whole window.
	// If that takes long, the pause is feedShare times as long.
	feedPause = 2 * time.Millisecond
	feedShare = 4
	// feedPage bounds the entries that a reading holds at once. It is half of feedBuffer, so that a reader who keeps
	// up is never overrun between two pages.
	feedPage = 128
	// feedTimeout bounds each query.
	feedTimeout = 2 * time.Second
	// feedBuffer is how many entries a subscriber may be behind: more than twice what one transaction writes, which is
	// when a user ends all of their sessions. Those arrive together, however fast the reader is.
	feedBuffer = 256
)

// Feed sends new entries of all replicas to subscribers. It reads only while it has any.
type Feed struct {
	db  *store.DB
	now func() time.Time

	reading  sync.Mutex       // held over a reading; mu only to hand out an entry
	seen     map[string]int64 // the entries of the window → the reading that found them last
	readings int64
	read     store.Time // when the last good one was, by the database's clock

	mu          sync.Mutex
	subscribers map[*subscriber]struct{}
}

type subscriber struct {
	entries chan *Entry
	filter  Filter
	lagged  func()
}

// NewFeed wires a Feed, which sends entries while Follow runs. now measures how long readings take.
func NewFeed(db *store.DB, now func() time.Time) *Feed {
	return &Feed{db: db, now: now, subscribers: make(map[*subscriber]struct{}), seen: make(map[string]int64)}
}

// Subscribe returns a channel of the entries that filter selects and that are committed after it returns. The channel
// is closed when ctx ends, or when the reader is too slow, then after a call of lagged, which must not wait. A folded
// entry is sent when it begins.
func (f *Feed) Subscribe(ctx context.Context, filter Filter, lagged func()) (<-chan *Entry, error) {
	f.reading.Lock()
	defer f.reading.Unlock()
	if f.Subscribers() == 0 {
		f.read = 0
		if err := f.news(ctx, func(*Entry) {}); err != nil { // existing entries are not new
			return nil, err
		}
	}
	s := &subscriber{entries: make(chan *Entry, feedBuffer), filter: filter, lagged: lagged}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subscribers[s] = struct{}{}
	context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.remove(s)
	})
	return s.entries, nil
}

// Subscribers returns the number of subscribers.
func (f *Feed) Subscribers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.subscribers)
}

// remove forgets s; f.mu is held.
func (f *Feed) remove(s *subscriber) {
	if _, ok := f.subscribers[s]; ok {
		delete(f.subscribers, s)
		close(s.entries)
	}
}

// news calls tell with each entry committed since the last reading, the oldest first. After an error, the next reading
// continues. f.reading is held.
func (f *Feed) news(ctx context.Context, tell func(*Entry)) error {
	limited, cancel := context.WithTimeout(ctx, feedTimeout)
	defer cancel()
	now, err := f.db.Now(limited)
	if err != nil {
		return fmt.Errorf("follow audit log: %w", err)
	}
	since := now
	if f.read != 0 {
		since = min(now, f.read)
	}
	f.readings++
	for at, id, more := since.Add(-feedWindow), "", true; more; {
		page, err := f.page(ctx, at, id)
		if err != nil {
			return err
		}
		for _, row := range page {
			if _, old := f.seen[row.ID]; !old {
				tell(row)
			}
			f.seen[row.ID] = f.readings
			at, id = row.At, row.ID
		}
		more = len(page) == feedPage
	}
	maps.DeleteFunc(f.seen, func(_ string, reading int64) bool { return reading != f.readings })
	f.read = now
	return nil
}

// page reads one page of the entries after a position.
func (f *Feed) page(ctx context.Context, at store.Time, id string) (rows []*Entry, err error) {
	ctx, cancel := context.WithTimeout(ctx, feedTimeout)
	defer cancel()
	err = f.db.Select(ctx, &rows, "SELECT "+columns+` FROM audit_log WHERE (at, id) > (CAST($1 AS BIGINT), $2)
		ORDER BY at, id LIMIT $3`, at, id, feedPage)
	if err != nil {
		return nil, fmt.Errorf("follow audit log: %w", err)
	}
	return rows, nil
}

// tell reads the new entries and hands them out.
func (f *Feed) tell(ctx context.Context) error {
	f.reading.Lock()
	defer f.reading.Unlock()
	if f.Subscribers() == 0 {
		return nil
	}
	return f.news(ctx, f.handOut)
}

// handOut gives an entry to the subscribers whose filter selects it.
func (f *Feed) handOut(entry *Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.subscribers {
		if !s.filter.Matches(entry) {
			continue
		}
		select {
		case s.entries <- entry:
		default:
			s.lagged()
			f.remove(s)
		}
	}
}

// Follow sends subscribers the new entries until ctx ends.
func (f *Feed) Follow(ctx context.Context, log *slog.Logger) {
	store.Loop{
		DB:       f.db,
		Now:      f.now,
		Log:      log,
		Every:    feedEvery,
		Topic:    topic,
		MinPause: feedPause,
		Share:    feedShare,
		Failure:  "the audit log cannot be followed",
	}.Run(ctx, f.tell)
}
