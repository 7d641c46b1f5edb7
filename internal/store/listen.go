package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/lib/pq"
)

const (
	// channel is the one Postgres channel of all topics. The payload is the schema and the topic.
	channel = "graphwarden"
	// reconnectFirst and reconnectLast bound the pause before reconnecting.
	reconnectFirst, reconnectLast = 100 * time.Millisecond, 5 * time.Second
	// pingEvery is how often a silent connection is checked: a connection that a firewall forgot looks alive forever.
	pingEvery = 30 * time.Second
	// pingTimeout is how long the answer may take.
	pingTimeout = 5 * time.Second
)

// notifier sends and receives notifications of commits.
type notifier struct {
	dsn                    string // of Postgres if LISTEN is possible, else empty
	notifies               bool   // whether the engine supports NOTIFY
	schema                 string // several Graphwardens may share a database, each in its own schema
	pingEvery, pingTimeout time.Duration

	mu        sync.Mutex
	followers map[string]map[*func()]struct{}
}

// detect finds out whether the engine has standbys and NOTIFY. Some engines that speak the Postgres protocol lack
// NOTIFY, and an error in the middle of a transaction would be too late.
func (db *DB) detect(ctx context.Context, o Options, dsn string) error {
	var standby bool
	db.standby = "pg_is_in_recovery()"
	err := db.read.db.GetContext(ctx, &standby, "SELECT "+db.standby)
	if isMissing(err) {
		db.standby, err = "FALSE", nil
	}
	if err != nil {
		return err
	}
	const notify = "SELECT COALESCE(current_schema(), '') FROM pg_notify('" + channel + "', '')"
	err = db.read.db.GetContext(ctx, &db.schema, notify)
	if isMissing(err) {
		return nil
	}
	db.notifies = err == nil
	if !o.Pooler { // a transaction pooler would give the listening session to another client
		db.dsn, db.pingEvery, db.pingTimeout = dsn, pingEvery, pingTimeout
	}
	return err
}

// isMissing reports whether err means that the engine lacks a feature, or its syntax.
func isMissing(err error) bool {
	e, ok := errors.AsType[*pq.Error](err)
	return ok && (e.Code.Class() == "0A" || e.Code.Class() == "42")
}

// Notifies reports whether notifications of other replicas can arrive.
func (db *DB) Notifies() bool { return db.notifies && db.dsn != "" }

// Notify notifies the followers of topic, on every replica, once tx has committed. Notifications may be lost, and
// without LISTEN none arrive from other replicas, so followers that need certainty also poll. On Postgres, transactions
// that notify commit one after another.
func (tx *Tx) Notify(topic string) error {
	tx.OnCommit(func() { tx.db.tell(topic) })
	if !tx.db.notifies {
		return nil
	}
	if _, err := tx.Exec("SELECT pg_notify('"+channel+"', $1)", tx.db.schema+"/"+topic); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}

// OnNotify registers f, called at each notification of topic, and whenever some may have been lost, until stop has
// returned. Calls of f never overlap. f must be quick and must not use the database, like a non-blocking send.
func (db *DB) OnNotify(topic string, f func()) (stop func()) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.followers == nil {
		db.followers = make(map[string]map[*func()]struct{})
	}
	if db.followers[topic] == nil {
		db.followers[topic] = make(map[*func()]struct{})
	}
	db.followers[topic][&f] = struct{}{}
	return func() {
		db.mu.Lock()
		defer db.mu.Unlock()
		delete(db.followers[topic], &f)
	}
}

// Wake is OnNotify for a goroutine that waits. Notifications that arrive while it is busy become one.
func (db *DB) Wake(topic string) (wake <-chan struct{}, stop func()) {
	woken := make(chan struct{}, 1)
	return woken, db.OnNotify(topic, func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
}

// tell calls the followers of topics, or all followers without topics.
func (n *notifier) tell(topics ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(topics) == 0 {
		for topic := range n.followers {
			topics = append(topics, topic)
		}
	}
	for _, topic := range topics {
		for f := range n.followers[topic] {
			(*f)()
		}
	}
}

// Listen receives the notifications of other replicas until ctx ends, on its own connection. It returns immediately on
// SQLite, behind a transaction pooler, and if the engine has no LISTEN.
func (db *DB) Listen(ctx context.Context, log *slog.Logger) {
	if db.dsn == "" {
		return
	}
	pause, lost := reconnectFirst, false
	heard := func() {
		if lost {
			log.Info("database notifications resumed")
		}
		pause, lost = reconnectFirst, false
		db.tell() // earlier notifications are lost
	}
	for {
		err := db.listen(ctx, heard)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errQuiet) {
			if !db.untilRequest(ctx) {
				return
			}
			continue
		}
		if isMissing(err) {
			log.Warn("the database sends no notifications; changes by other replicas are found only by polling", "error", err)
			return
		}
		if !lost {
			log.Warn("database notifications are interrupted; changes by other replicas are found by polling", "error", err)
		}
		lost = true
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, reconnectLast)
	}
}

// errQuiet ends the connection while there are no requests.
var errQuiet = errors.New("this server has no requests")

// untilRequest waits for the next request. It returns false if ctx ends first.
func (db *DB) untilRequest(ctx context.Context) bool {
	look := time.NewTicker(reconnectFirst)
	defer look.Stop()
	for db.Quiet() {
		select {
		case <-ctx.Done():
			return false
		case <-look.C:
		}
	}
	return true
}

// listen holds one connection until it is lost, ctx ends, or there are no requests. It does not use pq.Listener, whose
// pings have no time limit and whose Close waits for the reconnect pause.
func (db *DB) listen(ctx context.Context, heard func()) error {
	notifications := make(chan *pq.Notification, 32)
	conn, err := pq.NewListenerConn(db.dsn, notifications)
	if err != nil {
		return err
	}
	hangUp := func() { _ = conn.Close() } // it also ends calls that wait for the connection
	defer context.AfterFunc(ctx, hangUp)()
	// This needs its own goroutine, because Listen and Ping return only after all earlier notifications have been received.
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for n := range notifications {
			if topic, ours := strings.CutPrefix(n.Extra, db.schema+"/"); ours {
				db.tell(topic)
			}
		}
	}()
	defer func() {
		hangUp()
		<-ended
	}()
	ask := func(question func() error) error {
		defer time.AfterFunc(db.pingTimeout, hangUp).Stop()
		return question()
	}
	err = ask(func() error {
		_, err := conn.Listen(channel)
		return err
	})
	if err != nil {
		return err
	}
	heard()
	ping := time.NewTicker(db.pingEvery)
	defer ping.Stop()
	for {
		select {
		case <-ended:
			return conn.Err()
		case <-ping.C:
		}
		if db.Quiet() {
			return errQuiet
		}
		if err := ask(conn.Ping); err != nil {
			return err
		}
	}
}
