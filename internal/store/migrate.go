package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// lockPoll is the interval at which a process checks whether another's migration is done.
const lockPoll = 100 * time.Millisecond

// Each file is one statement block, because goose allocates 4 MB for each line outside of one.
//
//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are SQL files of one owner, named NNNNN_subject.sql. Each owner has its own version table, so the numbers
// of two owners never clash.
type Migrations struct {
	// Table records which migrations have run; a plain SQL name.
	Table string
	Files fs.FS
}

// State compares the tables of a database with the migrations of this program.
type State int

// The states of a database.
const (
	Current  State = iota // up to date, possibly with migrations of a later version
	Outdated              // created by an earlier version
	Empty                 // without tables
)

// State returns the state of the database. Unlike goose's own check, it writes nothing.
func (db *DB) State(ctx context.Context, further ...Migrations) (State, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return Current, fmt.Errorf("migrations: %w", err)
	}
	state := Current
	for i, m := range append([]Migrations{{goose.DefaultTablename, files}}, further...) {
		var inGo []int64
		if i == 0 {
			for _, m := range db.goMigrations() {
				inGo = append(inGo, m.Version)
			}
		}
		pending, exists, err := db.pending(ctx, m, inGo)
		switch {
		case err != nil:
			return Current, fmt.Errorf("read %s: %w", m.Table, explainRights(err))
		case i == 0 && !exists:
			return Empty, nil
		case pending:
			state = Outdated
		}
	}
	return state, nil
}

// pending reports whether a migration of m, or one of those in Go, has not run, and whether the version table exists.
func (db *DB) pending(ctx context.Context, m Migrations, inGo []int64) (pending, exists bool, err error) {
	wanted, err := versions(m.Files)
	wanted = append(wanted, inGo...)
	if err != nil || len(wanted) == 0 {
		return false, true, err
	}
	var done []int64
	err = db.read.db.SelectContext(ctx, &done, "SELECT version_id FROM "+m.Table) // runs only once: not prepared
	if isNoTable(err) {
		return true, false, nil
	}
	missing := func(version int64) bool { return !slices.Contains(done, version) }
	return slices.ContainsFunc(wanted, missing), true, err
}

// isNoTable reports whether err means that a table does not exist.
func isNoTable(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	missing := ok && e.Code() == sqlite3.SQLITE_ERROR && strings.Contains(e.Error(), "no such table")
	return missing || postgresCode(err) == "42P01"
}

// MayMigrate returns nil if Migrate has the rights that it needs, or an error that says how to grant them.
func (db *DB) MayMigrate(ctx context.Context) error {
	if db.dialect == SQLite {
		return nil // Open has checked that it is writable
	}
	return db.mayCreate(ctx)
}

// Migrate brings the schema up to date, forward only, then runs further migrations, such as a team's. Several processes
// may call it concurrently: one works, the others wait and find nothing to do. On SQLite it refuses to change the
// tables of a running server.
func (db *DB) Migrate(ctx context.Context, further ...Migrations) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if db.dialect == SQLite {
		done, err := db.lockMigration(ctx)
		if err != nil {
			return err
		}
		defer done()
	}
	state, err := db.State(ctx, further...)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if state == Current {
		return nil
	}
	if err := db.MayMigrate(ctx); err != nil {
		return err
	}
	if db.dialect == SQLite && db.server == nil {
		server, err := db.tryServer()
		if err != nil {
			return err
		}
		defer func() { _ = server.Unlock() }()
	}
	inGo := goose.WithGoMigrations(db.goMigrations()...)
	if err := db.up(ctx, math.MaxInt64, Migrations{goose.DefaultTablename, files}, inGo); err != nil {
		return fmt.Errorf("migrate: %w", explainRights(err))
	}
	for _, m := range further {
		if err := db.up(ctx, math.MaxInt64, m); err != nil && !errors.Is(err, goose.ErrNoMigrations) {
			return fmt.Errorf("migrate %s: %w", m.Table, explainRights(err))
		}
	}
	return nil
}

// goMigrations returns the migrations that SQL cannot express, or that only Postgres needs.
func (db *DB) goMigrations() []*goose.Migration {
	all := []*goose.Migration{goose.NewGoMigration(8, &goose.GoFunc{RunTx: keysInASCII}, nil)}
	if db.dialect == Postgres {
		all = append(all, goose.NewGoMigration(1, &goose.GoFunc{RunTx: createClock}, nil),
			goose.NewGoMigration(5, &goose.GoFunc{RunTx: createByteText}, nil))
	}
	return all
}

// versions returns the numbers of the SQL files.
func versions(files fs.FS) (numbers []int64, err error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, version)
	}
	return numbers, nil
}

// up runs the migrations of m up to number last.
func (db *DB) up(ctx context.Context, last int64, m Migrations, options ...goose.ProviderOption) error {
	dialect := goose.DialectSQLite3
	if db.dialect == Postgres {
		dialect = goose.DialectPostgres
		locking, err := db.migrationLock()
		if err != nil {
			return err
		}
		options = append(options, locking)
	}
	provider, err := goose.NewProvider(dialect, db.write.db.DB, m.Files, append(options, goose.WithTableName(m.Table))...)
	if err != nil {
		return err
	}
	_, err = provider.UpTo(ctx, last)
	return err
}

// migrationLock returns an advisory lock of the session, or a table lock with a pooler, which may switch the session
// between two statements.
func (db *DB) migrationLock() (goose.ProviderOption, error) {
	if db.pooler {
		locker, err := lock.NewPostgresTableLocker(lock.WithTableLockTimeout(lockPoll, uint64(time.Hour/lockPoll)))
		return goose.WithLocker(locker), err
	}
	return goose.WithSessionLocker(schemaLock{}), nil
}

// schemaLock is an advisory lock for one schema. Goose's own locks the whole database, retries only every five seconds,
// and keeps statement_timeout, which would interrupt long migrations.
type schemaLock struct{}

const schemaLockID = "hashtextextended('graphwarden migrations ' || current_schema(), 0)"

// SessionLock polls instead of waiting inside one statement: the snapshot of that statement and CREATE INDEX
// CONCURRENTLY in the migration that holds the lock would wait for each other.
func (schemaLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, "SET statement_timeout = 0"); err != nil {
		return err
	}
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for {
		var held bool
		err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock("+schemaLockID+")").Scan(&held)
		if err != nil || held {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-poll.C:
		}
	}
}

// SessionUnlock releases the lock and restores the connection.
func (schemaLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock("+schemaLockID+"); RESET statement_timeout")
	return err
}

// createClock creates the function now_us for Postgres. It uses clock_timestamp, not now(): a transaction that waited
// for a lock must judge by the time at which it got the lock.
func createClock(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `CREATE FUNCTION now_us() RETURNS BIGINT LANGUAGE sql VOLATILE AS
		$$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT $$`)
	return err
}

// createByteText creates the type BYTE_TEXT: text in byte order, so that a prefix is a range of an index in any locale
// of the database. On SQLite, any type with TEXT in its name is such text.
func createByteText(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `CREATE DOMAIN BYTE_TEXT AS TEXT COLLATE "C"`)
	return err
}
