package store_test

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

// sqlite opens a fresh SQLite database with the table numbers.
func sqlite(t *testing.T) *store.DB {
	t.Helper()
	db := storetest.Open(t, "sqlite:"+t.TempDir()+"/test.db")
	run(t, db, createNumbers)
	return db
}

// held starts a transaction that inserts n and then waits. It returns once the row is inserted.
func held(t *testing.T, db *store.DB, group *errgroup.Group, n int) (release func()) {
	t.Helper()
	inserted, gate := make(chan struct{}), make(chan struct{})
	group.Go(func() error {
		first := true
		return db.Tx(t.Context(), func(tx *store.Tx) error {
			err := insert(tx, n)
			if first {
				first = false
				close(inserted)
				<-gate
			}
			return err
		})
	})
	<-inserted
	return sync.OnceFunc(func() { close(gate) })
}

// waits waits until n transactions wait for the writer.
func waits(t *testing.T, db *store.DB, n int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); db.Waiting() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d transactions wait, want %d", db.Waiting(), n)
		}
	}
}

func TestWaitingTransactionsShareACommit(t *testing.T) {
	t.Parallel()
	db := sqlite(t)
	var group errgroup.Group
	release := held(t, db, &group, 1)
	answered := make(chan struct{})
	group.Go(func() error {
		defer close(answered)
		return db.Tx(t.Context(), func(tx *store.Tx) error { return insert(tx, 2) })
	})
	waits(t, db, 1)
	last := make(chan func(), 1)
	group.Go(func() error {
		gate := make(chan struct{})
		return db.Tx(t.Context(), func(tx *store.Tx) error {
			last <- func() { close(gate) }
			<-gate
			return insert(tx, 3)
		})
	})
	waits(t, db, 2)
	release()
	end := <-last
	// The functions of the first two have ended, but nothing is committed, so no caller is answered.
	if n := count(t, db, countNumbers); n != 0 {
		t.Errorf("%d rows are visible before the commit", n)
	}
	select {
	case <-answered:
		t.Error("answered before the commit")
	default:
	}
	end()
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := count(t, db, countNumbers); n != 3 {
		t.Errorf("%d rows, want 3", n)
	}
}

// A transaction that fails, for any reason, does not affect the others of its group.
func TestATransactionFailsAlone(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	for name, fail := range map[string]func(cancel func(), tx *store.Tx) error{
		"by its function":  func(func(), *store.Tx) error { return refused },
		"by a constraint":  func(_ func(), tx *store.Tx) error { return insert(tx, 1) },
		"by its context":   func(cancel func(), _ *store.Tx) error { cancel(); return nil },
		"by ending itself": func(_ func(), tx *store.Tx) error { panic(refused) },
		"with the transaction": func(_ func(), tx *store.Tx) error { // as SQLite does after a full disk
			_, err := tx.Exec("ROLLBACK")
			return errors.Join(err, refused)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := sqlite(t)
			var group errgroup.Group
			release := held(t, db, &group, 1)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() {
				var err error
				defer func() {
					if p := recover(); p != nil {
						err = p.(error)
					}
					ended <- err
				}()
				err = db.Tx(ctx, func(tx *store.Tx) error {
					tx.OnCommit(func() { t.Error("OnCommit ran") })
					if err := insert(tx, 100); err != nil {
						return err
					}
					return fail(cancel, tx)
				})
			}()
			waits(t, db, 1)
			for n := 2; n < 5; n++ {
				group.Go(func() error {
					return db.Tx(t.Context(), func(tx *store.Tx) error { return insert(tx, n) })
				})
			}
			waits(t, db, 4)
			release()
			if err := group.Wait(); err != nil {
				t.Error(err)
			}
			if err := <-ended; err == nil {
				t.Error("the transaction that failed reports success")
			}
			if n := count(t, db, "SELECT count(*) FROM numbers WHERE n < 5"); n != 4 {
				t.Errorf("%d rows of the others, want 4", n)
			}
			if n := count(t, db, "SELECT count(*) FROM numbers WHERE n = 100"); n != 0 {
				t.Error("a row of the transaction that failed")
			}
		})
	}
}

func TestACallerLeavesTheQueue(t *testing.T) {
	t.Parallel()
	db := sqlite(t)
	var group errgroup.Group
	release := held(t, db, &group, 1)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() { left <- db.Tx(ctx, func(*store.Tx) error { t.Error("it ran"); return nil }) }()
	waits(t, db, 1)
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	release()
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// There are more transactions than fit in a group, and a third of them fail.
func TestManyTransactionsAtOnce(t *testing.T) {
	t.Parallel()
	db := sqlite(t)
	refused := errors.New("refused")
	var group errgroup.Group
	for n := range 300 {
		group.Go(func() error {
			committed := 0
			err := db.Tx(t.Context(), func(tx *store.Tx) error {
				tx.OnCommit(func() { committed++ })
				if err := insert(tx, n); err != nil {
					return err
				}
				if n%3 == 0 {
					return refused
				}
				return nil
			})
			if failed := n%3 == 0; failed != errors.Is(err, refused) || failed == (committed == 1) {
				t.Errorf("transaction %d: %v, OnCommit ran %d times", n, err, committed)
			}
			return nil
		})
	}
	_ = group.Wait()
	if n := count(t, db, "SELECT count(*) FROM numbers WHERE n % 3 <> 0"); n != 200 {
		t.Errorf("%d rows, want 200", n)
	}
	if n := count(t, db, "SELECT count(*) FROM numbers WHERE n % 3 = 0"); n != 0 {
		t.Errorf("%d rows of transactions that failed", n)
	}
}

// Statements of Write have no savepoint. One that fails takes the transaction of the whole group with it, and one that
// changes nothing does not.
func TestAWriteFailsAlone(t *testing.T) {
	t.Parallel()
	for name, query := range map[string]string{
		"that changes nothing":  `UPDATE numbers SET n = 0 WHERE n = $1 RETURNING n`,
		"against a constraint":  `INSERT INTO numbers VALUES ($1 + 1) RETURNING n`,
		"that is not valid SQL": `UPDATE nowhere SET n = $1 RETURNING n`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := sqlite(t)
			run(t, db, `INSERT INTO numbers VALUES (10)`)
			var group errgroup.Group
			release := held(t, db, &group, 11)
			var failed error
			group.Go(func() error {
				failed = db.Write(t.Context(), []any{new(int)}, query, 9)
				return nil
			})
			waits(t, db, 1)
			for n := range 3 {
				group.Go(func() error {
					var got int
					err := db.Write(t.Context(), []any{&got}, `INSERT INTO numbers VALUES ($1) RETURNING n`, 20+n)
					if got != 20+n {
						t.Errorf("the row has %d, want %d", got, 20+n)
					}
					return err
				})
			}
			waits(t, db, 4)
			release()
			if err := group.Wait(); err != nil {
				t.Error(err)
			}
			if failed == nil || errors.Is(failed, sql.ErrNoRows) != (name == "that changes nothing") {
				t.Errorf("got %v", failed)
			}
			if n := count(t, db, "SELECT count(*) FROM numbers WHERE n >= 10"); n != 5 {
				t.Errorf("%d rows, want 5", n)
			}
		})
	}
}
