package store_test

import (
	"context"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

// Outages become UNAVAILABLE; programming errors stay INTERNAL.
func TestClassifyFindsOutages(t *testing.T) {
	t.Parallel()
	type test struct {
		err    error
		outage bool
	}
	tests := map[string]test{
		"a lost connection":        {driver.ErrBadConn, true},
		"a closed connection":      {sql.ErrConnDone, true},
		"an end of file":           {io.EOF, true},
		"a truncated answer":       {io.ErrUnexpectedEOF, true},
		"a network error":          {&net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, true},
		"no time left":             {context.DeadlineExceeded, true},
		"no row":                   {sql.ErrNoRows, false},
		"a programming error":      {errors.New("sql: expected 2 destination arguments in Scan, not 1"), false},
		"an untrusted certificate": {store.Outage(x509.UnknownAuthorityError{}), true},
	}
	for code, outage := range map[pqerror.Code]bool{
		"08000": true, "08003": true, "08006": true, "08P01": true,
		"25006": true, "25P02": true, "25P03": true,
		"40001": true, "40P01": true,
		"53000": true, "53100": true, "53200": true, "53300": true, "53400": true,
		"55000": true, "55P03": true,
		"57014": true, "57P01": true, "57P02": true, "57P03": true, "57P04": true, "57P05": true,
		"58000": true, "58030": true, "72000": true, "XX000": true, "XX001": true,
		"0A000": false, "22001": false, "23505": false, "42601": false, "42703": false, "42P01": false,
	} {
		tests["SQLSTATE "+string(code)] = test{&pq.Error{Code: code, Message: "of the test"}, outage}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := store.Classify(t.Context(), fmt.Errorf("read: %w", test.err))
			if test.outage {
				wantUnavailable(t, err)
			} else if fault.As(err) != nil {
				t.Errorf("got %v, want a plain error", err)
			}
			if !errors.Is(err, test.err) {
				t.Errorf("the cause is lost: %v", err)
			}
		})
	}
}

func TestClassifyFindsOutagesOfSQLite(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]bool{
		sqlite3.SQLITE_BUSY: true, sqlite3.SQLITE_BUSY_SNAPSHOT: true, sqlite3.SQLITE_LOCKED: true,
		sqlite3.SQLITE_INTERRUPT: true, sqlite3.SQLITE_ABORT: true, sqlite3.SQLITE_PROTOCOL: true,
		sqlite3.SQLITE_IOERR: true, sqlite3.SQLITE_IOERR_FSYNC: true, sqlite3.SQLITE_FULL: true, sqlite3.SQLITE_NOMEM: true,
		sqlite3.SQLITE_READONLY: true, sqlite3.SQLITE_READONLY_DBMOVED: true, sqlite3.SQLITE_PERM: true,
		sqlite3.SQLITE_CANTOPEN: true, sqlite3.SQLITE_CORRUPT: true, sqlite3.SQLITE_NOTADB: true,
		sqlite3.SQLITE_ERROR: false, sqlite3.SQLITE_CONSTRAINT: false, sqlite3.SQLITE_CONSTRAINT_UNIQUE: false,
		sqlite3.SQLITE_MISMATCH: false, sqlite3.SQLITE_MISUSE: false, sqlite3.SQLITE_TOOBIG: false,
		sqlite3.SQLITE_RANGE: false,
	} {
		if got := store.SQLiteOutage(code); got != want {
			t.Errorf("result code %d: outage %t, want %t", code, got, want)
		}
	}
}

func TestAFullSQLiteDatabaseIsUnavailable(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db"))
	run(t, db, `CREATE TABLE texts (t TEXT)`)
	var pages int
	if err := db.Writer().Get(&pages, "PRAGMA page_count"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Writer().Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
		t.Fatal(err)
	}
	wantUnavailable(t, db.Tx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO texts VALUES (hex(randomblob(100000)))`)
		return err
	}))
}

// A password can be changed, or a database dropped, while a server runs. Every rejected connection is an outage.
func TestARejectedConnectionIsUnavailable(t *testing.T) {
	t.Parallel()
	onPostgresURL(t, func(t *testing.T, raw string) {
		admin := storetest.Open(t, raw)
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		var role string
		if err := admin.Get(t.Context(), &role, "SELECT 'r' || substr(current_schema(), 3)"); err != nil {
			t.Fatal(err)
		}
		run(t, admin, "CREATE ROLE "+role+" LOGIN", "GRANT USAGE ON SCHEMA t_"+role[1:]+" TO "+role)
		t.Cleanup(func() {
			if _, err := admin.Writer().Exec("DROP OWNED BY " + role + "; DROP ROLE " + role); err != nil {
				t.Error(err)
			}
		})
		u.User = url.UserPassword(role, "any")
		db, err := store.Open(t.Context(), store.Options{URL: u.String()})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		run(t, admin, "ALTER ROLE "+role+" NOLOGIN")
		var gone int
		err = admin.Get(t.Context(), &gone,
			"SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE usename = $1", role)
		if err != nil {
			t.Fatal(err)
		}
		_, err = db.Now(t.Context())
		wantUnavailable(t, err)
		wantUnavailable(t, db.Tx(t.Context(), func(*store.Tx) error { return nil }))
	})
}
