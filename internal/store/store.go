package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	"github.com/jmoiron/sqlx"

	"github.com/graphwarden/graphwarden/internal/dsn"
)

// Dialect is the kind of a database.
type Dialect string

// The supported databases.
const (
	SQLite   Dialect = "sqlite"
	Postgres Dialect = "postgres"
)

// txTimeout bounds every transaction and every read, and with it how late a commit can become visible. The revocation
// view rereads the last 60 s and depends on a far smaller bound. Postgres enforces it too (timeLimit), in case this
// process cannot.
const txTimeout = 8 * time.Second

// Options configure Open.
type Options struct {
	// URL is sqlite:PATH or postgres://….
	URL string
	// Pooler turns off prepared statements and session settings, which a transaction pooler does not support.
	Pooler bool
	// MaxConns bounds the connections to Postgres, or the readers of SQLite; 0 means 16.
	MaxConns int
	// IdlePoll is the interval of background reads while there are no requests; 0 means the same as with requests.
	IdlePoll time.Duration
	// Exclusive makes this process the only server on an SQLite file until Close, because two servers could not see each
	// other's revocations in time. Open fails if another server has the file. It has no effect on Postgres.
	Exclusive bool
	// ReadOnly makes Open fail if the SQLite file does not exist, and refuses writes. It has no effect on Postgres.
	ReadOnly bool
	// Now is the clock of SQLite, which has none of its own, and measures the time without requests; nil means time.Now.
	Now func() time.Time
}

// DB is one open database. Reads go to read, transactions to write; on Postgres both are one pool.
type DB struct {
	dialect   Dialect
	pooler    bool
	path      string             // of the SQLite file, as given in --database
	file      string             // path with symbolic links resolved
	server    *flock.Flock       // held by a server on SQLite
	connector *postgresConnector // of Postgres
	read      *pool
	write     *pool
	groups    *groups      // of a writable SQLite database
	apart     *sqlx.DB     // the pool of Conn
	standby   string       // SQL expression: is this server a standby?
	run       atomic.Int64 // number of statements
	notifier
	pace
}

// pool is a connection pool that prepares each statement once. Query texts are constants of this program, so their
// number is bounded.
type pool struct {
	db       *sqlx.DB
	prepares bool
	stmts    sync.Map // query text → *sqlx.Stmt
}

// Open opens the database and checks that it answers. It does not migrate. Its errors say what to do, and never contain
// the URL, which may contain a password.
func Open(ctx context.Context, o Options) (*DB, error) {
	if o.MaxConns == 0 {
		o.MaxConns = 16
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	db, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	db.now, db.start, db.idle = o.Now, o.Now(), o.IdlePoll
	return db, nil
}

func open(ctx context.Context, o Options) (*DB, error) {
	source, err := dsn.Parse(o.URL)
	if err != nil {
		return nil, err
	}
	o.Pooler = o.Pooler || source.Pooler
	if source.Path != "" {
		return openSQLite(ctx, source.Path, o)
	}
	return openPostgres(ctx, source, o)
}

// Dialect returns the kind of the database.
func (db *DB) Dialect() Dialect { return db.dialect }

// Path returns the file of an SQLite database, and "" for Postgres.
func (db *DB) Path() string { return db.path }

// Close closes all connections and releases the lock on the SQLite file.
func (db *DB) Close() error {
	if db.groups != nil {
		db.groups.running.Wait()
	}
	// Closing the same pool twice is harmless.
	err := errors.Join(db.write.db.Close(), db.read.db.Close(), db.apart.Close())
	if db.server != nil {
		err = errors.Join(err, db.server.Unlock())
	}
	return err
}

// Statements returns the number of statements run so far by Get, Select and transactions.
func (db *DB) Statements() int64 { return db.run.Load() }

// Ping returns an error unless the database answers.
func (db *DB) Ping(ctx context.Context) error { return classify(ctx, db.read.db.PingContext(ctx)) }

// Now returns the time by the database's clock.
func (db *DB) Now(ctx context.Context) (now Time, err error) {
	err = db.Get(ctx, &now, "SELECT now_us()")
	return now, err
}

// Writable returns an error unless the database can be written. Standbys and read-only databases cannot.
func (db *DB) Writable(ctx context.Context) error {
	return db.Tx(ctx, func(tx *Tx) error {
		_, err := tx.Exec("DELETE FROM leases WHERE name = ''") // no such row: nothing is written
		return err
	})
}

// Fresh returns the time by the database's clock, read on a connection of Conn. It fails on a standby, whose rows may
// be out of date.
func (db *DB) Fresh(ctx context.Context, conn *sqlx.Conn) (Time, error) {
	var clock struct {
		Now     Time `db:"now"`
		Standby bool `db:"standby"`
	}
	db.run.Add(1)
	err := conn.GetContext(ctx, &clock, "SELECT now_us() AS now, "+db.standby+" AS standby")
	if err == nil && clock.Standby {
		err = outage{errors.New("this server is a standby, and its data may be out of date")}
	}
	return clock.Now, classify(ctx, err)
}

// Stats returns the statistics of the connection pool; on SQLite, that of the readers.
func (db *DB) Stats() sql.DBStats { return db.read.db.Stats() }

// Get reads one row outside a transaction. It returns sql.ErrNoRows if there is no row.
func (db *DB) Get(ctx context.Context, dest any, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, txTimeout)
	defer cancel()
	db.run.Add(1)
	stmt, err := db.read.stmt(ctx, query)
	if err != nil {
		return classify(ctx, err)
	}
	if stmt == nil {
		return classify(ctx, db.read.db.GetContext(ctx, dest, query, args...))
	}
	return classify(ctx, stmt.GetContext(ctx, dest, args...))
}

