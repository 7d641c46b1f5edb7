package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/lib/pq"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// retryAfter is the delay that clients are given after an outage: about the time that a database takes to restart, and
// not shorter than a fail-over takes to be detected.
const retryAfter = 2 * time.Second

// Conflict reports whether err is a violated uniqueness of the named column. SQLite names the column. Postgres names
// the constraint, by default table_column_key, so an index with a custom name needs the column in it. Primary
// keys are not recognized on Postgres.
func Conflict(err error, column string) bool {
	if e, ok := errors.AsType[*pq.Error](err); ok {
		return e.Code == "23505" && strings.Contains(e.Constraint+"_", "_"+column+"_")
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE {
		for word := range strings.FieldsFuncSeq(e.Error(), func(r rune) bool { return r == ' ' || r == ',' }) {
			if strings.HasSuffix(word, "."+column) {
				return true
			}
		}
	}
	return false
}

// classify turns outages into UNAVAILABLE, so that an outage never looks like a wrong password. Errors of this program
// stay as they are and become INTERNAL.
func classify(ctx context.Context, err error) error {
	if err == nil || fault.As(err) != nil {
		return err
	}
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) { // the driver only reports a closed connection
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	if isOutage(err) || errors.Is(err, context.DeadlineExceeded) {
		return fault.Busy(fault.StorageUnavailable, "the database is not available just now", retryAfter).Because(err)
	}
	return err
}

// outage marks an error that means an outage with any code: a failed connect or begin.
type outage struct{ error }

func (o outage) Unwrap() error { return o.error }

// postgresOutages lists the SQLSTATEs, by class or in full, that mean an outage: the statement is valid, but the
// database cannot run it now.
var postgresOutages = []string{
	"08",    // connection
	"25",    // transaction state: read-only (25006), or ended by a time-out of Postgres
	"40",    // serialization failure or deadlock, after the retries
	"53",    // resources: disk full, memory, too many connections
	"55",    // not in the right state: lock not available (55P03)
	"57",    // operator intervention: canceled (57014), shutdown, crash, starting up, dropped, idle time-out
	"58",    // system: I/O, files
	"XX",    // internal, corrupted; proxies use it too
	"72000", // snapshot too old
}

// sqliteOutages lists SQLite's primary result codes that mean an outage.
var sqliteOutages = []int{
	sqlite3.SQLITE_PERM, sqlite3.SQLITE_ABORT, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM,
	sqlite3.SQLITE_READONLY, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL,
	sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_SCHEMA, sqlite3.SQLITE_NOLFS, sqlite3.SQLITE_NOTADB,
}

func isOutage(err error) bool {
	if _, marked := errors.AsType[outage](err); marked {
		return true
	}
	if e, ok := errors.AsType[*pq.Error](err); ok {
		return slices.Contains(postgresOutages, string(e.Code)) || slices.Contains(postgresOutages, string(e.Code.Class()))
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return slices.Contains(sqliteOutages, primary(e.Code()))
	}
	if strings.HasSuffix(err.Error(), "sql: database is closed") { // unexported; a request that outlives the drain
		return true
	}
	_, network := errors.AsType[*net.OpError](err)
	return network || slices.ContainsFunc([]error{driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF},
		func(lost error) bool { return errors.Is(err, lost) })
}

// primary returns the primary result code of an extended one.
func primary(code int) int { return code & 0xff }

func isSerialization(err error) bool {
	e, ok := errors.AsType[*pq.Error](err)
	return ok && e.Code.Class() == "40"
}
