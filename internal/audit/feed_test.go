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

// follow has feed followed until the test ends.
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
	entries, err := feed.Subscribe(tb.Context(), audit.Filter{}, func() { tb.Error("sent away") })
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
				tb.Fatalf("told of %+v, want %s", entry, detail)
			}
		case <-time.After(20 * time.Second):
			tb.Fatalf("not told of %s", detail)
		}
	}
}

// One logout can end as many sessions as a user may have. Nobody is sent away for that, not even who is
// busy with the first.
func TestOneTransactionSendsNobodyAway(t *testing.T) {
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
				t.Fatalf("told of %d entries, want %d", len(entries), len(ended))
			}
		}
		receives(t, entries, ended...)
	})
}

func TestEntriesThatCommitLateAreToldOnce(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		if db.Dialect() == store.SQLite {
			t.Skip("it has one writer: nothing commits in another order than it began")
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

// Each reading is of the whole window: where that takes long, one after each commit would be most of the work
// of a busy server, for one subscriber.
func TestAStormOfEntriesIsReadNowAndThen(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		perEntry := db.Statements()
		mustRecord(t, db, "before")
		perEntry = db.Statements() - perEntry
		var seconds atomic.Int64
		feed := audit.NewFeed(db, func() time.Time { return time.Unix(seconds.Add(1), 0) }) // a reading takes a second
		entries := mustSubscribe(t, feed)
		follow(t, db, feed)
		begin, before := time.Now(), db.Statements()
		const n = 100 // a reading is one page
		for range n {
			mustRecord(t, db, "storm")
		}
		const perReading = 2
		readings := (db.Statements() - before - n*perEntry) / perReading
		if most := 2 + int64(time.Since(begin)/(400*time.Millisecond)); readings > most {
			t.Errorf("%d readings for %d entries, want %d at most", readings, n, most)
		}
		for range n {
			receives(t, entries, "storm")
		}
	})
}

// A flood must not come into memory at once: each question asks for a page, and nothing is told twice or left out.
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
			t.Errorf("%d entries were read by %d questions, want at least %d", len(flood), asked, pages)
		}
		mustRecord(t, db, "first", "second")
		if err := feed.Tell(t.Context()); err != nil {
			t.Fatal(err)
		}
		mustRecord(t, db, "third")
		for range 2 {
			if err := feed.Tell(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		receives(t, entries, "first", "second", "third")
		if n := len(entries); n != 0 {
			t.Errorf("%d more were told", n)
		}
	})
}

// A reading waits for the database. Counting subscribers and unsubscribing do not wait for the reading.
func TestAReadingThatWaitsDoesNotBlockSubscribers(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		if db.Dialect() == store.SQLite {
			return // its readers never wait
		}
		var looks atomic.Int64 // at the clock: before and after each reading
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
				t.Errorf("%d subscribers after one has left", n)
			}
			if looks.Load() != before {
				t.Error("they were told once the reading was over")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
