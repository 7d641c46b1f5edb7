package store

import (
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
