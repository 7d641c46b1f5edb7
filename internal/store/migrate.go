package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// lockPoll is how often a process asks whether another's migration is done.
const lockPoll = 100 * time.Millisecond

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations are SQL files of one owner, named NNNNN_subject.sql, with a table of their own that says
// which have run: two owners' numbers never clash.
type Migrations struct {
	// Table is where it is noted which have run; a plain SQL name.
	Table string
	Files fs.FS
}

// State is how the tables of a database stand to the migrations of this program.
type State int

// The states of a database.
const (
	Current  State = iota // nothing is to be done; it may have migrations of a later version
	Outdated              // it was made by an earlier version
	Empty                 // it has no tables yet
)

// State compares the tables with the migrations; unlike goose's own answer it writes nothing.
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

// pending reports whether a migration of m, or one of those in Go, has not run, and whether the table exists that
// says so.
func (db *DB) pending(ctx context.Context, m Migrations, inGo []int64) (pending, exists bool, err error) {
	wanted, err := versions(m.Files)
	wanted = append(wanted, inGo...)
	if err != nil || len(wanted) == 0 {
		return false, true, err
	}
	var done []int64
	err = db.read.db.SelectContext(ctx, &done, "SELECT version_id FROM "+m.Table) // once only: it is not prepared
	if isNoTable(err) {
		return true, false, nil
	}
	missing := func(version int64) bool { return !slices.Contains(done, version) }
	return slices.ContainsFunc(wanted, missing), true, err
}

// isNoTable reports whether err says that a table does not exist.
func isNoTable(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return postgresCode(err) == "42P01" || ok && e.Code() == sqlite3.SQLITE_ERROR && strings.Contains(e.Error(), "no such table")
}

// MayMigrate returns nil if Migrate has the rights that it needs, else an error that says how to get them.
func (db *DB) MayMigrate(ctx context.Context) error {
	if db.dialect == SQLite {
		return nil // opening it has shown that it can be written
	}
	return db.mayCreate(ctx)
}

// Migrate brings the schema up to date, forward only, then runs further migrations, such as a team's.
// Several processes may call it at once: one works, the others wait and find nothing to do. On SQLite it refuses
// to change the tables under a running server.
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
	if err := db.up(ctx, Migrations{goose.DefaultTablename, files}, inGo); err != nil {
		return fmt.Errorf("migrate: %w", explainRights(err))
	}
	for _, m := range further {
		if err := db.up(ctx, m); err != nil && !errors.Is(err, goose.ErrNoMigrations) {
			return fmt.Errorf("migrate %s: %w", m.Table, explainRights(err))
		}
	}
	return nil
}

// goMigrations are the migrations of this package that SQL cannot express, or that only Postgres needs.
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

func (db *DB) up(ctx context.Context, m Migrations, options ...goose.ProviderOption) error {
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
	_, err = provider.Up(ctx)
	return err
}

// migrationLock is an advisory lock of the session, or a row where a pooler may change the session
// between two statements.
func (db *DB) migrationLock() (goose.ProviderOption, error) {
	if db.pooler {
		locker, err := lock.NewPostgresTableLocker(lock.WithTableLockTimeout(lockPoll, uint64(time.Hour/lockPoll)))
		return goose.WithLocker(locker), err
	}
	return goose.WithSessionLocker(schemaLock{}), nil
}

// schemaLock is the advisory lock of one schema. Goose's own is one for the whole database, asks every
// five seconds only, and leaves statement_timeout on, which no long migration would ever survive.
type schemaLock struct{}

const schemaLockID = "hashtextextended('graphwarden migrations ' || current_schema(), 0)"

// SessionLock asks again and again instead of waiting inside one statement: that statement's snapshot
// and CREATE INDEX CONCURRENTLY in the migration that holds the lock would wait for each other.
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

// SessionUnlock gives the connection back as it was.
func (schemaLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock("+schemaLockID+"); RESET statement_timeout")
	return err
}

// What follows gives Postgres what the one SQL text for both databases takes for granted.

// createClock makes the function now_us. clock_timestamp, not now(): a transaction that waited for a
// lock must judge by the time at which it got it.
func createClock(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `CREATE FUNCTION now_us() RETURNS BIGINT LANGUAGE sql VOLATILE AS
		$$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT $$`)
	return err
}

// createByteText makes the type BYTE_TEXT: text in the order of its bytes, so that a prefix is a range of
// an index whatever the locale of the database. SQLite takes any type with TEXT in its name for that.
func createByteText(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `CREATE DOMAIN BYTE_TEXT AS TEXT COLLATE "C"`)
	return err
}