// Scan reads one row outside a transaction into dest, by the order of the columns. Unlike Get, it does not inspect a
// struct, so it is cheaper where that matters. On SQLite, the statement is not interrupted: it must find its row by an
// index. Scan returns sql.ErrNoRows if there is no row.
func (db *DB) Scan(ctx context.Context, dest []any, query string, args ...any) error {
	ctx, cancel := db.brief(ctx)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return err
	}
	return classify(ctx, db.scan(ctx, db.read, dest, query, args))
}

// brief bounds a statement that takes microseconds. On SQLite, which waits for no network, it does so without a
// deadline, for which database/sql and the driver would each start a goroutine.
func (db *DB) brief(ctx context.Context) (context.Context, context.CancelFunc) {
	if db.dialect == SQLite && ctx.Err() == nil {
		return context.WithoutCancel(ctx), func() {}
	}
	return context.WithTimeout(ctx, txTimeout)
}

func (db *DB) scan(ctx context.Context, p *pool, dest []any, query string, args []any) error {
	db.run.Add(1)
	stmt, err := p.stmt(ctx, query)
	if err != nil {
		return err
	}
	if stmt == nil {
		return p.db.DB.QueryRowContext(ctx, query, args...).Scan(dest...)
	}
	return stmt.Stmt.QueryRowContext(ctx, args...).Scan(dest...)
}

// ScanAll is like Scan for a few rows. It calls next for the destinations of each row.
func (db *DB) ScanAll(ctx context.Context, next func() []any, query string, args ...any) error {
	ctx, cancel := db.brief(ctx)
	defer cancel()
	db.run.Add(1)
	stmt, err := db.read.stmt(ctx, query)
	if err != nil {
		return classify(ctx, err)
	}
	var rows *sql.Rows
	if stmt == nil {
		rows, err = db.read.db.DB.QueryContext(ctx, query, args...)
	} else {
		rows, err = stmt.Stmt.QueryContext(ctx, args...)
	}
	if err != nil {
		return classify(ctx, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := rows.Scan(next()...); err != nil {
			return classify(ctx, err)
		}
	}
	return classify(ctx, rows.Err())
}

// Select reads all rows outside a transaction.
func (db *DB) Select(ctx context.Context, dest any, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, txTimeout)
	defer cancel()
	db.run.Add(1)
	stmt, err := db.read.stmt(ctx, query)
	if err != nil {
		return classify(ctx, err)
	}
	if stmt == nil {
		return classify(ctx, db.read.db.SelectContext(ctx, dest, query, args...))
	}
	return classify(ctx, stmt.SelectContext(ctx, dest, args...))
}

