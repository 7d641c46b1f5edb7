// Package storetest owns the databases that tests run on: real ones of both kinds, fresh for each test.
//
// Postgres is the server named by TEST_POSTGRES_URL, or a temporary one started from the installed binaries when a
// package first needs it. A test never sees another test's rows, and no server is left running when the tests end or
// are killed.
package storetest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/graphwarden/graphwarden/internal/store"
)

// Main runs a package's tests, then stops the server that they started. Every package that uses this one calls Main
// from its TestMain.
func Main(m *testing.M) {
	shared = &postgres{url: os.Getenv(URLVariable)}
	code := m.Run()
	if err := shared.close(); err != nil {
		fmt.Fprintln(os.Stderr, "stop Postgres:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// Run runs f on a fresh, migrated database of each kind, as the parallel subtests "sqlite" and "postgres".
func Run(t *testing.T, f func(t *testing.T, db *store.DB)) {
	t.Helper()
	URLs(t, func(t *testing.T, url string) { f(t, Open(t, url)) })
}

// URLs is Run for tests that open the database themselves: f gets the URL, as for --database, of an empty database.
func URLs(t *testing.T, f func(t *testing.T, url string)) {
	t.Helper()
	for _, kind := range kinds {
		t.Run(string(kind.dialect), func(t *testing.T) {
			t.Parallel()
			f(t, kind.url(t))
		})
	}
}

// RunB is Run for benchmarks, run one after the other.
func RunB(b *testing.B, f func(b *testing.B, db *store.DB)) {
	b.Helper()
	for _, kind := range kinds {
		b.Run(string(kind.dialect), func(b *testing.B) { f(b, Open(b, kind.url(b))) })
	}
}

// URLsB is URLs for benchmarks, run one after the other. Each call of url returns a new database.
func URLsB(b *testing.B, f func(b *testing.B, url func() string)) {
	b.Helper()
	for _, kind := range kinds {
		b.Run(string(kind.dialect), func(b *testing.B) { f(b, func() string { return kind.url(b) }) })
	}
}

// Open opens and migrates the database at url, and closes it when the test ends.
func Open(tb testing.TB, url string) *store.DB {
	tb.Helper()
	db, err := store.Open(tb.Context(), store.Options{URL: url})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	if err := db.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return db
}

var kinds = []struct {
	dialect store.Dialect
	url     func(testing.TB) string
}{
	{store.SQLite, sqliteURL},
	{store.Postgres, postgresURL},
}

func sqliteURL(tb testing.TB) string {
	return "sqlite:" + filepath.Join(tb.TempDir(), "graphwarden.db")
}
