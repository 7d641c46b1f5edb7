package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"github.com/jmoiron/sqlx"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// connector opens connections with a driver of its own: the functions of the package's driver are those of the
// whole process, and the clock is this database's.
type connector struct {
	driver *sqlite.Driver
	dsn    string
}

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }

func (c connector) Driver() driver.Driver { return c.driver }

// withClock makes a driver whose SQL has the function now_us(), which a migration gives Postgres.
func withClock(now func() time.Time) (*sqlite.Driver, error) {
	if now == nil {
		now = time.Now
	}
	d := new(sqlite.Driver)
	err := d.RegisterScalarFunction("now_us", 0, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
		return now().UnixMicro(), nil
	})
	if err != nil {
		return nil, fmt.Errorf("register now_us: %w", err)
	}
	return d, nil
}

func openSQLite(ctx context.Context, path string, o Options) (*DB, error) {
	if path == "" || path == ":memory:" {
		return nil, errors.New("--database sqlite: needs the path of a file, such as sqlite:data/graphwarden.db")
	}
	clocked, err := withClock(o.Now)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the folder of the database: %w; make it, or name another file with --database", err)
	}
	if err := create(path); err != nil {
		return nil, notWritable(path, err)
	}
	// Immediate transactions, because a read transaction that turns into a write fails at once with
	// SQLITE_BUSY whatever the time-out. FULL, because an acknowledged commit must survive a power cut.
	const shared = "_journal_mode=WAL&_busy_timeout=5000&_foreign_keys=on&_synchronous=FULL"
	file := "file:" + (&url.URL{Path: path}).EscapedPath()
	open := func(parameters string) *sqlx.DB {
		return sqlx.NewDb(sql.OpenDB(connector{clocked, file + "?" + shared + parameters}), "sqlite")
	}
	write := open("&_txlock=immediate")
	write.SetMaxOpenConns(1)
	if err := writable(ctx, write, path); err != nil {
		_ = write.Close()
		return nil, err
	}
	read := open("&_query_only=1")
	read.SetMaxOpenConns(o.MaxConns)
	read.SetMaxIdleConns(o.MaxConns)
	return &DB{
		dialect: SQLite, path: path,
		read:  &pool{db: read, prepares: true},
		write: &pool{db: write, prepares: true},
	}, nil
}

// create makes the file, if there is none, for its owner alone: SQLite would let everybody read it, and gives -wal
// and -shm the mode that it finds. A file that exists is not even opened: to close it again would drop the locks
// of this process.
func create(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if os.IsExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return file.Close()
}

// writable takes the write lock once: a read-only folder or file shows now and not at the first register.
func writable(ctx context.Context, db *sqlx.DB, path string) error {
	tx, err := db.BeginTxx(ctx, nil)
	if err == nil {
		_, err = tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS writable (ok BIGINT)")
		err = errors.Join(err, tx.Rollback())
	}
	if err != nil {
		return notWritable(path, err)
	}
	return nil
}

func notWritable(path string, err error) error {
	return fmt.Errorf("cannot write the database %s: %w; %s, or name another with --database", path, err, remedy(err))
}

// remedy says what an operator can do.
func remedy(err error) string {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff { // the low byte is the primary result code
		case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
			return "put back a backup of it"
		case sqlite3.SQLITE_FULL:
			return "make room on its disk"
		case sqlite3.SQLITE_BUSY:
			return "end what else writes to it"
		}
	}
	return "make the file and its folder writable for this user"
}

// Lock makes this process the only server on an SQLite file, since two could not follow each other's
// revocations in time; command-line verbs do not take it. On Postgres it does nothing. The lock ends
// with release, or with the process.
func (db *DB) Lock() (release func(), err error) {
	if db.dialect != SQLite {
		return func() {}, nil
	}
	lock := flock.New(db.path + ".lock")
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("cannot lock the database: %w", err)
	}
	if !held {
		return nil, fmt.Errorf("another server is running on %s: stop it, or give this one its own file with --database (many servers on one database need Postgres)", db.path)
	}
	return func() { _ = lock.Unlock() }, nil
}