// PruneBatch is how many rows Prune deletes in one transaction. It bounds how long Prune blocks SQLite's only writer.
const PruneBatch = 500

// Prune deletes the rows of table that meet condition, in batches with a transaction each. key is the primary key of
// table; args are the arguments of condition, from $2 on.
func (db *DB) Prune(ctx context.Context, table, key, condition string, args ...any) error {
	query := fmt.Sprintf("DELETE FROM %[1]s WHERE %[2]s IN (SELECT %[2]s FROM %[1]s WHERE %[3]s LIMIT $1)",
		table, key, condition)
	for n := int64(PruneBatch); n == PruneBatch; {
		err := db.Tx(ctx, func(tx *Tx) (err error) {
			n, err = tx.Exec(query, append([]any{PruneBatch}, args...)...)
			return err
		})
		if err != nil {
			return fmt.Errorf("prune %s: %w", table, err)
		}
	}
	return nil
}

// Conn returns a connection apart from the pools, for a reader that must never wait for others. The caller closes it.
func (db *DB) Conn(ctx context.Context) (*sqlx.Conn, error) {
	c, err := db.apart.Connx(ctx)
	return c, classify(ctx, err)
}

// Tx runs f in a transaction that sees and blocks other writers (SQLite: immediate; Postgres: read committed). It
// commits if f returns nil, then runs the OnCommit functions before it returns. After a serialization failure or a
// deadlock it runs f again, so f must have no effects besides those of the transaction.
func (db *DB) Tx(ctx context.Context, f func(*Tx) error) error {
	return retry(ctx, func(ctx context.Context) error { return db.tx(ctx, f) })
}

// Write runs one statement in a transaction of its own and scans the row that it returns. It returns sql.ErrNoRows if
// the statement changed nothing. Without a pooler, this takes Postgres one round trip, where Tx takes three. After a
// lost connection, the statement may have run although Write returns an error.
func (db *DB) Write(ctx context.Context, dest []any, query string, args ...any) error {
	return retry(ctx, func(ctx context.Context) error {
		if db.groups != nil {
			return db.inGroup(ctx, true, func(tx *Tx) error { return tx.Scan(dest, query, args...) })
		}
		if db.pooler {
			return db.tx(ctx, func(tx *Tx) error { return tx.Scan(dest, query, args...) })
		}
		return db.scan(ctx, db.write, dest, query, args)
	})
}

// retry runs f within txTimeout, again after a serialization failure or a deadlock.
func retry(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, txTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		err := f(ctx)
		if attempt < 4 && isSerialization(err) && ctx.Err() == nil {
			continue
		}
		return classify(ctx, err)
	}
}

func (db *DB) tx(ctx context.Context, f func(*Tx) error) error {
	if db.groups != nil {
		return db.inGroup(ctx, false, f)
	}
	raw, err := db.write.db.BeginTxx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", outage{err}) // a standby fails here, without an SQLSTATE of its own
	}
	tx := &Tx{ctx: ctx, running: ctx, tx: raw, db: db, pool: db.write}
	defer func() { db.write.prepare(ctx, tx.missed) }()
	defer func() { _ = raw.Rollback() }() // has no effect after the commit
	if db.pooler {
		if _, err := raw.ExecContext(ctx, poolerLimits); err != nil {
			return fmt.Errorf("begin: %w", outage{err})
		}
	}
	if err := f(tx); err != nil {
		return err
	}
	if err := raw.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	tx.committed()
	return nil
}

// inGroup runs f in a transaction that shares its commit with other transactions. single means that f runs one
// statement.
func (db *DB) inGroup(ctx context.Context, single bool, f func(*Tx) error) error {
	var tx *Tx
	err := db.groups.do(ctx, single, func(raw *sqlx.Tx) (missed []string, err error) {
		// Interrupting a statement would roll back the whole group.
		tx = &Tx{ctx: ctx, running: context.WithoutCancel(ctx), tx: raw, db: db, pool: db.write}
		err = f(tx)
		return tx.missed, err
	})
	if err != nil {
		return err
	}
	tx.committed()
	return nil
}

