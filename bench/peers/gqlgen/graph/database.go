package graph

import (
	"context"
	"database/sql"
	"errors"
	"time"

	_ "modernc.org/sqlite" // the driver that Graphwarden uses

	"github.com/graphwarden/graphwarden/bench/peers/gqlgen/graph/model"
)

// Database holds the prepared statements of a SQLite file.
type Database struct{ readUser, readPage, insert *sql.Stmt }

// connections is the maximum number of connections, as in Graphwarden. By default, database/sql keeps only two open.
const connections = 16

const tables = `
	CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT NOT NULL, name TEXT NOT NULL);
	CREATE TABLE sessions (id TEXT PRIMARY KEY, user_id TEXT NOT NULL, created_at INTEGER NOT NULL,
		last_seen_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, ip TEXT NOT NULL);
	CREATE INDEX sessions_of_user ON sessions (user_id, created_at);`

// OpenDatabase creates the file at path with one row for each user.
func OpenDatabase(path string, users map[string]*model.User) (*Database, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	if _, err := db.Exec(tables); err != nil {
		return nil, err
	}
	for _, u := range users {
		if _, err := db.Exec("INSERT INTO users VALUES ($1, $2, $3)", u.ID, u.Email, u.Name); err != nil {
			return nil, err
		}
	}
	readUser, err1 := db.Prepare("SELECT id, email, name FROM users WHERE id = $1")
	readPage, err2 := db.Prepare(`SELECT id, created_at, last_seen_at, expires_at, ip FROM sessions
		WHERE user_id = $1 AND expires_at > $2 ORDER BY created_at DESC LIMIT $3`)
	insert, err3 := db.Prepare("INSERT INTO sessions VALUES ($1, $2, $3, $3, $4, '127.0.0.1')")
	return &Database{readUser, readPage, insert}, errors.Join(err1, err2, err3)
}

func (d *Database) user(ctx context.Context, id string) (*model.User, error) {
	var u model.User
	err := d.readUser.QueryRowContext(ctx, id).Scan(&u.ID, &u.Email, &u.Name)
	return &u, err
}

func (d *Database) sessions(ctx context.Context, userID, current string, first int) ([]*model.Session, error) {
	rows, err := d.readPage.QueryContext(ctx, userID, time.Now().UnixMicro(), first)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page []*model.Session
	for rows.Next() {
		var s model.Session
		var created, seen, expires int64
		if err := rows.Scan(&s.ID, &created, &seen, &expires, &s.IP); err != nil {
			return nil, err
		}
		s.CreatedAt, s.LastSeenAt, s.ExpiresAt = instant(created), instant(seen), instant(expires)
		s.Current = s.ID == current
		page = append(page, &s)
	}
	return page, rows.Err()
}

func instant(microseconds int64) time.Time { return time.UnixMicro(microseconds).UTC() }
