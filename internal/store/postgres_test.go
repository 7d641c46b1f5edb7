package store_test

import (
	"errors"
	"net/url"
	"testing"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

// onPostgres is storetest.Run for Postgres only.
func onPostgres(t *testing.T, f func(t *testing.T, db *store.DB)) {
	t.Helper()
	storetest.URLs(t, func(t *testing.T, url string) {
		if db := storetest.Open(t, url); db.Dialect() == store.Postgres {
			f(t, db)
		}
	})
}

func TestPostgresURLDefaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, url, parameter, want string
		pooler                     bool
	}{
		{name: "TLS to a remote host", url: "postgres://u:p@db.example.com/x", parameter: "sslmode", want: "require"},
		{name: "TLS to a private address", url: "postgres://u:p@10.0.0.5/x", parameter: "sslmode", want: "require"},
		{
			name:      "TLS to a host that only begins like the local one",
			url:       "postgres://u:p@localhost.example.com/x",
			parameter: "sslmode", want: "require",
		},
		{name: "no TLS to localhost", url: "postgres://u:p@localhost:5432/x", parameter: "sslmode", want: "disable"},
		{name: "no TLS to 127.0.0.1", url: "postgres://u:p@127.0.0.1/x", parameter: "sslmode", want: "disable"},
		{name: "no TLS to ::1", url: "postgres://u:p@[::1]/x", parameter: "sslmode", want: "disable"},
		{name: "no TLS to a socket", url: "postgres:///x?host=/run/postgresql", parameter: "sslmode", want: "disable"},
		{
			name:      "the host parameter overrides the authority",
			url:       "postgres://u:p@localhost/x?host=db.example.com",
			parameter: "sslmode", want: "require",
		},
		{
			name:      "the hostaddr parameter overrides the host",
			url:       "postgres://u:p@localhost/x?host=localhost&hostaddr=10.0.0.5",
			parameter: "sslmode", want: "require",
		},
		{
			name:      "TLS if one of several hosts is remote",
			url:       "postgres://u:p@/x?host=localhost,db.example.com",
			parameter: "sslmode", want: "require",
		},
		{name: "no TLS to an abstract socket", url: "postgres:///x?host=@postgres", parameter: "sslmode", want: "disable"},
		{name: "a default host", url: "postgres:///x", parameter: "host", want: "localhost"},
		{name: "a default host with a port", url: "postgres://u:p@:5433/x", parameter: "host", want: "localhost"},
		{name: "no default host with an address", url: "postgres:///x?hostaddr=127.0.0.1", parameter: "host", want: ""},
		{
			name:      "an explicit sslmode is kept",
			url:       "postgres://u:p@localhost/x?sslmode=verify-full",
			parameter: "sslmode", want: "verify-full",
		},
		{
			name:      "an explicit time-out is kept",
			url:       "postgres://u:p@localhost/x?statement_timeout=1s",
			parameter: "statement_timeout", want: "1s",
		},
		{
			name:      "statements are limited",
			url:       "postgres://u:p@localhost/x",
			parameter: "statement_timeout", want: "8s",
		},
		{
			name:      "idle transactions are limited",
			url:       "postgres://u:p@localhost/x",
			parameter: "idle_in_transaction_session_timeout", want: "8s",
		},
		{
			name:      "a pooler gets no settings",
			url:       "postgres://u:p@localhost/x",
			parameter: "statement_timeout", want: "",
			pooler: true,
		},
		{
			name:      "a pooler gets statements in one message",
			url:       "postgres://u:p@localhost/x",
			parameter: "binary_parameters", want: "yes",
			pooler: true,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dsn, err := store.PostgresDSN(store.Options{URL: test.url, Pooler: test.pooler})
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(dsn)
			if err != nil {
				t.Fatal(err)
			}
			if got := u.Query().Get(test.parameter); got != test.want {
				t.Errorf("%s is %q, want %q", test.parameter, got, test.want)
			}
		})
	}
}

func TestATerminatedConnectionIsUnavailableThenReplaced(t *testing.T) {
	t.Parallel()
	onPostgres(t, func(t *testing.T, db *store.DB) {
		run(t, db, createNumbers)
		err := db.Tx(t.Context(), func(tx *store.Tx) error {
			if err := insert(tx, 1); err != nil {
				return err
			}
			var pid int
			if err := tx.Get(&pid, "SELECT pg_backend_pid()"); err != nil {
				return err
			}
			var ended bool
			if err := db.Get(t.Context(), &ended, "SELECT pg_terminate_backend($1, 10000)", pid); err != nil || !ended {
				t.Errorf("terminated: %t, %v", ended, err)
			}
			return insert(tx, 2)
		})
		wantUnavailable(t, err)
		run(t, db, `INSERT INTO numbers VALUES (3)`)
		if n := count(t, db, countNumbers); n != 1 {
			t.Errorf("%d rows, want only the later one", n)
		}
	})
}

func TestAStatementCanceledByPostgresIsUnavailable(t *testing.T) {
	t.Parallel()
	onPostgres(t, func(t *testing.T, db *store.DB) {
		wantUnavailable(t, db.Tx(t.Context(), func(tx *store.Tx) error {
			if _, err := tx.Exec("SET LOCAL statement_timeout = 20"); err != nil {
				return err
			}
			_, err := tx.Exec("SELECT pg_sleep(60)")
			return err
		}))
	})
}

func TestASerializationFailureIsRetried(t *testing.T) {
	t.Parallel()
	const fail = `DO $$ BEGIN RAISE EXCEPTION 'test' USING ERRCODE = '40001'; END $$`
	onPostgres(t, func(t *testing.T, db *store.DB) {
		run(t, db, createNumbers)
		for _, test := range []struct{ failures, attempts, rows int }{
			{failures: 0, attempts: 1, rows: 1},
			{failures: 3, attempts: 4, rows: 1},
			{failures: 4, attempts: 4, rows: 0},
		} {
			run(t, db, `DELETE FROM numbers`)
			attempts, commits := 0, 0
			err := db.Tx(t.Context(), func(tx *store.Tx) error {
				attempts++
				tx.OnCommit(func() { commits++ })
				if err := insert(tx, attempts); err != nil {
					return err
				}
				if attempts <= test.failures {
					_, err := tx.Exec(fail)
					return err
				}
				return nil
			})
			if test.rows == 0 {
				wantUnavailable(t, err)
			} else if err != nil {
				t.Error(err)
			}
			if n := count(t, db, countNumbers); attempts != test.attempts || commits != test.rows || n != test.rows {
				t.Errorf("%d failures: %d attempts, %d commits, %d rows; want %+v", test.failures, attempts, commits, n, test)
			}
		}
	})
}

func TestAnErrorOfTheFunctionIsNotRetried(t *testing.T) {
	t.Parallel()
	onPostgres(t, func(t *testing.T, db *store.DB) {
		attempts := 0
		refused := errors.New("no")
		err := db.Tx(t.Context(), func(*store.Tx) error { attempts++; return refused })
		if !errors.Is(err, refused) || fault.As(err) != nil || attempts != 1 {
			t.Errorf("%d attempts, %v", attempts, err)
		}
	})
}
