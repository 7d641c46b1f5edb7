package audit_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

// follow runs feed and the database's listener until the test ends.
func follow(tb testing.TB, db *store.DB, feed *audit.Feed) {
	ctx, stop := context.WithCancel(context.WithoutCancel(tb.Context()))
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	var beside sync.WaitGroup
	beside.Go(func() { db.Listen(ctx, log) })
	beside.Go(func() { feed.Follow(ctx, log) })
	tb.Cleanup(func() {
		stop()
		beside.Wait()
	})
}

func record(tx *store.Tx, detail string) error {
	return audit.Record(tx, audit.Event{Action: audit.UserEnabled, Outcome: audit.Done, Detail: detail})
}

func mustRecord(tb testing.TB, db *store.DB, details ...string) {
	tb.Helper()
	err := db.Tx(tb.Context(), func(tx *store.Tx) error {
		for _, detail := range details {
			if err := record(tx, detail); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func mustSubscribe(tb testing.TB, feed *audit.Feed) <-chan *audit.Entry {
	tb.Helper()
	entries, err := feed.Subscribe(tb.Context(), audit.Filter{}, func() { tb.Error("the subscriber lagged") })
	if err != nil {
		tb.Fatal(err)
	}
	return entries
}

func receives(tb testing.TB, entries <-chan *audit.Entry, want ...string) {
	tb.Helper()
	for _, detail := range want {
		select {
		case entry, ok := <-entries:
			if !ok || entry.Detail != detail {
				tb.Fatalf("got %+v, want %s", entry, detail)
			}
		case <-time.After(20 * time.Second):
			tb.Fatalf("timed out waiting for %s", detail)
		}
	}
}

// One logout can end as many sessions as a user may have. No subscriber lags because of that, even one that is busy
// with the first entry.
func TestOneTransactionDoesNotOverflowASubscriber(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		feed := audit.NewFeed(db, time.Now)
		entries := mustSubscribe(t, feed)
		follow(t, db, feed)
		var ended []string
		for i := range 2 * session.MaxPerUser {
			ended = append(ended, fmt.Sprint(i))
		}
		mustRecord(t, db, ended...)
		for limit := time.Now().Add(20 * time.Second); len(entries) < len(ended); time.Sleep(time.Millisecond) {
			if time.Now().After(limit) {
				t.Fatalf("got %d entries, want %d", len(entries), len(ended))
			}
		}
		receives(t, entries, ended...)
	})
}

func TestEntriesThatCommitLateAreDeliveredOnce(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		if db.Dialect() == store.SQLite {
			t.Skip("SQLite has one writer, so transactions commit in the order in which they began")
		}
		feed := audit.NewFeed(db, time.Now)
		written, commit := make(chan error, 1), make(chan struct{})
		done := make(chan error, 1)
		go func() {
			done <- db.Tx(t.Context(), func(tx *store.Tx) error {
				written <- record(tx, "late")
				<-commit
				return nil
			})
		}()
		if err := <-written; err != nil {
			t.Fatal(err)
		}
		entries := mustSubscribe(t, feed)
		follow(t, db, feed)
		mustRecord(t, db, "first")
		receives(t, entries, "first")
		close(commit)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		receives(t, entries, "late")
		mustRecord(t, db, "last")
		receives(t, entries, "last")
	})
}

// Each poll reads the whole window. If that is slow, a poll after each commit would be most of the work of a busy
// server, for one subscriber.
func TestAStormOfEntriesIsPolledAtIntervals(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		perEntry := db.Statements()
		mustRecord(t, db, "before")
		perEntry = db.Statements() - perEntry
		var seconds atomic.Int64
		feed := audit.NewFeed(db, func() time.Time { return time.Unix(seconds.Add(1), 0) }) // a poll takes a second
		entries := mustSubscribe(t, feed)
		follow(t, db, feed)
		begin, before := time.Now(), db.Statements()
		const n = 100 // fits in one page
		for range n {
			mustRecord(t, db, "storm")
		}
		const perPoll = 2
		polls := (db.Statements() - before - n*perEntry) / perPoll
		if most := 2 + int64(time.Since(begin)/(400*time.Millisecond)); polls > most {
			t.Errorf("%d polls for %d entries, want %d at most", polls, n, most)
		}
		for range n {
			receives(t, entries, "storm")
		}
	})
}

// A flood must not be in memory all at once. Each query reads one page, and each entry is delivered exactly once.
func TestAFloodIsReadInPages(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		const pages = 5
		var flood []string
		for i := range pages * audit.FeedPage {
			flood = append(flood, fmt.Sprint(i))
		}
		mustRecord(t, db, flood...)
		feed := audit.NewFeed(db, time.Now)
		before := db.Statements()
		entries := mustSubscribe(t, feed)
		if asked := db.Statements() - before; asked < pages {
			t.Errorf("%d entries were read by %d queries, want at least %d", len(flood), asked, pages)
		}
		mustRecord(t, db, "first", "second")
		if err := feed.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustRecord(t, db, "third")
		for range 2 {
			if err := feed.Poll(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		receives(t, entries, "first", "second", "third")
		if n := len(entries); n != 0 {
			t.Errorf("%d entries were delivered twice", n)
		}
	})
}

// A poll waits for the database. Counting subscribers and unsubscribing do not wait for the poll.
func TestAPollThatWaitsDoesNotBlockSubscribers(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		if db.Dialect() == store.SQLite {
			return // readers of SQLite never wait
		}
		var looks atomic.Int64 // polls of the clock: before and after each poll
		feed := audit.NewFeed(db, func() time.Time { looks.Add(1); return time.Now() })
		mustSubscribe(t, feed)
		left, leave := context.WithCancel(t.Context())
		entries, err := feed.Subscribe(left, audit.Filter{}, func() {})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Tx(t.Context(), func(tx *store.Tx) error {
			if _, err := tx.Exec("LOCK TABLE audit_log IN ACCESS EXCLUSIVE MODE"); err != nil {
				return err
			}
			follow(t, db, feed)
			const waiting = `SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'audit_log'::regclass`
			for n := 0; n == 0; {
				if err := tx.Get(&n, waiting); err != nil {
					return err
				}
			}
			before := looks.Load()
			if n := feed.Subscribers(); n != 2 {
				t.Errorf("%d subscribers", n)
			}
			leave()
			<-entries
			if n := feed.Subscribers(); n != 1 {
				t.Errorf("%d subscribers after one has unsubscribed", n)
			}
			if looks.Load() != before {
				t.Error("the poll ended before the calls returned")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
