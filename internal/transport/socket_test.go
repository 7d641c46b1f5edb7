package transport_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/transport"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

func TestSocketOperationsAreAnswered(t *testing.T) {
	t.Parallel()
	_, url := serveFeed(t, transport.StreamOptions{MaxErrors: 2})
	for name, c := range map[string]struct {
		query, want string
		complete    bool
	}{
		"query": {`{who}`, `{"type":"next","id":"1","payload":{"data":{"who":"anonymous"}}}`, true},
		"refused before execution": {`{refused}`, `{"type":"next","id":"1","payload":{"errors":[{` +
			`"message":"sign in first","path":["refused"],` +
			`"extensions":{"code":"UNAUTHENTICATED","reason":"TOKEN_MISSING"}}]}}`, true},
		"failed": {`{fails}`, `{"type":"next","id":"1","payload":{"errors":[{"message":"internal error","path":["fails"],` +
			`"extensions":{"code":"INTERNAL_SERVER_ERROR"}}],"data":null}}`, true},
		"subscription refused": {`subscription{fails}`, `{"type":"next","id":"1","payload":{"errors":[{` +
			`"message":"not for you","extensions":{"code":"FORBIDDEN","reason":"ROLE_REQUIRED"}}]}}`, true},
		"parse failure": {`{`, `{"type":"error","id":"1","payload":[{"message":"Expected Name, found \u003cEOF\u003e",` +
			`"locations":[{"line":1,"column":2}],"extensions":{"code":"GRAPHQL_PARSE_FAILED"}}]}`, false},
		"empty query": {``, `{"type":"error","id":"1","payload":[{"message":"no operation provided",` +
			`"extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}`, false},
		"panic": {`{panics}`, `{"type":"error","id":"1","payload":[{"message":"internal error",` +
			`"extensions":{"code":"INTERNAL_SERVER_ERROR","reason":""}}]}`, false},
		"panic while subscribed": {`subscription{panics}`, `{"type":"error","id":"1","payload":[{` +
			`"message":"internal error","extensions":{"code":"INTERNAL_SERVER_ERROR","reason":""}}]}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := greet(t, url, "")
			s.subscribe("1", c.query)
			s.receives(c.want)
			if c.complete {
				s.receives(`{"type":"complete","id":"1"}`)
			}
			s.alive() // no other message arrives, and the id is free
			s.subscribe("1", "{who}")
			s.receives(`{"type":"next","id":"1","payload":{"data":{"who":"anonymous"}}}`, `{"type":"complete","id":"1"}`)
		})
	}
	s := greet(t, url, "")
	s.subscribe("1", "{a b c d}")
	if got := s.receive(); strings.Count(got, "Cannot query field") != 2 {
		t.Errorf("errors are not capped: %s", got)
	}
}

func TestSubscriptionSendsEventsUntilItEnds(t *testing.T) {
	t.Parallel()
	f, url := serveFeed(t, transport.StreamOptions{})
	s := greet(t, url, "")
	s.subscribe("1", "subscription{events}")
	for i := range 3 {
		f.events <- fmt.Sprint(i)
		s.receives(fmt.Sprintf(`{"type":"next","id":"1","payload":{"data":{"events":%d}}}`, i))
	}
	close(f.events)
	s.receives(`{"type":"complete","id":"1"}`)
	s.alive()
}

func TestCompletedOperationsEndAndFreeTheirID(t *testing.T) {
	t.Parallel()
	f, url := serveFeed(t, transport.StreamOptions{})
	s := greet(t, url, "")
	for range 20 {
		s.subscribe("1", "subscription{silent}")
		s.send(`{"type":"complete","id":"1"}`)
	}
	for range 20 {
		webtest.Wait(t, f.ended, "a completed subscription does not end")
	}
	s.subscribe("1", "subscription{events}")
	f.events <- "1"
	s.receives(`{"type":"next","id":"1","payload":{"data":{"events":1}}}`)
}

func TestOperationsOfASocketAreCapped(t *testing.T) {
	t.Parallel()
	f, url := serveFeed(t, transport.StreamOptions{Operations: 2})
	s := greet(t, url, "")
	s.subscribe("1", "{stuck}")
	s.subscribe("2", "subscription{silent}")
	webtest.Wait(t, f.held, "the query does not run")
	s.send(`{"type":"complete","id":"1"}`) // it still runs
	s.subscribe("3", "{who}")
	s.receives(`{"type":"error","id":"3","payload":[{"message":"too many operations are under way on this connection",` +
		`"extensions":{"code":"RATE_LIMITED","reason":"OVERLOADED","retryAfter":1}}]}`)
	close(f.release)
	for s.subscribe("3", "{who}"); strings.Contains(s.receive(), `"error"`); s.subscribe("3", "{who}") {
	}
	s.receives(`{"type":"complete","id":"3"}`)
}

func TestRevocationEndsTheStreamsOfThatSessionOrUser(t *testing.T) {
	t.Parallel()
	f, url := serveFeed(t, transport.StreamOptions{})
	ann, ann2, bob, anonymous := greet(t, url, "ann"), greet(t, url, "ann2"), greet(t, url, "bob"), greet(t, url, "")
	for _, s := range []*client{ann, ann2, bob, anonymous} {
		s.subscribe("1", "subscription{silent}")
		s.alive()
	}
	f.revoke("ann")
	f.streams.Recheck(transport.Key{Session: "session of ann"})
	ann.closed(4403, "TOKEN_REVOKED")
	ann2.alive()
	f.streams.Recheck(transport.Key{User: "a"}) // none of its tokens is revoked
	ann2.alive()
	f.revoke("ann2")
	f.revoke("bob")
	f.streams.Recheck(transport.Key{User: "a"})
	ann2.closed(4403, "TOKEN_REVOKED")
	bob.alive()  // not rechecked
	f.revoke("") // the empty name
	f.streams.Recheck(transport.Key{})
	anonymous.alive()
	f.streams.Recheck(transport.Key{User: "b", Session: "session of bob"})
	bob.closed(4403, "TOKEN_REVOKED")
	anonymous.alive()
}

func TestTheTokenIsCheckedBeforeEachEventAndOperation(t *testing.T) {
	t.Parallel()
	f, url := serveFeed(t, transport.StreamOptions{})
	watching, asking := greet(t, url, "ann"), greet(t, url, "ann")
	watching.subscribe("1", "subscription{events}")
	f.events <- "1"
	watching.receives(`{"type":"next","id":"1","payload":{"data":{"events":1}}}`)
	f.revoke("ann") // without a Recheck
	f.events <- "2"
	watching.closed(4403, "TOKEN_REVOKED")
	asking.subscribe("1", "{who}")
	asking.closed(4403, "TOKEN_REVOKED")
	late := dial(t, url)
	late.send(`{"type":"connection_init","payload":{"token":"ann"}}`)
	if got := late.receive(); got != `{"type":"connection_ack"}` {
		t.Error(got)
	}
	late.closed(4403, "TOKEN_REVOKED")
}

func TestNoEventFollowsTheEndOfItsStream(t *testing.T) {
	t.Parallel()
	f, url := serveFeed(t, transport.StreamOptions{})
	s := greet(t, url, "ann")
	s.subscribe("1", "subscription{events}")
	s.alive()
	f.events <- "1"
	s.receives(`{"type":"next","id":"1","payload":{"data":{"events":1}}}`)
	f.onCheck = func(ctx context.Context) {
		transport.EndStream(ctx, fault.New(fault.Unauthenticated, fault.TokenRevoked, "revoked"))
	}
	f.events <- "2"
	s.closed(4403, "TOKEN_REVOKED")
}

func TestNoOperationFollowsAViolation(t *testing.T) {
	t.Parallel()
	f, url := serveFeed(t, transport.StreamOptions{})
	for range 50 {
		s := greet(t, url, "")
		s.send("nonsense")
		// The server may already have closed the connection.
		const held = `{"type":"subscribe","id":"1","payload":{"query":"{held}"}}`
		_ = s.conn.Write(s.ctx, websocket.MessageText, []byte(held))
		s.closed(4400, "Invalid message")
	}
	f.gone(t)
	if n := len(f.held); n > 0 {
		t.Errorf("%d operations ran", n)
	}
}

func TestUnavailableRevocationsEndOnlyTheOperation(t *testing.T) {
	t.Parallel()
	f, url := serveFeed(t, transport.StreamOptions{})
	s := greet(t, url, "ann")
	s.subscribe("1", "subscription{events}")
	f.events <- "1"
	s.receives(`{"type":"next","id":"1","payload":{"data":{"events":1}}}`)
	const unavailable = `{"type":"error","id":"%s","payload":[{"message":"cannot tell",` +
		`"extensions":{"code":"UNAVAILABLE","reason":"REVOCATION_VIEW_STALE","retryAfter":1}}]}`
	f.broken.Store(true)
	f.events <- "2"
	s.receives(fmt.Sprintf(unavailable, "1"))
	s.subscribe("2", "{who}")
	s.receives(fmt.Sprintf(unavailable, "2"))
	f.streams.Recheck(transport.Key{User: "a"})
	f.broken.Store(false)
	s.subscribe("1", "{who}")
	s.receives(`{"type":"next","id":"1","payload":{"data":{"who":"ann"}}}`, `{"type":"complete","id":"1"}`)
}

func TestMutationThatEndsItsOwnSessionIsAnswered(t *testing.T) {
	t.Parallel()
	_, url := serveFeed(t, transport.StreamOptions{})
	s := greet(t, url, "ann")
	s.subscribe("1", "subscription{silent}")
	s.subscribe("2", "mutation{logout}")
	s.receives(`{"type":"next","id":"2","payload":{"data":{"logout":"done"}}}`, `{"type":"complete","id":"2"}`)
	s.closed(4403, "TOKEN_REVOKED") // without complete for 1, which resumes with a new token
}

func TestStreamsOfAnAddressAndOfAUserAreCapped(t *testing.T) {
	t.Parallel()
	_, url := serveFeed(t, transport.StreamOptions{PerAddress: 2, PerUser: 2})
	from := func(address string) []string { return []string{"X-Address", address} }
	first := greet(t, url, "ann", from("2001:db8::1")...)
	greet(t, url, "bob", from("2001:db8::2")...)
	dial(t, url, from("2001:db8::ffff")...).closed(4429, "too many streams are open from this address")
	got := send(t, webtest.Request(t, "POST", url, operation("{who}"),
		"Content-Type", plain, "Accept", events, "X-Address", "2001:db8::3"))
	if got.Status != 429 || got.Header.Get("Retry-After") != "60" ||
		got.Errors[0].Extensions.Code != fault.RateLimited {
		t.Errorf("%d %v %s", got.Status, got.Header, got.Text)
	}
	greet(t, url, "ann2", from("2001:db8:0:1::1")...) // another network
	third := dial(t, url, from("192.0.2.1")...)
	third.send(`{"type":"connection_init","payload":{"token":"ann3"}}`)
	third.closed(4429, "too many streams are open from this user")
	got = send(t, webtest.Request(t, "POST", url, operation("{who}"),
		"Content-Type", plain, "Accept", events, "Authorization", "Bearer ann"))
	if got.Status != 429 {
		t.Errorf("%d %s", got.Status, got.Text)
	}
	for range 3 {
		greet(t, url, "") // anonymous, without an address
	}
	if err := first.conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	for { // the place is free once the server has noticed the close
		s := dial(t, url, from("2001:db8::ffff")...)
		s.send(`{"type":"connection_init","payload":{"token":"ann"}}`)
		if _, _, err := s.conn.Read(s.ctx); err == nil {
			break
		} else if s.ctx.Err() != nil {
			t.Fatal("the place of a closed socket is not released")
		}
	}
}

func TestShutdownCutsOffStreamsAfterItsContext(t *testing.T) {
	t.Parallel()
	f, url := serveFeed(t, transport.StreamOptions{WriteTimeout: never, PingEvery: never})
	dial(t, url) // never read, so the close frame is not answered
	s := greet(t, url, "")
	s.subscribe("1", "{held}")
	webtest.Wait(t, f.held, "the query does not run")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.streams.Shutdown(ctx); err == nil {
		t.Error("no error")
	}
	f.gone(t)
}

func TestShutdownWithoutStreamsReturns(t *testing.T) {
	t.Parallel()
	f, url := serveFeed(t, transport.StreamOptions{})
	if err := f.streams.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	got := send(t, webtest.Request(t, "POST", url, operation("{who}"), "Content-Type", plain, "Accept", events))
	if got.Status != 503 || got.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", got.Status, got.Text)
	}
}

// TestSocketsLeaveNoGoroutines counts goroutines, so it cannot be parallel.
func TestSocketsLeaveNoGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("sockets", func(t *testing.T) {
		f, url := serveFeed(t, transport.StreamOptions{})
		for i := range 60 {
			s := greet(t, url, "ann")
			s.subscribe("1", "subscription{silent}")
			s.subscribe("2", "{held}")
			webtest.Wait(t, f.held, "the query does not run")
			switch i % 4 {
			case 0:
				_ = s.conn.Close(websocket.StatusNormalClosure, "")
			case 1:
				_ = s.conn.CloseNow()
			case 2:
				s.send("nonsense")
			case 3:
				s.subscribe("1", "{who}")
			}
			if i%4 > 1 {
				close(f.release)
				for err := error(nil); err == nil; {
					_, _, err = s.conn.Read(s.ctx)
				}
				f.gone(t)
				f.release = make(chan struct{})
			}
		}
		f.gone(t)
	})
	deadline := time.After(webtest.Patience)
	for runtime.NumGoroutine() > before {
		select {
		case <-deadline:
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		default:
			runtime.Gosched()
		}
	}
}

func TestStreamEndsAreCountedAndLogged(t *testing.T) {
	t.Parallel()
	f, url := serveFeed(t, transport.StreamOptions{MaxBody: 1 << 10, PerUser: 1})
	if err := greet(t, url, "").conn.Close(3000, "of its own"); err != nil {
		t.Fatal(err)
	}
	bad := dial(t, url)
	bad.send("hello")
	bad.closed(4400, "")
	big := greet(t, url, "")
	big.send(strings.Repeat("x", 1<<11))
	big.closed(websocket.StatusMessageTooBig, "")
	late := dial(t, url)
	late.send(`{"type":"connection_init","payload":{"token":"late"}}`)
	late.closed(4403, "TOKEN_EXPIRED")
	revoked := greet(t, url, "ann")
	second := send(t, webtest.Request(t, "POST", url, operation("{who}"), "Content-Type", plain, "Accept", events,
		"Authorization", "Bearer ann2"))
	if second.Status != 429 {
		t.Fatalf("%d %s", second.Status, second.Text)
	}
	f.revoke("ann")
	f.streams.Recheck(transport.Key{User: "a"})
	revoked.closed(4403, "TOKEN_REVOKED")
	answered := listenTo(t, url, "{who}")
	answered.ends("event: next", `data: {"data":{"who":"anonymous"}}`, "", "event: complete", "data: ", "")
	f.gone(t) // so that Shutdown ends only the next stream
	stopped := greet(t, url, "bob")
	go func() { _ = f.streams.Shutdown(t.Context()) }()
	stopped.closed(websocket.StatusGoingAway, "")
	f.gone(t)
	slices.Sort(f.ends)
	want := []string{
		"1000", "1000", "1001 OVERLOADED", "1009", "4400", "4403 TOKEN_EXPIRED", "4403 TOKEN_REVOKED", "4429 OVERLOADED",
	}
	if diff := cmp.Diff(want, f.ends); diff != "" {
		t.Error(diff)
	}
	const line = `level=DEBUG msg="stream ended" code=4403 reason=TOKEN_REVOKED request=`
	if log := f.log.String(); !strings.Contains(log, line) || !strings.Contains(log, " user=a\n") {
		t.Error(log)
	}
}
