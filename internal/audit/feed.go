package audit

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/graphwarden/graphwarden/internal/store"
)

const (
	// feedEvery is the interval between two polls without a notification.
	feedEvery = 400 * time.Millisecond
	// feedWindow is how far each poll reads back before the last one. It is longer than a transaction may take from its
	// entry to its commit.
	feedWindow = 15 * time.Second
	// feedPause is the minimum pause between two polls, for any rate of notifications. Each poll reads the whole window.
	// If that is slow, the pause is feedShare times as long as the poll.
	feedPause = 2 * time.Millisecond
	feedShare = 4
	// feedPage bounds the entries in memory per poll. It is half of feedBuffer, so that a subscriber that keeps up does
	// not overflow between two pages.
	feedPage = 128
	// feedTimeout bounds each query.
	feedTimeout = 2 * time.Second
	// feedBuffer is how many entries a subscriber may be behind. A user who ends all sessions
	// writes up to 100 in one transaction, which arrive faster than any subscriber reads them.
	feedBuffer = 256
)

// Feed delivers new entries from all replicas to subscribers. It polls only while it has any.
type Feed struct {
	db  *store.DB
	now func() time.Time

	polling sync.Mutex       // held during a poll; mu is held only to deliver one entry
	seen    map[string]int64 // the entries of the window, with the number of the poll that last found them
	polls   int64
	polled  store.Time // the time of the last successful poll, by the database's clock

	mu          sync.Mutex
	subscribers map[*subscriber]struct{}
}

type subscriber struct {
	entries chan *Entry
	filter  Filter
	lagged  func()
}

// NewFeed returns a Feed. It delivers entries while Follow runs. now measures the duration of polls.
func NewFeed(db *store.DB, now func() time.Time) *Feed {
	return &Feed{db: db, now: now, subscribers: make(map[*subscriber]struct{}), seen: make(map[string]int64)}
}

// Subscribe returns a channel of the entries that match filter and are committed after it returns. The channel is
// closed when ctx ends, or when the subscriber is too slow; in the latter case lagged is called first, which must not
// block. A folded entry is delivered when it is created.
func (f *Feed) Subscribe(ctx context.Context, filter Filter, lagged func()) (<-chan *Entry, error) {
	f.polling.Lock()
	defer f.polling.Unlock()
	if f.Subscribers() == 0 {
		f.polled = 0
		if err := f.read(ctx, func(*Entry) {}); err != nil { // existing entries are not new
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

// remove removes s. f.mu must be locked.
func (f *Feed) remove(s *subscriber) {
	if _, ok := f.subscribers[s]; ok {
		delete(f.subscribers, s)
		close(s.entries)
	}
}

// read calls deliver for the entries committed since the last poll, oldest first. f.polling must be locked. After an
// error the next poll delivers the rest.
func (f *Feed) read(ctx context.Context, deliver func(*Entry)) error {
	limited, cancel := context.WithTimeout(ctx, feedTimeout)
	defer cancel()
	now, err := f.db.Now(limited)
	if err != nil {
		return fmt.Errorf("follow audit log: %w", err)
	}
	since := now
	if f.polled != 0 {
		since = min(now, f.polled)
	}
	f.polls++
	for at, id, more := since.Add(-feedWindow), "", true; more; {
		page, err := f.page(ctx, at, id)
		if err != nil {
			return err
		}
		for _, row := range page {
			if _, old := f.seen[row.ID]; !old {
				deliver(row)
			}
			f.seen[row.ID] = f.polls
			at, id = row.At, row.ID
		}
		more = len(page) == feedPage
	}
	maps.DeleteFunc(f.seen, func(_ string, poll int64) bool { return poll != f.polls })
	f.polled = now
	return nil
}

// page reads one page of the entries after a position.
func (f *Feed) page(ctx context.Context, at store.Time, id string) (rows []*Entry, err error) {
	ctx, cancel := context.WithTimeout(ctx, feedTimeout)
	defer cancel()
	err = f.db.Select(ctx, &rows, "SELECT "+columns+` FROM audit_log WHERE (at, id) > (CAST($1 AS BIGINT), $2)
		ORDER BY at, id LIMIT `+strconv.Itoa(feedPage), at, id)
	if err != nil {
		return nil, fmt.Errorf("follow audit log: %w", err)
	}
	return rows, nil
}

// poll delivers the new entries.
func (f *Feed) poll(ctx context.Context) error {
	f.polling.Lock()
	defer f.polling.Unlock()
	if f.Subscribers() == 0 {
		return nil
	}
	return f.read(ctx, f.deliver)
}

// deliver sends an entry to the subscribers whose filter matches it.
func (f *Feed) deliver(entry *Entry) {
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

// Follow delivers new entries until ctx ends.
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
	}.Run(ctx, f.poll)
}