// Tx is an open transaction. It belongs to the goroutine that runs the function given to DB.Tx.
type Tx struct {
	ctx      context.Context // bounds the transaction
	running  context.Context // of each statement
	tx       *sqlx.Tx
	db       *DB
	pool     *pool
	missed   []string
	onCommit []func()
}

// OnCommit registers f, called once the transaction is durable, before DB.Tx returns.
func (tx *Tx) OnCommit(f func()) { tx.onCommit = append(tx.onCommit, f) }

func (tx *Tx) committed() {
	for _, f := range tx.onCommit {
		f()
	}
}

// Get reads one row. It returns sql.ErrNoRows if there is no row.
func (tx *Tx) Get(dest any, query string, args ...any) error {
	if err := tx.ctx.Err(); err != nil {
		return err
	}
	tx.db.run.Add(1)
	if stmt := tx.stmt(query); stmt != nil {
		return stmt.GetContext(tx.running, dest, args...)
	}
	return tx.tx.GetContext(tx.running, dest, query, args...)
}

// Scan is like DB.Scan.
func (tx *Tx) Scan(dest []any, query string, args ...any) error {
	if err := tx.ctx.Err(); err != nil {
		return err
	}
	tx.db.run.Add(1)
	if stmt := tx.stmt(query); stmt != nil {
		return stmt.Stmt.QueryRowContext(tx.running, args...).Scan(dest...)
	}
	return tx.tx.Tx.QueryRowContext(tx.running, query, args...).Scan(dest...)
}

// Select reads all rows.
func (tx *Tx) Select(dest any, query string, args ...any) error {
	if err := tx.ctx.Err(); err != nil {
		return err
	}
	tx.db.run.Add(1)
	if stmt := tx.stmt(query); stmt != nil {
		return stmt.SelectContext(tx.running, dest, args...)
	}
	return tx.tx.SelectContext(tx.running, dest, query, args...)
}

// Exec runs a statement and returns the number of rows that it changed.
func (tx *Tx) Exec(query string, args ...any) (int64, error) {
	if err := tx.ctx.Err(); err != nil {
		return 0, err
	}
	tx.db.run.Add(1)
	var result sql.Result
	var err error
	if stmt := tx.stmt(query); stmt != nil {
		result, err = stmt.ExecContext(tx.running, args...)
	} else {
		result, err = tx.tx.ExecContext(tx.running, query, args...)
	}
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// stmt returns the prepared form of query bound to the transaction, or nil if it is not prepared yet. Preparing it here
// could deadlock: that needs a connection of the pool while this transaction holds one, on SQLite the only one. Missing
// statements are prepared after the transaction.
func (tx *Tx) stmt(query string) *sqlx.Stmt {
	if !tx.pool.prepares {
		return nil
	}
	if stmt, ok := tx.pool.stmts.Load(query); ok {
		return tx.tx.StmtxContext(tx.running, stmt)
	}
	tx.missed = append(tx.missed, query)
	return nil
}

// prepare prepares statements that a transaction had to run unprepared.
func (p *pool) prepare(ctx context.Context, queries []string) {
	for _, query := range queries {
		if _, err := p.stmt(ctx, query); err != nil {
			return // the next transaction tries again
		}
	}
}

// stmt returns query prepared, or nil if the pool does not prepare statements.
func (p *pool) stmt(ctx context.Context, query string) (*sqlx.Stmt, error) {
	if !p.prepares {
		return nil, nil
	}
	if stmt, ok := p.stmts.Load(query); ok {
		return stmt.(*sqlx.Stmt), nil
	}
	stmt, err := p.db.PreparexContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if other, loaded := p.stmts.LoadOrStore(query, stmt); loaded {
		_ = stmt.Close() // another goroutine was first
		return other.(*sqlx.Stmt), nil
	}
	return stmt, nil
}
