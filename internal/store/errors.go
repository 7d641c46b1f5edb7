package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
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

func isOutage(err error) bool {
	if e, ok := errors.AsType[*pq.Error](err); ok {
		switch e.Code.Class() {
		// connection, resources, operator intervention and time-outs, system, internal; invalid transaction
		// state is what an idle_in_transaction time-out leaves behind
		case "08", "53", "57", "58", "25", "40", "55", "XX":
			return true
		}
		return false
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff { // the low byte is the primary result code
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_INTERRUPT,
			sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN:
			return true
		}
		return false
	}
	if strings.HasSuffix(err.Error(), "sql: database is closed") { // not exported; what a request sees that outlives the drain
		return true
	}
	_, network := errors.AsType[*net.OpError](err)
	return network || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

func isSerialization(err error) bool {
	e, ok := errors.AsType[*pq.Error](err)
	return ok && e.Code.Class() == "40"
}
