package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
)

const (
	// probeAfter is how long a connection may be silent before it is pinged at its next use.
	probeAfter = time.Second
	// probeTimeout bounds that ping. A statement with less than half of that time proves nothing about its connection.
	probeTimeout = time.Second
	// cancelTimeout bounds requests to cancel a statement, for which the driver waits.
	cancelTimeout = 500 * time.Millisecond
	// deadAfter is how long the kernel waits for a peer that acknowledges nothing.
	deadAfter = 30 * time.Second
)

// postgresConnector opens connections to Postgres whose statements end with their contexts. The driver only asks the
// server to cancel a statement and then waits for the answer without a limit. A frozen server never answers, nor does
// one behind a firewall that forgot the connection.
//
// When a statement reaches its deadline unanswered and a new connection succeeds, all connections that have been silent
// since that statement was sent are dead. Connect closes them too.
// silent since that statement was sent are dead. They are closed too.
type postgresConnector struct {
	driver                   *pq.Connector
	probeAfter, probeTimeout time.Duration
	start                    time.Time

	mu      sync.Mutex
	open    map[*socket]struct{}
	suspect time.Duration // since start: when the last unanswered statement was sent
}

func newPostgresConnector(dsn string) (*postgresConnector, error) {
	base, err := pq.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	return &postgresConnector{driver: base, probeAfter: probeAfter, probeTimeout: probeTimeout,
		start: time.Now(), open: make(map[*socket]struct{})}, nil
}

// Driver implements driver.Connector.
func (c *postgresConnector) Driver() driver.Driver { return c.driver.Driver() }

// Connect implements driver.Connector. The handshake ends with ctx too.
func (c *postgresConnector) Connect(ctx context.Context) (driver.Conn, error) {
	d := &dialer{start: c.start}
	defer context.AfterFunc(ctx, d.cut)()
	one := *c.driver // a copy: each connection needs its own dialer
	one.Dialer(d)
	raw, err := one.Connect(ctx)
	if err != nil {
		return nil, outage{err}
	}
	s := d.connected()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[s] = struct{}{}
	for other := range c.open {
		if c.suspects(other) {
			other.cut()
		}
	}
	return &conn{pqConn: raw.(pqConn), socket: s, connector: c}, nil
}

// suspects reports whether s has been silent since the last unanswered statement was sent; c.mu is held.
func (c *postgresConnector) suspects(s *socket) bool {
	return time.Duration(s.heard.Load()) < c.suspect
}

// unanswered records that a statement reached its deadline; sent is when it was sent, since start.
func (c *postgresConnector) unanswered(sent time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.suspect = max(c.suspect, sent)
}

// dialer dials for one connection: first its socket, later the sockets for requests to cancel its statements.
type dialer struct {
	start  time.Time
	mu     sync.Mutex
	socket *socket
	done   bool
	ended  bool
}

var _ pq.DialerContext = (*dialer)(nil)

// DialContext implements pq.DialerContext.
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Control: giveUp, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: deadAfter / 2, Interval: deadAfter / 6, Count: 3}}
	d.mu.Lock()
	cancels := d.done
	d.mu.Unlock()
	if cancels {
		dialer.Timeout = cancelTimeout
	}
	raw, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if cancels {
		time.AfterFunc(cancelTimeout, func() { _ = raw.Close() })
		return raw, nil
	}
	s := &socket{Conn: raw, start: d.start}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.socket = s
	if d.ended {
		s.cut()
	}
	return s, nil
}

// Dial implements pq.Dialer; the driver prefers DialContext.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}

// DialTimeout implements pq.Dialer; the driver prefers DialContext.
func (d *dialer) DialTimeout(network, address string, _ time.Duration) (net.Conn, error) {
	return nil, errors.ErrUnsupported
}

// cut ends the handshake in progress.
func (d *dialer) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	if d.socket != nil {
		d.socket.cut()
	}
}

// connected returns the socket of the connection. Later dials are for cancel requests.
func (d *dialer) connected() *socket {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done = true
	return d.socket
}

// socket records when the server was last heard.
type socket struct {
	net.Conn
	start  time.Time
	heard  atomic.Int64 // since start
	closed atomic.Bool
}

// Read implements net.Conn.
func (s *socket) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if n > 0 {
		s.heard.Store(int64(time.Since(s.start)))
	}
	return n, err
}

