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

// retryAfter is what a client is told after a storage fault: about the time that a database needs to
// come back, and no less than a fail-over takes to be noticed.
const retryAfter = 2 * time.Second

// Conflict reports whether err is a violated uniqueness of the named column. SQLite names the column;
// Postgres names the constraint, by its own rule table_column_key, so that an index made by hand needs
// the column in its name too, and a primary key is never found.
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

// classify turns what the database could not do just now into UNAVAILABLE, so that an outage never
// looks like a wrong password. What this program did wrong stays as it is and becomes INTERNAL.
func classify(ctx context.Context, err error) error {
	if err == nil || fault.As(err) != nil {
		return err
	}
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) { // the driver only says that the connection was closed
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

// outage marks an error that means an outage with any code: a connection that cannot be made, or a
// transaction that cannot be begun.
type outage struct{ error }

func (o outage) Unwrap() error { return o.error }

// postgresOutages lists the SQLSTATEs, by class or in full, that mean an outage: the statement is right, and
// the database cannot run it now.
var postgresOutages = []string{
	"08",    // connection
	"25",    // transaction state: read-only (25006), or ended by a time-out of Postgres' own
	"40",    // serialization failure or deadlock, after the retries
	"53",    // resources: disk full, memory, too many connections
	"55",    // not in the right state: a lock that was not free in time (55P03)
	"57",    // operator intervention: canceled (57014), shutdown, crash, starting up, dropped, idle
	"58",    // system: input and output, files
	"XX",    // internal, corrupted; also what proxies in front report
	"72000", // snapshot too old
}

// sqliteOutages lists the primary result codes of the same meaning.
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
	if strings.HasSuffix(err.Error(), "sql: database is closed") { // not exported; what a request sees that outlives the drain
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
