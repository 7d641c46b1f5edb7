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

// returns runs f, which must return well before soon.
func returns(t *testing.T, name string, f func() error) error {
	t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- f() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(soon):
		t.Fatalf("%s does not return", name)
		return nil
	}
}

// behindFirewall opens a database through a firewall, with a table and a used connection.
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

// A statement ends with its context if the connection dies while it waits for the answer. This holds for every step of
// a transaction.
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
		"a first statement":  inTx(nothing, statement),
		"a second statement": inTx(statement, func(tx *store.Tx) error { return insert(tx, 2) }),
		"a commit":           inTx(statement, nothing),
		"a connection of Conn": func(ctx context.Context, db *store.DB, forget func()) error {
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
				if n := count(t, db, countNumbers); n != 0 { // leaves an idle connection
					t.Fatalf("%d rows", n)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				defer cancel()
				wantUnavailable(t, returns(t, name, func() error { return test(ctx, db, wall.Forget) }))
			})
		})
	}
}

func TestARollbackOnADeadConnectionEnds(t *testing.T) {
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

// A statement also ends when its caller's context is canceled.
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

// Reads have txTimeout if their context has no deadline.
func TestAReadWithoutADeadlineEnds(t *testing.T) {
	behindFirewall(t, func(t *testing.T, wall *storetest.Firewall, db *store.DB) {
		var n int
		wall.Forget()
		wantUnavailable(t, returns(t, "the read", func() error { return db.Get(t.Context(), &n, countNumbers) }))
	})
}

// hold uses n connections of the pool at the same time, then releases them.
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

// Firewalls forget idle connections first. The next caller must not wait for each of them to fail.
func TestIdleConnectionsThatAFirewallForgotAreReplaced(t *testing.T) {
	behindFirewall(t, func(t *testing.T, wall *storetest.Firewall, db *store.DB) {
		db.Probe(time.Nanosecond, 200*time.Millisecond)
		hold(t, db, 8)
		wall.Forget()
		var n int
		if err := returns(t, "the read", func() error { return db.Get(t.Context(), &n, countNumbers) }); err != nil {
			t.Errorf("a read after the connections were forgotten: %v", err)
		}
		run(t, db, `INSERT INTO numbers VALUES (1)`)
		hold(t, db, 8)
	})
}

// After an unanswered statement and a successful new connection, all connections that were silent in between are dead.
// Statements in progress on them end and free the pool.
func TestStatementsInProgressEndOnceTheirConnectionsAreFoundDead(t *testing.T) {
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
		if err := returns(t, "a read on a dead connection", watch); err == nil {
			t.Fatal("the connection is alive")
		}
		if err := returns(t, "a read on a new connection", watch); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for range n {
			wantUnavailable(t, returns(t, "a transaction", func() error { return <-ended }))
		}
		if took := time.Since(began); took > 4*time.Second { // each alone would take 8 s
			t.Errorf("the transactions ended %s after the new connection", took)
		}
		if n := count(t, db, countNumbers); n != 0 {
			t.Errorf("%d rows", n)
		}
	})
}

// A process closes the database when it ends, and must not wait for dead connections.
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
		for range 8 { // prepares the statement on each connection
			hold(t, db, 8)
		}
		wall.Forget()
		_ = returns(t, "close", db.Close)
	})
}

// A new connection closes the sockets of idle connections that are found dead. Closing these again is not an error.
func TestCloseAcceptsConnectionsWithClosedSockets(t *testing.T) {
	behindFirewall(t, func(t *testing.T, wall *storetest.Firewall, db *store.DB) {
		db.Probe(time.Hour, 200*time.Millisecond)
		hold(t, db, 8)
		wall.Forget()
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := db.Now(ctx)
		wantUnavailable(t, err)
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(conn.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
}

// A frozen server accepts connections but does not answer.
func TestStatementsToAFrozenServerEndWithTheirContext(t *testing.T) {
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
	for range 4 { // idle connections, then new ones
		for name, f := range map[string]func(ctx context.Context) error{
			"a read": read,
			"a transaction": func(ctx context.Context) error {
				return db.Tx(ctx, func(tx *store.Tx) error { return insert(tx, 1) })
			},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			began := time.Now()
			wantUnavailable(t, returns(t, name, func() error { return f(ctx) }))
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("%s with a deadline of 0.3 s took %s", name, took)
			}
			cancel()
		}
	}
	postgres.Thaw(t)
	if err := returns(t, "a read after the thaw", func() error { return read(t.Context()) }); err != nil {
		t.Error(err)
	}
}
