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

// connector opens connections with its own driver. Functions registered with the package's driver are global, but the
// clock belongs to one database.
type connector struct {
	driver *sqlite.Driver
	dsn    string
}

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }

func (c connector) Driver() driver.Driver { return c.driver }

// withClock returns a driver with the SQL function now_us(). On Postgres, a migration creates that function.
func withClock(now func() time.Time) (*sqlite.Driver, error) {
	d := new(sqlite.Driver)
	err := d.RegisterScalarFunction("now_us", 0, func(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
		return now().UnixMicro(), nil
	})
	if err != nil {
		return nil, fmt.Errorf("register now_us: %w", err)
	}
	return d, nil
}

func openSQLite(ctx context.Context, path string, o Options) (_ *DB, err error) {
	clocked, err := withClock(o.Now)
	if err != nil {
		return nil, err
	}
	file, err := place(path, o.ReadOnly)
	if err != nil {
		return nil, err
	}
	db := &DB{dialect: SQLite, path: path, file: file, standby: "FALSE"}
	if !o.ReadOnly {
		// Wait for a migration in progress, which holds the lock of a server too and keeps the file busy for longer than
		// the busy timeout. Other processes that open the file wait as well: SQLite does not apply the busy timeout to the
		// switch of a new file to WAL mode.
		done, err := db.lockMigration(ctx)
		if err != nil {
			return nil, err
		}
		defer done()
	}
	if o.Exclusive { // before anything is written
		if db.server, err = db.tryServer(); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil && db.server != nil {
			_ = db.server.Unlock()
		}
	}()
	if err := create(file); err != nil {
		return nil, notWritable(path, err)
	}
	// Transactions are immediate, because a read transaction that starts to write fails with SQLITE_BUSY without waiting.
	// synchronous is FULL, because an acknowledged commit must survive a power cut.
	name := "file:" + (&url.URL{Path: file}).EscapedPath() + "?_busy_timeout=5000&_foreign_keys=on&_synchronous=FULL"
	if !o.ReadOnly {
		name += "&_journal_mode=WAL" // this setting is written to the file
	}
	open := func(parameters string) *sqlx.DB {
		return sqlx.NewDb(sql.OpenDB(connector{clocked, name + parameters}), "sqlite")
	}
	read := open("&_query_only=1")
	read.SetMaxOpenConns(o.MaxConns)
	read.SetMaxIdleConns(o.MaxConns)
	db.read = &pool{db: read, prepares: true}
	db.write, db.apart = db.read, read
	if o.ReadOnly {
		return db, nil
	}
	write := open("&_txlock=immediate")
	write.SetMaxOpenConns(1)
	db.write = &pool{db: write, prepares: true}
	db.groups = &groups{write: db.write}
	if err := writable(ctx, write, path); err != nil {
		return nil, errors.Join(err, write.Close(), read.Close())
	}
	return db, nil
}

// place returns the resolved name of the file at path, and creates its folder. It rejects a file with hard links:
// SQLite keeps a journal next to each name, so two processes would overwrite each other's pages.
func place(path string, readOnly bool) (string, error) {
	file, err := canonical(path)
	if err != nil {
		return "", fmt.Errorf("cannot find the folder of the database: %w; "+
			"create it, or name another file with --database", err)
	}
	info, err := os.Stat(file)
	switch {
	case os.IsNotExist(err) && readOnly:
		return "", fmt.Errorf("there is no database at %s yet: "+
			"run graphwarden migrate, start the server, or name another file with --database", path)
	case os.IsNotExist(err):
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return "", fmt.Errorf("cannot create the folder of the database: %w; "+
				"create it, or name another file with --database", err)
		}
	case err == nil && info.Mode().IsRegular() && links(info) > 1:
		return "", fmt.Errorf("the database %s has hard links, under which two servers could break it: "+
			"remove the others, or name another file with --database", path)
	}
	return file, nil
}

// canonical resolves the symbolic links of a path, even if the file or folder at the end does not exist yet.
func canonical(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	file, err := filepath.EvalSymlinks(path)
	if !os.IsNotExist(err) {
		return file, err
	}
	if target, err := os.Readlink(path); err == nil {
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		return canonical(target)
	}
	folder, err := canonical(filepath.Dir(path))
	return filepath.Join(folder, filepath.Base(path)), err
}

// create creates the file, if it does not exist, readable by its owner only. SQLite would make it readable by all
// users, and copies its mode to -wal and -shm. An existing file is not even opened, because closing it would release
// the locks of this process.
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

// writable takes the write lock once, so that a read-only folder or file fails at startup and not at the first write.
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

// remedy returns what the operator can do.
func remedy(err error) string {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch primary(e.Code()) {
		case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
			return "restore a backup"
		case sqlite3.SQLITE_FULL:
			return "free space on its disk"
		case sqlite3.SQLITE_BUSY:
			return "stop the other process that writes to it"
		}
	}
	return "make the file and its folder writable for this user"
}

// tryServer takes the lock that a server holds while it runs. The caller holds the lock of migrations, during which
// this lock is held too, so that a failure means another server.
func (db *DB) tryServer() (*flock.Flock, error) {
	lock := flock.New(db.file + ".lock")
	held, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("cannot lock the database: %w; "+
			"make its folder writable for this user, or name another file with --database", err)
	}
	if !held {
		return nil, fmt.Errorf("another server is running on %s: stop it, or give this one its own file with --database "+
			"(several servers on one database need Postgres)", db.path)
	}
	return lock, nil
}

// lockMigration makes this process the only one that opens the file for writing or migrates, until it calls done.
func (db *DB) lockMigration(ctx context.Context) (done func(), err error) {
	lock := flock.New(db.file + ".migrate.lock")
	if _, err := lock.TryLockContext(ctx, lockPoll); err != nil {
		return nil, fmt.Errorf("cannot lock the database: %w; "+
			"make its folder writable for this user, or name another file with --database", err)
	}
	return func() { _ = lock.Unlock() }, nil
}
