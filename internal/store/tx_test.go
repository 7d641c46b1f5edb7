package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

const createNumbers = `CREATE TABLE numbers (n BIGINT PRIMARY KEY)`

const countNumbers = `SELECT count(*) FROM numbers`

func insert(tx *store.Tx, n int) error {
	_, err := tx.Exec(`INSERT INTO numbers VALUES ($1)`, n)
	return err
}

func TestTxCommitsThenRunsOnCommit(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		run(t, db, createNumbers)
		var seen []int
		err := db.Tx(t.Context(), func(tx *store.Tx) error {
			for i := range 2 {
				tx.OnCommit(func() { seen = append(seen, i, count(t, db, countNumbers)) })
			}
			return insert(tx, 1)
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(seen); got != "[0 1 1 1]" {
			t.Errorf("got %s, want both functions in order, each seeing the committed row", got)
		}
	})
}

func TestTxRollsBackWithoutOnCommit(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		run(t, db, createNumbers)
		refused := fault.New(fault.Conflict, fault.EmailTaken, "taken")
		committed := false
		err := db.Tx(t.Context(), func(tx *store.Tx) error {
			tx.OnCommit(func() { committed = true })
			if err := insert(tx, 1); err != nil {
				return err
			}
			return refused
		})
		if !errors.Is(err, refused) {
			t.Errorf("got %v, want the error of the function", err)
		}
		if n := count(t, db, countNumbers); n != 0 || committed {
			t.Errorf("%d rows, OnCommit ran: %t", n, committed)
		}
	})
}

func TestTxRollsBackOnPanic(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		run(t, db, createNumbers)
		func() {
			defer func() {
				if got := recover(); got != "boom" {
					t.Errorf("recovered %v, want the panic of the function", got)
				}
			}()
			_ = db.Tx(t.Context(), func(tx *store.Tx) error {
				tx.OnCommit(func() { t.Error("OnCommit ran") })
				if err := insert(tx, 1); err != nil {
					t.Error(err)
				}
				panic("boom")
			})
		}()
		run(t, db, `INSERT INTO numbers VALUES (2)`) // the writer is free again
		if n := count(t, db, countNumbers); n != 1 {
			t.Errorf("%d rows, want only the second", n)
		}
	})
}

func TestACommitAfterTheDeadlineIsUnavailableAndRolledBack(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		run(t, db, createNumbers)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := db.Tx(ctx, func(tx *store.Tx) error {
			tx.OnCommit(func() { t.Error("OnCommit ran") })
			if err := insert(tx, 1); err != nil {
				return err
			}
			for n := 0; tx.Get(&n, "SELECT 1") == nil; { // until the deadline
			}
			<-ctx.Done() // a driver may read the deadline a moment before the timer fires
			return nil
		})
		wantUnavailable(t, err)
		if n := count(t, db, countNumbers); n != 0 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestACanceledCallerIsNotAnOutage(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := db.Tx(ctx, func(*store.Tx) error { return nil })
		if !errors.Is(err, context.Canceled) || fault.As(err) != nil {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
}

// Each query is new, and its transaction holds a connection. Preparing it on another connection would wait for the
// pool, which on SQLite has only one.
func TestNewQueriesInManyTransactionsDoNotDeadlock(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		run(t, db, createNumbers)
		var group errgroup.Group
		for i := range 64 {
			group.Go(func() error {
				return db.Tx(t.Context(), func(tx *store.Tx) error {
					if err := insert(tx, i); err != nil {
						return err
					}
					var got int
					if err := tx.Get(&got, fmt.Sprintf("SELECT n + %d FROM numbers WHERE n = $1", i), i); err != nil {
						return err
					}
					if got != 2*i {
						return fmt.Errorf("got %d, want %d", got, 2*i)
					}
					return nil
				})
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if n := count(t, db, countNumbers); n != 64 {
			t.Errorf("%d rows, want 64", n)
		}
	})
}

// Session rotation relies on this compare-and-swap.
func TestOneOfManyConcurrentUpdatesWins(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		run(t, db, createNumbers, `INSERT INTO numbers VALUES (0)`)
		var group errgroup.Group
		won := make(chan int64, 16)
		for range 16 {
			group.Go(func() error {
				return db.Tx(t.Context(), func(tx *store.Tx) error {
					changed, err := tx.Exec(`UPDATE numbers SET n = n + 1 WHERE n = $1`, 0)
					tx.OnCommit(func() { won <- changed })
					return err
				})
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		close(won)
		var winners int64
		for changed := range won {
			winners += changed
		}
		if winners != 1 {
			t.Errorf("%d winners, want 1", winners)
		}
	})
}

func TestConnReads(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		run(t, db, createNumbers, `INSERT INTO numbers VALUES (7)`)
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var n int
		if err := conn.GetContext(t.Context(), &n, `SELECT n FROM numbers WHERE n = $1`, 7); err != nil || n != 7 {
			t.Errorf("got %d, %v", n, err)
		}
	})
}

func TestWriteReturnsTheRow(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		run(t, db, createNumbers, `INSERT INTO numbers VALUES (1), (2)`)
		const increase = `UPDATE numbers SET n = n + 10 WHERE n = $1 RETURNING n, n + 1`
		var n, next int
		if err := db.Write(t.Context(), []any{&n, &next}, increase, 1); err != nil || n != 11 || next != 12 {
			t.Errorf("got %d and %d, %v", n, next, err)
		}
		if err := db.Write(t.Context(), []any{&n, &next}, increase, 1); !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("without a match: got %v, want sql.ErrNoRows", err)
		}
		if err := db.Scan(t.Context(), []any{&n}, "SELECT n FROM numbers WHERE n > $1", 10); err != nil || n != 11 {
			t.Errorf("read %d, %v", n, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := db.Write(ctx, []any{&n, &next}, increase, 2); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		if got := count(t, db, "SELECT count(*) FROM numbers WHERE n = 2"); got != 1 {
			t.Error("a canceled caller changed the row")
		}
	})
}
