package transport_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/transport"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

// inTime runs test in a synctest bubble, where waiting takes no time, with a feed's server with default time-outs.
// connect connects to that server.
func inTime(t *testing.T, test func(t *testing.T, f *feed, connect func() net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f, h := newFeed(transport.StreamOptions{Leeway: 5 * time.Second})
		test(t, f, webtest.ServeInMemory(t, h))
	})
}

func dialIn(t *testing.T, connect func() net.Conn) *client {
	t.Helper()
	via := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return connect(), nil }}}
	c, _, err := tryDial(t, via, "http://x", protocol)
	if err != nil {
		t.Fatal(err)
	}
	c.ctx = t.Context()
	return c
}

// raw sends head on a new connection. It reads the head of the response and returns a reader of the rest.
func raw(t *testing.T, connect func() net.Conn, head string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn := connect()
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "\r\n" {
			return conn, r
		}
	}
}

const upgrade = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: " +
	"Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: " + protocol + "\r\n\r\n"

// frame returns a client's text frame that declares size bytes. Its mask is zero.
func frame(text string, size uint64) []byte {
	head := binary.BigEndian.AppendUint64([]byte{0x81, 0xff}, size)
	return append(append(head, 0, 0, 0, 0), text...)
}

func whole(text string) []byte { return frame(text, uint64(len(text))) }

// took requires that exactly this time has passed since begin.
func took(t *testing.T, begin time.Time, want time.Duration) {
	t.Helper()
	if got := time.Since(begin); got != want {
		t.Errorf("took %v, want %v", got, want)
	}
}

func TestSocketsWithoutConnectionInitAreDropped(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, f *feed, connect func() net.Conn) {
		begin := time.Now()
		s := dialIn(t, connect)
		s.send(`{"type":"ping"}`) // not a connection_init
		s.receives(`{"type":"pong"}`)
		s.closed(4408, "initialisation timeout")
		took(t, begin, 10*time.Second)
		f.gone(t)
	})
}

func TestSocketsLiveAsLongAsTheirTokens(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, f *feed, connect func() net.Conn) {
		begin := time.Now()
		f.clock = begin.Add(24 * time.Hour) // tokens expire by the server's clock
		f.expires = f.clock.Add(15 * time.Minute)
		s := dialIn(t, connect)
		s.init("ann")
		s.subscribe("1", "subscription{silent}")
		s.closed(4403, "TOKEN_EXPIRED") // the client answers pings meanwhile
		took(t, begin, 15*time.Minute+5*time.Second)
		f.gone(t)
	})
}

func TestDeadPeersAreDropped(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, f *feed, connect func() net.Conn) {
		begin := time.Now()
		conn, r := raw(t, connect, upgrade)
		if _, err := conn.Write(whole(hello)); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, r) // pings are not answered
		took(t, begin, 30*time.Second)
		f.gone(t)
		if diff := cmp.Diff([]string{"1006"}, f.ends); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSlowReadersAreDropped(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, f *feed, connect func() net.Conn) {
		begin := time.Now()
		conn, _ := raw(t, connect, upgrade)
		_, _ = conn.Write(whole(hello)) // the answer is not read
		f.gone(t)
		took(t, begin, 10*time.Second)
	})
}

// TestIncompleteClosingHandshakesHoldNothing answers a close frame with an incomplete message.
func TestIncompleteClosingHandshakesHoldNothing(t *testing.T) {
	t.Parallel()
	for name, stall := range map[string][]byte{
		"half a message":      frame("x", 1<<19),
		"half a huge message": frame(strings.Repeat("x", 1<<20+100), 1<<40),
		"nothing":             nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inTime(t, func(t *testing.T, f *feed, connect func() net.Conn) {
				begin := time.Now()
				conn, r := raw(t, connect, upgrade)
				go func() {
					_, _ = conn.Write(whole("not JSON"))
					_, _ = conn.Write(stall)
				}()
				_, _ = io.Copy(io.Discard, r)
				f.gone(t)
				if got := time.Since(begin); got > 10*time.Second {
					t.Errorf("took %v", got)
				}
			})
		})
	}
}

func eventsOf(query string, header string) string {
	body := operation(query)
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nAccept: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n%s",
		events, plain, len(body), header, body)
}

func TestSilentEventStreamsAreKeptAliveUntilTheTokenExpires(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, f *feed, connect func() net.Conn) {
		begin := time.Now()
		f.clock = begin
		f.expires = begin.Add(time.Minute)
		_, r := raw(t, connect, eventsOf("subscription{silent}", "Authorization: Bearer ann\r\nConnection: close\r\n"))
		text, err := io.ReadAll(r)
		if err != nil {
			t.Error(err)
		}
		took(t, begin, 65*time.Second)
		if got := strings.Count(string(text), ":\n\n"); got != 5 { // at the start, and every 15 s
			t.Errorf("%d comments in %q", got, text)
		}
		const last = `event: next%sdata: {"errors":[{"message":"this access token has expired: refresh it",` +
			`"extensions":{"code":"UNAUTHENTICATED","reason":"TOKEN_EXPIRED"}}]}`
		if !strings.Contains(string(text), fmt.Sprintf(last, "\n")) || strings.Count(string(text), "event: complete") != 1 {
			t.Errorf("%q", text)
		}
		f.gone(t)
	})
}

// Events must not be missed between the start of the response and the start of the subscription.
func TestEventsAreAnsweredOnceTheSubscriptionHasStarted(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, f *feed, connect func() net.Conn) {
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			raw(t, connect, eventsOf("subscription{held}", ""))
		}()
		synctest.Wait()
		select {
		case <-answered:
			t.Error("answered before the subscription has started")
		default:
		}
		close(f.release)
		<-answered
	})
}

func TestEventsEndWhenTheClientLeaves(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, f *feed, connect func() net.Conn) {
		conn, _ := raw(t, connect, eventsOf("subscription{silent}", ""))
		_ = conn.Close()
		webtest.Wait(t, f.ended, "the subscription does not end")
		f.gone(t)
	})
}

func TestSlowReadersOfEventsAreDropped(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, f *feed, connect func() net.Conn) {
		begin := time.Now()
		raw(t, connect, eventsOf("subscription{flood}", ""))
		webtest.Wait(t, f.ended, "the subscription continues without a reader")
		f.gone(t)
		took(t, begin, 10*time.Second)
	})
}

func TestShutdownLetsMutationsFinishAndWaits(t *testing.T) {
	t.Parallel()
	inTime(t, func(t *testing.T, f *feed, connect func() net.Conn) {
		s := dialIn(t, connect)
		s.init("")
		s.subscribe("1", "mutation{held}")
		s.subscribe("2", "subscription{silent}")
		synctest.Wait()
		down := make(chan error, 1)
		go func() { down <- f.streams.Shutdown(t.Context()) }()
		synctest.Wait()
		if len(f.ended) != 1 || len(down) != 0 {
			t.Fatalf("%d subscriptions ended; Shutdown returned: %v", len(f.ended), len(down) > 0)
		}
		s.send(`{"type":"ping"}`) // new messages are not answered
		close(f.release)
		s.receives(`{"type":"next","id":"1","payload":{"data":{"held":"done"}}}`, `{"type":"complete","id":"1"}`)
		s.closed(websocket.StatusGoingAway, "stopping")
		if err := <-down; err != nil {
			t.Error(err)
		}
		dialIn(t, connect).closed(websocket.StatusGoingAway, "stopping")
		if err := f.streams.Shutdown(t.Context()); err != nil {
			t.Errorf("second call: %v", err)
		}
	})
}
