package storetest

import (
	"crypto/rand"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	_ "github.com/lib/pq" // the driver "postgres"
)

// URLVariable is the environment variable with the URL of a Postgres server to test on. The user of the URL must be
// allowed to create schemas.
const URLVariable = "TEST_POSTGRES_URL"

// shared is the server of all tests of this process, set by Main.
var shared *postgres

type postgres struct {
	start sync.Once
	err   error
	url   string
	stop  func() error // of a server that this process started
	admin *sql.DB
}

// open starts the server unless one is configured or already running.
func (p *postgres) open() (*sql.DB, error) {
	p.start.Do(func() {
		if p.url == "" {
			p.url, p.stop, p.err = Start()
		}
		if p.err == nil {
			p.admin, p.err = sql.Open("postgres", p.url)
		}
	})
	return p.admin, p.err
}

func (p *postgres) close() error {
	var errs []error
	if p.admin != nil {
		errs = append(errs, p.admin.Close())
	}
	if p.stop != nil {
		errs = append(errs, p.stop())
	}
	return errors.Join(errs...)
}

// postgresURL returns the URL of a fresh schema, dropped at the end of the test. Creating a database would take a
// hundred times as long.
func postgresURL(tb testing.TB) string {
	tb.Helper()
	if shared == nil {
		tb.Fatal("this package needs: func TestMain(m *testing.M) { storetest.Main(m) }")
	}
	admin, err := shared.open()
	if errors.Is(err, ErrNotInstalled) && os.Getenv("CI") != "true" {
		tb.Skip("NOT TESTED ON POSTGRES: " + err.Error())
	}
	if err != nil {
		tb.Fatal(err)
	}
	schema := "t_" + strings.ToLower(rand.Text())
	if _, err := admin.ExecContext(tb.Context(), "CREATE SCHEMA "+schema); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		// A test that left a transaction open would make this wait forever.
		if _, err := admin.Exec("SET lock_timeout = '10s'; DROP SCHEMA " + schema + " CASCADE"); err != nil {
			tb.Errorf("drop the schema: %v", err)
		}
	})
	u, err := url.Parse(shared.url)
	if err != nil {
		tb.Fatalf("%s is not a URL", URLVariable)
	}
	query := u.Query()
	query.Set("search_path", schema)
	u.RawQuery = query.Encode()
	return u.String()
}
