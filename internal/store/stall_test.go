package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

// returns runs f, which must end on its own well before soon.
func returns(t *testing.T, what string, f func() error) error {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- f() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(soon):
		t.Fatalf("%s does not return", what)
		return nil
	}
}

// behindFirewall opens a database by way of a firewall, with tables and a connection that was used.
func behindFirewall(t *testing.T, f func(t *testing.T, wall *storetest.Firewall, db *store.DB)) {
	t.Helper()
	t.Parallel()
	onPostgresURL(t, func(t *testing.T, url string) {
		wall := storetest.StartFirewall(t, url)
		db := storetest.Open(t, wall.URL)
		run(t, db, createNumbers)
		f(t, wall, db)
	})
}

// A statement that waits for its answer when the connection dies ends with its context, at each step.
func TestStatementsOnADeadConnectionEndWithTheirContext(t *testing.T) {
	t.Parallel()
	get := func(ctx context.Context, db *store.DB, query string) error {
		var n int
		return db.Get(ctx, &n, query)
	}
	nothing := func(*store.Tx) error { return nil }
	statement := func(tx *store.Tx) error { return insert(tx, 1) }
	inTx := func(before, after func(tx *store.Tx) error) func(ctx context.Context, db *store.DB, forget func()) error {
		return func(ctx context.Context, db *store.DB, forget func()) error {
			return db.Tx(ctx, func(tx *store.Tx) error {
				if err := before(tx); err != nil {
					return err
				}
				forget()
				return after(tx)
			})
		}
	}
	for name, test := range map[string]func(ctx context.Context, db *store.DB, forget func()) error{
		"a read": func(ctx context.Context, db *store.DB, forget func()) error {
			forget()
			return get(ctx, db, countNumbers)
		},
		"a query that is prepared first": func(ctx context.Context, db *store.DB, forget func()) error {
			forget()
			return get(ctx, db, `SELECT count(*) + 1 FROM numbers`)
		},
		"many rows": func(ctx context.Context, db *store.DB, forget func()) error {
			var n []int
			forget()
			return db.Select(ctx, &n, `SELECT n FROM numbers`)
		},
		"a ping": func(ctx context.Context, db *store.DB, forget func()) error {
			forget()
			return db.Ping(ctx)
		},
		"a begin": func(ctx context.Context, db *store.DB, forget func()) error {
			forget()
			return db.Tx(ctx, nothing)
		},
		"the first statement": inTx(nothing, statement),
		"the second one":      inTx(statement, func(tx *store.Tx) error { return insert(tx, 2) }),
		"a commit":            inTx(statement, nothing),
		"a connection of its own": func(ctx context.Context, db *store.DB, forget func()) error {
			conn, err := db.Conn(ctx)
			if err != nil {
				return err
			}
			defer conn.Close()
			forget()
			var n int
			return store.Classify(ctx, conn.GetContext(ctx, &n, "SELECT 1"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			behindFirewall(t, func(t *testing.T, wall *storetest.Firewall, db *store.DB) {
				if n := count(t, db, countNumbers); n != 0 { // which leaves a connection behind
					t.Fatalf("%d rows", n)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				defer cancel()
				wantUnavailable(t, returns(t, name, func() error { return test(ctx, db, wall.Forget) }))
			})
		})
	}
}

func TestARolledBackTransactionOnADeadConnectionEnds(t *testing.T) {
	behindFirewall(t, func(t *testing.T, wall *storetest.Firewall, db *store.DB) {
		refused := errors.New("no")
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		err := returns(t, "the rollback", func() error {
			return db.Tx(ctx, func(tx *store.Tx) error { wall.Forget(); return refused })
		})
		if !errors.Is(err, refused) {
			t.Error(err)
		}
	})
}

// A statement also ends when its caller leaves.
func TestStatementsOnADeadConnectionEndWithTheirCaller(t *testing.T) {
	behindFirewall(t, func(t *testing.T, wall *storetest.Firewall, db *store.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		sent := make(chan struct{})
		go func() { <-sent; cancel() }()
		_ = returns(t, "the transaction", func() error {
			return db.Tx(ctx, func(tx *store.Tx) error {
				wall.Forget()
				close(sent)
				return insert(tx, 1)
			})
		})
	})
}

// Reads without a deadline of their own have that of a transaction.
func TestAReadWithoutADeadlineEnds(t *testing.T) {
	behindFirewall(t, func(t *testing.T, wall *storetest.Firewall, db *store.DB) {
		var n int
		wall.Forget()
		wantUnavailable(t, returns(t, "the read", func() error { return db.Get(t.Context(), &n, countNumbers) }))
	})
}

// hold has n connections of the pool in use at once, and gives them back.
func hold(t *testing.T, db *store.DB, n int) {
	t.Helper()
	var group errgroup.Group
	all := make(chan struct{})
	held := make(chan struct{}, n)
	for range n {
		group.Go(func() error {
			return db.Tx(t.Context(), func(tx *store.Tx) error {
				var one int
				err := tx.Get(&one, "SELECT 1")
				held <- struct{}{}
				<-all
				return err
			})
		})
	}
	for range n {
		<-held
	}
	close(all)
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// Firewalls forget idle connections first: the caller who comes next must not pay for each.
func TestIdleConnectionsThatAFirewallForgotAreReplaced(t *testing.T) {
	behindFirewall(t, func(t *testing.T, wall *storetest.Firewall, db *store.DB) {
		db.Probe(time.Nanosecond, 200*time.Millisecond)
		hold(t, db, 8)
		wall.Forget()
		var n int
		if err := returns(t, "the read", func() error { return db.Get(t.Context(), &n, countNumbers) }); err != nil {
			t.Errorf("a read after a silence: %v", err)
		}
		run(t, db, `INSERT INTO numbers VALUES (1)`)
		hold(t, db, 8)
	})
}

// One statement without an answer, and a new connection that works, tell of all connections that were
// silent meanwhile: statements under way on those end, and make room in the pool.
func TestStatementsUnderWayEndOnceTheirConnectionsAreFoundDead(t *testing.T) {
	behindFirewall(t, func(t *testing.T, wall *storetest.Firewall, db *store.DB) {
		db.Probe(time.Hour, 200*time.Millisecond)
		const n = 15 // the whole pool
		begun, forgotten, ended := make(chan error, n), make(chan struct{}), make(chan error, n)
		for i := range n {
			go func() {
				ended <- db.Tx(t.Context(), func(tx *store.Tx) error {
					err := insert(tx, i)
					begun <- err
					<-forgotten
					return errors.Join(err, insert(tx, n+i))
				})
			}()
		}
		for range n {
			if err := <-begun; err != nil {
				t.Fatal(err)
			}
		}
		watch := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			conn, err := db.Conn(ctx)
			if err != nil {
				return err
			}
			defer conn.Close()
			var one int
			return conn.GetContext(ctx, &one, "SELECT 1")
		}
		if err := watch(); err != nil {
			t.Fatal(err)
		}
		wall.Forget()
		close(forgotten)
		if err := returns(t, "the reading of a dead connection", watch); err == nil {
			t.Fatal("the connection is alive")
		}
		if err := returns(t, "the reading of a new connection", watch); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for range n {
			wantUnavailable(t, returns(t, "a transaction", func() error { return <-ended }))
		}
		if took := time.Since(began); took > 4*time.Second { // by themselves they would take 8 s
			t.Errorf("the transactions end %s after a new connection was made", took)
		}
		if n := count(t, db, countNumbers); n != 0 {
			t.Errorf("%d rows", n)
		}
	})
}

// The process closes the database when it ends, and must not wait for dead connections.
func TestADatabaseWithDeadConnectionsCloses(t *testing.T) {
	t.Parallel()
	onPostgresURL(t, func(t *testing.T, url string) {
		storetest.Open(t, url)
		wall := storetest.StartFirewall(t, url)
		db, err := store.Open(t.Context(), store.Options{URL: wall.URL})
		if err != nil {
			t.Fatal(err)
		}
		hold(t, db, 8)
		for range 8 { // each connection has statements prepared
			hold(t, db, 8)
		}
		wall.Forget()
		_ = returns(t, "close", db.Close)
	})
}

// A frozen server takes connections and answers none.
func TestAFrozenServerHoldsNothingBeyondItsContext(t *testing.T) {
	t.Parallel()
	postgres := storetest.StartOutage(t)
	db := storetest.Open(t, postgres.URL)
	run(t, db, createNumbers)
	hold(t, db, 2)
	postgres.Freeze(t)
	read := func(ctx context.Context) error {
		var n int
		return db.Get(ctx, &n, countNumbers)
	}
	for range 4 { // the idle ones, then new ones
		for what, f := range map[string]func(ctx context.Context) error{
			"a read": read,
			"a transaction": func(ctx context.Context) error {
				return db.Tx(ctx, func(tx *store.Tx) error { return insert(tx, 1) })
			},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			began := time.Now()
			wantUnavailable(t, returns(t, what, func() error { return f(ctx) }))
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("%s that may take 0.3 s took %s", what, took)
			}
			cancel()
		}
	}
	postgres.Thaw(t)
	if err := returns(t, "a read after it", func() error { return read(t.Context()) }); err != nil {
		t.Error(err)
	}
}
