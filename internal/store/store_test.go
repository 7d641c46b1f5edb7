package store_test

import (
	"database/sql"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(migrateVariable); url != "" {
		os.Exit(migrateOnly(url))
	}
	storetest.Main(m)
}

// run runs statements in one transaction.
func run(t *testing.T, db *store.DB, queries ...string) {
	t.Helper()
	err := db.Tx(t.Context(), func(tx *store.Tx) error {
		for _, query := range queries {
			if _, err := tx.Exec(query); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// count returns the result of a query, read outside any transaction.
func count(t *testing.T, db *store.DB, query string, args ...any) int {
	t.Helper()
	var n int
	if err := db.Get(t.Context(), &n, query, args...); err != nil {
		t.Fatal(err)
	}
	return n
}

func wantUnavailable(t *testing.T, err error) {
	t.Helper()
	f := fault.As(err)
	if f == nil || f.Code != fault.Unavailable || f.Reason != fault.StorageUnavailable || f.RetryAfter <= 0 {
		t.Errorf("got %#v (%v), want UNAVAILABLE with a retryAfter", f, err)
	}
}

func TestSQLRunsOnBothDatabases(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		run(t, db, `CREATE TABLE cats (id BIGINT PRIMARY KEY, name TEXT NOT NULL, owner TEXT, tame BOOLEAN NOT NULL)`)
		type cat struct {
			ID    int64
			Name  string
			Owner *string
			Tame  bool
		}
		alice := "alice"
		want := []cat{{1, "Ada", &alice, true}, {2, "Bob", nil, false}}
		err := db.Tx(t.Context(), func(tx *store.Tx) error {
			for _, c := range want {
				var got cat
				const insert = `INSERT INTO cats (tame, id, owner, name) VALUES ($4, $1, $3, $2)
					RETURNING id, name, owner, tame`
				if err := tx.Get(&got, insert, c.ID, c.Name, c.Owner, c.Tame); err != nil {
					return err
				}
				if diff := cmp.Diff(c, got); diff != "" {
					t.Errorf("RETURNING (-want +got):\n%s", diff)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for name, query := range map[string]string{
			"repeated $N": `SELECT id, name, owner, tame FROM cats WHERE (name = $1 OR name <> $1) AND $2 < $3 ORDER BY id`,
			"upsert": `INSERT INTO cats (id, name, tame) VALUES (1, $1, $2 = 1) ON CONFLICT (id) DO UPDATE SET tame = $2 < $3
				RETURNING id, name, owner, tame`,
			"row comparison": `SELECT id, name, owner, tame FROM cats WHERE (name, id) >= ($1, $2) AND $3 > 0 ORDER BY id`,
		} {
			var got []cat
			err := db.Tx(t.Context(), func(tx *store.Tx) error {
				got = nil
				return tx.Select(&got, query, "Ada", int64(1), int64(2))
			})
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if diff := cmp.Diff(want[:len(got)], got); diff != "" || len(got) == 0 {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		var none cat
		err = db.Get(t.Context(), &none, `SELECT id, name, owner, tame FROM cats WHERE id = $1`, 3)
		if !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("no row: got %v, want sql.ErrNoRows", err)
		}
	})
}

func TestTheDatabaseClockAdvancesInsideATransaction(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		before := store.TimeOf(time.Now())
		var first, second store.Time
		err := db.Tx(t.Context(), func(tx *store.Tx) error {
			if err := tx.Get(&first, "SELECT now_us()"); err != nil {
				return err
			}
			for second <= first { // would not end if now_us() were the time of the begin
				if err := tx.Get(&second, "SELECT now_us()"); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		after := store.TimeOf(time.Now())
		if first < before || second > after {
			t.Errorf("got %v and %v, want both within %v and %v", first.Std(), second.Std(), before.Std(), after.Std())
		}
	})
}

func TestConflictFindsPartialUniqueIndexes(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		run(t, db, `CREATE TABLE posts (id BIGINT PRIMARY KEY, state TEXT NOT NULL)`,
			`CREATE UNIQUE INDEX posts_state ON posts (state) WHERE state = 'active'`,
			`INSERT INTO posts VALUES (1, 'old'), (2, 'old'), (3, 'active')`)
		err := db.Tx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec(`INSERT INTO posts VALUES (4, 'active')`)
			return err
		})
		if !store.Conflict(err, "state") {
			t.Errorf("got %v, want a conflict", err)
		}
	})
}

func TestConflictNamesTheColumn(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		run(t, db, `CREATE TABLE people
			(id TEXT PRIMARY KEY, email_key TEXT NOT NULL UNIQUE, username TEXT UNIQUE, name TEXT NOT NULL)`,
			`INSERT INTO people VALUES ('1', 'a@example.com', 'a', 'A')`)
		for _, test := range []struct{ query, column string }{
			{`INSERT INTO people VALUES ('2', 'a@example.com', 'b', 'B')`, "email_key"},
			{`INSERT INTO people VALUES ('2', 'b@example.com', 'a', 'B')`, "username"},
			{`INSERT INTO people VALUES ('2', 'b@example.com', NULL, NULL)`, ""}, // violates NOT NULL: not a conflict
		} {
			err := db.Tx(t.Context(), func(tx *store.Tx) error { _, err := tx.Exec(test.query); return err })
			if err == nil {
				t.Fatalf("%s: no error", test.query)
			}
			for _, column := range []string{"email_key", "username", "name"} {
				if got, want := store.Conflict(err, column), column == test.column; got != want {
					t.Errorf("%s: Conflict(%q) = %t, want %t (%v)", test.query, column, got, want, err)
				}
			}
			if fault.As(err) != nil {
				t.Errorf("%s: %v is a fault; callers explain conflicts", test.query, err)
			}
		}
	})
}

func TestInvalidSQLIsNotAnOutage(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		var n int
		if err := db.Get(t.Context(), &n, "SELECT nothing FROM nowhere"); err == nil || fault.As(err) != nil {
			t.Errorf("got %v, want a plain error", err)
		}
	})
}

