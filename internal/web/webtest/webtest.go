// Package webtest serves handlers in tests, over TCP or in memory, and sends them raw requests.
package webtest

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/web"
)

// Patience bounds every wait of a test. Only failures take that long.
const Patience = time.Minute

// Wait receives a value from c. It fails with the message otherwise.
func Wait[T any](tb testing.TB, c <-chan T, otherwise string) (value T) {
	tb.Helper()
	select {
	case value = <-c:
	case <-time.After(Patience):
		tb.Fatal(otherwise)
	}
	return value
}

// Eventually waits until ok returns true. state describes that state.
func Eventually(tb testing.TB, state string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(Patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("not within %s: %s", Patience, state)
		}
	}
}

// Send opens a connection to address and sends text on it.
func Send(tb testing.TB, address, text string) net.Conn {
	tb.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		tb.Fatal(err)
	}
	return conn
}

// Request returns a request with headers, given as alternating names and values.
func Request(tb testing.TB, method, url, body string, headers ...string) *http.Request {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), method, url, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

// Options returns options without streams and without a stop delay.
func Options(drain time.Duration) web.ServeOptions {
	return web.ServeOptions{
		KeepAlive:  2 * time.Minute,
		Drain:      drain,
		Stopping:   func() {},
		EndStreams: func(context.Context) {},
	}
}

// Serve serves connections of l with h until the end of the test or synctest bubble.
func Serve(tb testing.TB, l net.Listener, h http.Handler) {
	ctx, stop := context.WithCancel(context.WithoutCancel(tb.Context()))
	stopped := make(chan error, 1)
	go func() { stopped <- web.Serve(ctx, l, h, Options(time.Minute), slog.New(slog.DiscardHandler)) }()
	tb.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			tb.Error(err)
		}
	})
}

// ServeInMemory is Serve on a listener in memory, for synctest bubbles. It returns the listener's Dial.
func ServeInMemory(tb testing.TB, h http.Handler) (dial func() net.Conn) {
	l := NewListener()
	Serve(tb, l, h)
	return l.Dial
}

// Listener is a listener in memory, whose connections follow the clock of a synctest bubble.
type Listener struct {
	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

// NewListener returns an open listener.
func NewListener() *Listener {
	return &Listener{accepted: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accepted:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// Dial returns the client's end of a new connection, once the server has accepted it.
func (l *Listener) Dial() net.Conn {
	client, server := net.Pipe()
	l.accepted <- server
	return client
}
