package audit

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/graphwarden/graphwarden/internal/store"
)

const (
	// feedEvery is how soon subscribers hear of what another replica wrote, where nothing wakes the feed.
	feedEvery = 400 * time.Millisecond
	// feedWindow is how far each reading goes back before the last: further than any transaction may take
	// from its entry to its commit.
	feedWindow = 15 * time.Second
	// feedPause is between readings at least, however many notifications come. Each reads the whole window:
	// where that takes long, feedShare times as long is left to others.
	feedPause = 2 * time.Millisecond
	feedShare = 4
	// feedBuffer is how many entries a subscriber may be behind: more than twice what one transaction writes,
	// where somebody ends all of their sessions. Those arrive at once, however fast the reader is.
	feedBuffer = 256
)

// Feed tells subscribers of new entries, from whichever replica. It reads only while it has any.
type Feed struct {
	db  *store.DB
	now func() time.Time

	reading sync.Mutex          // held over a reading, and no other lock is
	seen    map[string]struct{} // the entries of the last reading
	read    store.Time          // when that was, by the database's clock

	mu          sync.Mutex
	subscribers map[*subscriber]struct{}
}

type subscriber struct {
	entries chan *Entry
	filter  Filter
	lagged  func()
}

// NewFeed wires a Feed; Follow must run for it to tell anything. now measures how long readings take.
func NewFeed(db *store.DB, now func() time.Time) *Feed {
	return &Feed{db: db, now: now, subscribers: make(map[*subscriber]struct{})}
}

// Subscribe tells of the entries that f selects and that are committed after it returns, until ctx ends
// or the reader is too slow; then the channel is closed, in the second case after a call of lagged, which
// must not wait. A folded entry is told when it begins.
func (f *Feed) Subscribe(ctx context.Context, filter Filter, lagged func()) (<-chan *Entry, error) {
	f.reading.Lock()
	defer f.reading.Unlock()
	if f.Subscribers() == 0 {
		f.read = 0
		if _, err := f.news(ctx); err != nil { // what is there already is no news
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

// Subscribers counts who follows the log now.
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

// news reads the entries that were committed since the last reading, the oldest first; f.reading is held.
func (f *Feed) news(ctx context.Context) (list []*Entry, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var now store.Time
	if err := f.db.Get(ctx, &now, "SELECT now_us()"); err != nil {
		return nil, fmt.Errorf("follow audit log: %w", err)
	}
	since := now
	if f.read != 0 {
		since = min(now, f.read)
	}
	var rows []*Entry
	if err := f.db.Select(ctx, &rows, "SELECT "+columns+" FROM audit_log WHERE at > $1 ORDER BY at, id", since.Add(-feedWindow)); err != nil {
		return nil, fmt.Errorf("follow audit log: %w", err)
	}
	seen := make(map[string]struct{}, len(rows))
	for _, row := range rows {
		if _, old := f.seen[row.ID]; !old {
			list = append(list, row)
		}
		seen[row.ID] = struct{}{}
	}
	f.seen, f.read = seen, now
	return list, nil
}

// tell reads and hands out the news.
func (f *Feed) tell(ctx context.Context) error {
	f.reading.Lock()
	defer f.reading.Unlock()
	if f.Subscribers() == 0 {
		return nil
	}
	list, err := f.news(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, entry := range list {
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
	return err
}

// Follow tells subscribers of the news until ctx ends.
func (f *Feed) Follow(ctx context.Context, log *slog.Logger) {
	wake, stop := f.db.Wake(topic)
	defer stop()
	tick := time.NewTicker(feedEvery)
	defer tick.Stop()
	for failing := false; ctx.Err() == nil; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-wake:
		}
		began := f.now()
		err := f.tell(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			log.Error("the audit log cannot be followed", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
		case <-time.After(min(max(feedPause, feedShare*f.now().Sub(began)), feedEvery)):
		}
	}
}
