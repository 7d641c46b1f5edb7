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
	// channel is the one Postgres channel of all topics: what follows on it is the schema and the topic.
	channel = "graphwarden"
	// reconnectFirst and reconnectLast bound the pause before a lost connection is made anew.
	reconnectFirst, reconnectLast = 100 * time.Millisecond, 5 * time.Second
	// pingEvery is how often a silent connection is tried: one that a firewall forgot looks alive for ever.
	pingEvery = 30 * time.Second
	// pingTimeout is how long it may take to answer.
	pingTimeout = 5 * time.Second
)

// notifier is what a DB needs to tell of commits and to hear of them.
type notifier struct {
	dsn                    string // of Postgres where LISTEN is possible, else empty
	notifies               bool   // whether the engine has NOTIFY
	schema                 string // several Graphwardens may share a database, each in a schema
	pingEvery, pingTimeout time.Duration

	mu        sync.Mutex
	followers map[string]map[*func()]struct{}
}

// detect finds out what the engine can do: some that speak Postgres' protocol have no NOTIFY, and there
// the error must not come in the midst of a transaction.
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
	err = db.read.db.GetContext(ctx, &db.schema, "SELECT COALESCE(current_schema(), '') FROM pg_notify('"+channel+"', '')")
	if isMissing(err) {
		return nil
	}
	db.notifies = err == nil
	if !o.Pooler { // behind a transaction pooler the session that listens would be someone else's next
		db.dsn, db.pingEvery, db.pingTimeout = dsn, pingEvery, pingTimeout
	}
	return err
}

// isMissing reports whether err says that the engine does not know a feature, or its syntax.
func isMissing(err error) bool {
	e, ok := errors.AsType[*pq.Error](err)
	return ok && (e.Code.Class() == "0A" || e.Code.Class() == "42")
}

// Notifies reports whether notifications of other replicas can arrive.
func (db *DB) Notifies() bool { return db.notifies && db.dsn != "" }

// Notify tells all who follow topic, on every replica, once tx has committed. Who needs to know for
// certain reads the tables at intervals besides: a notification may be lost, and where there is no
// LISTEN none arrives from elsewhere. On Postgres, transactions that notify commit one after another.
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

// OnNotify has f called at each notification of topic, and whenever some may have been lost, until stop
// has returned. f is never called twice at once; it must be quick and use no database, as a send that
// does not wait.
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

// Wake is OnNotify for a goroutine that waits: after any number of notifications while it was busy, it
// finds one.
func (db *DB) Wake(topic string) (wake <-chan struct{}, stop func()) {
	woken := make(chan struct{}, 1)
	return woken, db.OnNotify(topic, func() {
		select {
		case woken <- struct{}{}:
		default:
		}
	})
}

// tell calls the followers of topics, of all without any.
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

// Listen hears the notifications of other replicas until ctx ends, on a connection of its own. It
// returns at once on SQLite, behind a transaction pooler, and where the engine has no LISTEN.
func (db *DB) Listen(ctx context.Context, log *slog.Logger) {
	if db.dsn == "" {
		return
	}
	pause, lost := reconnectFirst, false
	heard := func() {
		if lost {
			log.Info("notifications of the database arrive again")
		}
		pause, lost = reconnectFirst, false
		db.tell() // what was sent before is lost
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
			log.Warn("the database sends no notifications; what other replicas change is found by polling alone", "error", err)
			return
		}
		if !lost {
			log.Warn("notifications of the database are interrupted; what other replicas change is found by polling", "error", err)
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

// errQuiet ends a connection while there are no requests.
var errQuiet = errors.New("this server has no requests")

// untilRequest waits for the next request, and returns false if ctx ended first.
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

// listen holds one connection until it is lost, which its error explains, ctx ends, or there are no requests. Not pq.Listener:
// that one waits for an answer without a bound, and when told to stop, for its pause to end.
func (db *DB) listen(ctx context.Context, heard func()) error {
	notifications := make(chan *pq.Notification, 32)
	conn, err := pq.NewListenerConn(db.dsn, notifications)
	if err != nil {
		return err
	}
	hangUp := func() { _ = conn.Close() } // it wakes whoever waits for the connection
	defer context.AfterFunc(ctx, hangUp)()
	// Apart from what asks: the answer comes after all notifications before it have been taken.
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
