package store

import (
	"context"
	"io/fs"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"

	"github.com/graphwarden/graphwarden/internal/dsn"
)

// PostgresDSN returns the URL that the driver gets.
func PostgresDSN(o Options) (string, error) {
	source, err := dsn.Parse(o.URL)
	if err != nil {
		return "", err
	}
	return postgresDSN(source, o.Pooler), nil
}

// Writer returns the pool for transactions.
func (db *DB) Writer() *sqlx.DB { return db.write.db }

// Reader returns the pool for reads outside transactions.
func (db *DB) Reader() *sqlx.DB { return db.read.db }

// PingEvery sets how often Listen pings its connection and how long it waits for the answer.
func (db *DB) PingEvery(every, timeout time.Duration) { db.pingEvery, db.pingTimeout = every, timeout }

// Classify is classify.
func Classify(ctx context.Context, err error) error { return classify(ctx, err) }

// Probe sets probeAfter and probeTimeout.
func (db *DB) Probe(after, timeout time.Duration) {
	db.connector.probeAfter, db.connector.probeTimeout = after, timeout
}

// Outage marks err like the error of a failed connect.
func Outage(err error) error { return outage{err} }

// SQLiteOutage reports whether this result code means an outage.
func SQLiteOutage(code int) bool { return slices.Contains(sqliteOutages, primary(code)) }

// Tell notifies the followers of topic, as a commit does.
func (db *DB) Tell(topic string) { db.tell(topic) }

// Waiting returns the number of transactions that wait for SQLite's writer.
func (db *DB) Waiting() int {
	db.groups.mu.Lock()
	defer db.groups.mu.Unlock()
	return len(db.groups.waiting)
}

// MigrateTo brings an empty database to migration number last, as an earlier version did.
func (db *DB) MigrateTo(ctx context.Context, last int64) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	inGo := goose.WithGoMigrations(db.goMigrations()...)
	return db.up(ctx, last, Migrations{goose.DefaultTablename, files}, inGo)
}
