package store

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"
)

// PostgresDSN is what the driver gets for a URL.
func PostgresDSN(o Options) (string, error) {
	dsn, _, err := postgresDSN(o)
	return dsn, err
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