func TestOpenErrorsDoNotContainThePassword(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{
		"unknown scheme":     "mysql://root:hunter2@localhost/db",
		"no scheme":          "hunter2",
		"bad escape":         "postgres://user:hunter2%zz@localhost/db",
		"bad port":           "postgres://user:hunter2@localhost:port/db",
		"unknown TLS mode":   "postgres://user:hunter2@localhost/db?sslmode=hunter2",
		"connection refused": "postgres://user:hunter2@127.0.0.1:1/db",
		"no path":            "sqlite:",
		"in memory":          "sqlite::memory:",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := store.Open(t.Context(), store.Options{URL: url})
			if err == nil {
				t.Fatal("Open succeeded")
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error contains the password: %v", err)
			}
		})
	}
}

func TestAClosedDatabaseIsUnavailable(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		db, err := store.Open(t.Context(), store.Options{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		var n int
		wantUnavailable(t, db.Ping(t.Context()))
		wantUnavailable(t, db.Get(t.Context(), &n, "SELECT 1"))
		wantUnavailable(t, db.Select(t.Context(), &[]int{}, "SELECT 1"))
		wantUnavailable(t, db.Tx(t.Context(), func(*store.Tx) error { return nil }))
		_, err = db.Conn(t.Context())
		wantUnavailable(t, err)
	})
}

func TestTimeHasMicroseconds(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 7, 1, 12, 0, 0, 123_456_789, time.FixedZone("", 3600))
	got := store.TimeOf(at)
	want := time.Date(2026, 7, 1, 11, 0, 0, 123_456_000, time.UTC)
	if !got.Std().Equal(want) || got.Std().Location() != time.UTC {
		t.Errorf("got %v, want %v", got.Std(), want)
	}
	if later := got.Add(1500 * time.Nanosecond); later.Sub(got) != time.Microsecond {
		t.Errorf("got %v, want 1µs", later.Sub(got))
	}
}