// cut closes the socket; reads and writes in progress fail.
func (s *socket) cut() {
	s.closed.Store(true)
	_ = s.Conn.Close()
}

// pqConn is the part of the driver's connections that database/sql uses.
type pqConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// conn closes its socket if the context of a statement ends before the statement does.
type conn struct {
	pqConn
	socket    *socket
	connector *postgresConnector
}

// watch closes the socket if ctx ends before stop is called.
func (c *conn) watch(ctx context.Context) (stop func() bool) {
	sent := time.Since(c.connector.start)
	return context.AfterFunc(ctx, func() {
		waited := time.Since(c.connector.start) - sent
		late := errors.Is(ctx.Err(), context.DeadlineExceeded) && waited > c.connector.probeTimeout/2
		if late && time.Duration(c.socket.heard.Load()) < sent {
			c.connector.unanswered(sent)
		}
		c.socket.cut()
	})
}

// Close implements driver.Conn. Closing a connection whose socket is already closed, because the context of its last
// statement ended, is not an error.
func (c *conn) Close() error {
	c.connector.mu.Lock()
	delete(c.connector.open, c.socket)
	c.connector.mu.Unlock()
	err := c.pqConn.Close()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// IsValid implements driver.Validator.
func (c *conn) IsValid() bool { return !c.socket.closed.Load() && c.pqConn.IsValid() }

// ResetSession implements driver.SessionResetter. It refuses a dead connection before it is used.
func (c *conn) ResetSession(ctx context.Context) error {
	c.connector.mu.Lock()
	suspect := c.connector.suspects(c.socket)
	c.connector.mu.Unlock()
	if suspect || !c.IsValid() {
		return driver.ErrBadConn
	}
	if time.Since(c.connector.start)-time.Duration(c.socket.heard.Load()) < c.connector.probeAfter {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.connector.probeTimeout)
	defer cancel()
	return c.Ping(ctx)
}

// Ping implements driver.Pinger.
func (c *conn) Ping(ctx context.Context) error {
	defer c.watch(ctx)()
	return c.pqConn.Ping(ctx)
}

// ExecContext implements driver.ExecerContext.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	defer c.watch(ctx)()
	return c.pqConn.ExecContext(ctx, query, args)
}

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	stop := c.watch(ctx)
	raw, err := c.pqConn.QueryContext(ctx, query, args)
	if err != nil {
		stop()
		return nil, err
	}
	return &rows{Rows: raw, stop: stop}, nil
}

// BeginTx implements driver.ConnBeginTx.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	stop := c.watch(ctx)
	raw, err := c.pqConn.BeginTx(ctx, opts)
	if err != nil {
		stop()
		return nil, err
	}
	return &tx{Tx: raw, stop: stop}, nil
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	defer c.watch(ctx)()
	raw, err := c.pqConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &stmt{pqStmt: raw.(pqStmt), conn: c}, nil
}

// tx is a transaction whose commit and rollback end with the context of its begin.
type tx struct {
	driver.Tx
	stop func() bool
}

// Commit implements driver.Tx.
func (t *tx) Commit() error {
	defer t.stop()
	return t.Tx.Commit()
}

// Rollback implements driver.Tx.
func (t *tx) Rollback() error {
	defer t.stop()
	return t.Tx.Rollback()
}

type pqStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// stmt is a prepared statement of a conn.
type stmt struct {
	pqStmt
	conn *conn
}

// Close does nothing. A statement lives as long as its connection. The driver would exchange messages, without a
// context, for each statement of a connection that is being closed.
func (*stmt) Close() error { return nil }

// ExecContext implements driver.StmtExecContext.
func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	defer s.conn.watch(ctx)()
	return s.pqStmt.ExecContext(ctx, args)
}

// QueryContext implements driver.StmtQueryContext.
func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	stop := s.conn.watch(ctx)
	raw, err := s.pqStmt.QueryContext(ctx, args)
	if err != nil {
		stop()
		return nil, err
	}
	return &rows{Rows: raw, stop: stop}, nil
}

// rows end with the context of their query.
type rows struct {
	driver.Rows
	stop func() bool
}

// Close implements driver.Rows.
func (r *rows) Close() error {
	defer r.stop()
	return r.Rows.Close()
}
