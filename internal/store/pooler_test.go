package store_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

// A transaction pooler may run each transaction in a different session. So nothing may be prepared, the startup message
// must not contain settings, and no statement may be parsed in one exchange and executed in the next. The test checks
// the wire.
func TestPooledConnectionsDoNotDependOnTheSession(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		if !strings.HasPrefix(url, "postgres:") {
			return // SQLite has no pooler
		}
		wire := &wire{}
		db, err := store.Open(t.Context(), store.Options{URL: wire.proxy(t, url), Pooler: true})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		run(t, db, createNumbers)
		for i := range 3 {
			err := db.Tx(t.Context(), func(tx *store.Tx) error {
				var limit string
				err := tx.Get(&limit, "SELECT current_setting('idle_in_transaction_session_timeout')")
				if err != nil || limit != "8s" {
					t.Errorf("a transaction's limit is %q, %v", limit, err)
				}
				return insert(tx, i)
			})
			if err != nil {
				t.Fatal(err)
			}
			var all []int
			if err := db.Select(t.Context(), &all, `SELECT n FROM numbers WHERE n <= $1`, i); err != nil || len(all) != i+1 {
				t.Errorf("got %v, %v", all, err)
			}
			count(t, db, `SELECT count(*) FROM numbers WHERE n < $1`, i)
		}
		wire.mu.Lock()
		defer wire.mu.Unlock()
		if wire.parsed == 0 {
			t.Error("the proxy saw no statement")
		}
		for _, fault := range wire.faults {
			t.Error(fault)
		}
	})
}

func TestMigrateConcurrentlyThroughAPooler(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		var group errgroup.Group
		for range 4 {
			group.Go(func() error {
				db, err := store.Open(t.Context(), store.Options{URL: url, Pooler: true})
				if err != nil {
					return err
				}
				return errors.Join(db.Migrate(t.Context()), db.Close())
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
	})
}

// wire forwards connections to Postgres and records messages that a pooler could not serve.
type wire struct {
	mu     sync.Mutex
	parsed int
	faults []string
}

// proxy returns the URL of the server at rawURL through w.
func (w *wire) proxy(t *testing.T, rawURL string) string {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	server := u.Host
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var connections sync.WaitGroup
	connections.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Go(func() { w.pass(client, server) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		connections.Wait()
	})
	u.Host = listener.Addr().String()
	return u.String()
}

func (w *wire) pass(client net.Conn, address string) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	}()
	w.watch(io.TeeReader(client, server))
}

// watch reads a client's messages: a startup message, then messages of a type byte and a length that includes itself
// (PostgreSQL documentation, section "Message Formats").
func (w *wire) watch(client io.Reader) {
	start, err := message(client)
	if err != nil {
		return
	}
	settings := []string{"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "application_name"}
	for _, setting := range settings {
		if strings.Contains(string(start), setting) {
			w.fault("the startup message contains " + setting)
		}
	}
	pending := "" // parsed but not yet bound
	kind := make([]byte, 1)
	for {
		if _, err := io.ReadFull(client, kind); err != nil {
			return
		}
		body, err := message(client)
		if err != nil {
			return
		}
		switch kind[0] {
		case 'P': // Parse: name, query
			name, query, _ := strings.Cut(string(body), "\x00")
			w.mu.Lock()
			w.parsed++
			w.mu.Unlock()
			if name != "" {
				w.fault(fmt.Sprintf("prepared as %s: %s", name, query))
			}
			pending = query
		case 'B': // Bind
			pending = ""
		case 'S': // Sync: from now on the pooler may give the session to another client
			if pending != "" {
				w.fault("parsed in one exchange, executed in another: " + pending)
			}
			pending = ""
		}
	}
}

func message(from io.Reader) ([]byte, error) {
	length := make([]byte, 4)
	if _, err := io.ReadFull(from, length); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(length)-4)
	_, err := io.ReadFull(from, body)
	return body, err
}

func (w *wire) fault(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.faults = append(w.faults, text)
}
