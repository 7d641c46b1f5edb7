package store

import (
	"context"
	"slices"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/graphwarden/graphwarden/internal/dsn"
)

// PostgresDSN is what the driver gets for a URL.
func PostgresDSN(o Options) (string, error) {
	source, err := dsn.Parse(o.URL)
	if err != nil {
		return "", err
	}
	return postgresDSN(source, o.Pooler), nil
}

// Writer is the pool of the transactions.
func (db *DB) Writer() *sqlx.DB { return db.write.db }

// Reader is the pool of what runs outside them.
func (db *DB) Reader() *sqlx.DB { return db.read.db }

// PingEvery sets how often Listen tries its connection and how long it waits for the answer.
func (db *DB) PingEvery(every, timeout time.Duration) { db.pingEvery, db.pingTimeout = every, timeout }

// Classify is what Get and Tx do to an error.
func Classify(ctx context.Context, err error) error { return classify(ctx, err) }

// Probe sets how long a connection may be silent before it is tried, and how long that may take.
func (db *DB) Probe(after, timeout time.Duration) {
	db.connector.probeAfter, db.connector.probeTimeout = after, timeout
}

// Outage marks an error as those of a connection that cannot be made are.
func Outage(err error) error { return outage{err} }

// SQLiteOutage reports what an error with this result code is.
func SQLiteOutage(code int) bool { return slices.Contains(sqliteOutages, primary(code)) }

// Tell notifies the followers of topic, as a commit does.
func (db *DB) Tell(topic string) { db.tell(topic) }

// Waiting returns the number of transactions that wait for SQLite's writer.
func (db *DB) Waiting() int {
	db.groups.mu.Lock()
	defer db.groups.mu.Unlock()
	return len(db.groups.waiting)
}
