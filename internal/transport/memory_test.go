package transport_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/memory"
	"github.com/graphwarden/graphwarden/internal/transport"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

func overloaded(got answer) bool {
	return got.Status == 503 && got.Header.Get("Retry-After") != "" && len(got.Errors) == 1 && got.Data == nil &&
		got.Errors[0].Extensions.Code == fault.Unavailable && got.Errors[0].Extensions.Reason == fault.Overloaded
}

// text posts body and returns the status and body of a response that need not be JSON.
func text(tb testing.TB, endpoint, accept, body string) (int, string) {
	tb.Helper()
	response, err := http.DefaultClient.Do(webtest.Request(tb, "POST", endpoint, body, "Content-Type", plain, "Accept",
		accept))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return response.StatusCode, string(got)
}

func postHead(length int, accept string) string {
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAccept: %s\r\nContent-Length: "+
		"%d\r\n\r\n", accept, length)
}

func TestJSONIsMeasuredBeforeItIsDecoded(t *testing.T) {
	t.Parallel()
	endpoint := newAPI().serve(t, transport.HTTP{MaxValues: 20, MaxDepth: 5})
	for text, status := range map[string]int{
		`"variables":{"a":[` + strings.Repeat(`0,`, 14) + `0]}`:    200,
		`"variables":{"a":[` + strings.Repeat(`0,`, 20) + `0]}`:    413,
		`"variables":{"a":[` + strings.Repeat(`[],`, 9) + `[]]}`:   413,
		`"extensions":{` + strings.Repeat(`"a":0,`, 20) + `"b":0}`: 413,
		`"other":[` + strings.Repeat(`{"a":0},`, 9) + `0]`:         413,
		`"variables":{"a":"` + strings.Repeat(`[{,\"`, 20) + `"}`:  200, // strings contain no values
		`"variables":{"a":[[[0]]]}`:                                200,
		`"variables":{"a":[[[[0]]]]}`:                              400,
		`"variables":{"a":` + strings.Repeat(`[`, 100_000):         400,
		`"variables":{"a":"\`:                                      400,
		`"variables":{` + strings.Repeat(`]`, 100) + `[[[[[[`:      400,
	} {
		got := post(t, endpoint, modern, `{"query":"{health}",`+text+`}`)
		if got.Status != status || status == 413 && got.Errors[0].Extensions.Reason != fault.BodyTooLarge {
			t.Errorf("%.60s: %d %s, want %d", text, got.Status, got.Text, status)
		}
	}
	values := url.Values{"query": {"{health}"}, "variables": {`{"a":[` + strings.Repeat(`[],`, 9) + `[]]}`}}
	if got := send(t, webtest.Request(t, "GET", endpoint+"?"+values.Encode(), "", "Accept", modern)); got.Status != 413 {
		t.Errorf("GET: %d %s", got.Status, got.Text)
	}
	_, feed := serveFeed(t, transport.StreamOptions{MaxValues: 20, MaxDepth: 5})
	s := greet(t, feed, "")
	s.send(`{"type":"subscribe","id":"1","payload":{"query":"{who}","variables":{"a":[` + strings.Repeat(`[],`,
		9) + `[]]}}}`)
	s.closed(websocket.StatusMessageTooBig, "at most 20 values")
	r := webtest.Request(t, "POST", feed, `{"query":"{who}","variables":{"a":[`+strings.Repeat(`[],`, 9)+`[]]}}`,
		"Content-Type", plain, "Accept", "text/event-stream")
	if response := send(t, r); response.Status != 413 {
		t.Errorf("events: %d %s", response.Status, response.Text)
	}
}

// TestBodiesInProgressShareMemory checks that slow senders hold the memory of the bytes sent, and no more.
func TestBodiesInProgressShareMemory(t *testing.T) {
	t.Parallel()
	budget := memory.NewBudget(6 << 20) // 1 MiB for bodies
	_, endpoint := serveFeed(t, transport.StreamOptions{Memory: budget})
	large := `{"query":"{who}","variables":{"a":"` + strings.Repeat("x", 150_000) + `"}}`
	if got := post(t, endpoint, modern, large); got.Status != 200 {
		t.Fatalf("alone: %d %s", got.Status, got.Text)
	}
	var slow []net.Conn
	for _, accept := range []string{plain, plain, "text/event-stream"} {
		slow = append(slow,
			webtest.Send(t, strings.TrimPrefix(endpoint, "http://"), postHead(200_000, accept)+strings.Repeat(" ", 190_000)))
	}
	// Wait before the next request: while a large body arrives, a sender would be refused instead.
	webtest.Eventually(t, "the bytes sent are counted", func() bool { return budget.Claimed() > 3*190_000 })
	if got := post(t, endpoint, modern, large); !overloaded(got) {
		t.Errorf("%d %v %s", got.Status, got.Header, got.Text)
	}
	for _, accept := range []string{plain, "text/event-stream"} {
		got := post(t, endpoint, accept, large)
		if got.Header.Get("Retry-After") != "1" || !strings.Contains(got.Text, `"UNAVAILABLE"`) {
			t.Errorf("%s: %d %v %s", accept, got.Status, got.Header, got.Text)
		}
	}
	s := greet(t, endpoint, "")
	s.send(`{"type":"subscribe","id":"1","payload":` + large + `}`)
	s.closed(websocket.StatusTryAgainLater, "OVERLOADED")
	for _, accept := range []string{plain, "text/event-stream"} {
		status, got := text(t, endpoint, accept, operation(`{who}`))
		if status != 200 || !strings.Contains(got, `"anonymous"`) {
			t.Errorf("a small request meanwhile: %d %s", status, got)
		}
	}
	for _, conn := range slow {
		_ = conn.Close()
	}
	webtest.Eventually(t, "the senders' memory is released",
		func() bool { return post(t, endpoint, modern, large).Status == 200 })
}

func TestIncompleteMessagesHoldTheBytesSent(t *testing.T) {
	t.Parallel()
	budget := memory.NewBudget(6 << 20)
	_, endpoint := serveFeed(t, transport.StreamOptions{Memory: budget})
	large := `{"query":"{who}","variables":{"a":"` + strings.Repeat("x", 150_000) + `"}}`
	const upgrade = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: " +
		"websocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
	frame := append(binary.BigEndian.AppendUint64([]byte{0x81, 0x80 | 127}, 200_000), 0, 0, 0, 0)
	var half []net.Conn
	for range 3 {
		half = append(half,
			webtest.Send(t, strings.TrimPrefix(endpoint, "http://"), upgrade+string(frame)+strings.Repeat(" ", 190_000)))
	}
	// Wait before the next request: while a large body arrives, a sender would be refused instead.
	webtest.Eventually(t, "the bytes sent are counted", func() bool { return budget.Claimed() > 3*190_000 })
	if got := post(t, endpoint, modern, large); !overloaded(got) {
		t.Errorf("%d %v %s", got.Status, got.Header, got.Text)
	}
	for _, conn := range half {
		_ = conn.Close()
	}
	webtest.Eventually(t, "the sockets' memory is released",
		func() bool { return post(t, endpoint, modern, large).Status == 200 })
}

func TestSlowMessagesEndTheSocket(t *testing.T) {
	t.Parallel()
	_, endpoint := serveFeed(t, transport.StreamOptions{ReadTimeout: 50 * time.Millisecond})
	s := greet(t, endpoint, "")
	time.Sleep(60 * time.Millisecond)
	s.alive() // the time-out does not apply between messages
	w, err := s.conn.Writer(s.ctx, websocket.MessageText)
	if err == nil {
		_, err = io.WriteString(w, strings.Repeat(" ", 1<<16))
	}
	if err != nil {
		t.Fatal(err)
	}
	s.closed(websocket.StatusPolicyViolation, "took too long")
}

// TestSlowReadersHoldTheirResponses checks that a response holds memory until the client has read it.
func TestSlowReadersHoldTheirResponses(t *testing.T) {
	t.Parallel()
	e := newAPI().executor()
	e.AroundResponses(func(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
		response := next(ctx)
		if graphql.HasOperationContext(ctx) && graphql.GetOperationContext(ctx).Operation.Name == "Large" {
			response.Data = []byte(`"` + strings.Repeat("x", 32<<20) + `"`)
		}
		return response
	})
	endpoint := listen(t, over(transport.HTTP{Memory: memory.NewBudget(24 << 20)}, e))
	large := `{"query":"{health}","variables":{"a":"` + strings.Repeat("x", 150_000) + `"}}`
	if got := post(t, endpoint, modern, large); got.Status != 200 {
		t.Fatalf("alone: %d %s", got.Status, got.Text)
	}
	body := operation("query Large { health }")
	conn := webtest.Send(t, strings.TrimPrefix(endpoint, "http://"), postHead(len(body), plain)+body)
	webtest.Eventually(t, "the response is counted", func() bool { return overloaded(post(t, endpoint, modern, large)) })
	if got := post(t, endpoint, modern, operation(`{health}`)); got.Status != 200 {
		t.Errorf("a small request meanwhile: %d %s", got.Status, got.Text)
	}
	_ = conn.Close()
	webtest.Eventually(t, "the response is released",
		func() bool { return post(t, endpoint, modern, large).Status == 200 })
}

func TestRunningRequestsAreBounded(t *testing.T) {
	t.Parallel()
	f, endpoint := serveFeed(t, transport.StreamOptions{Memory: memory.NewBudget(2 << 20)}) // 4 requests
	s := greet(t, endpoint, "")
	for id := range 4 {
		s.subscribe(fmt.Sprint(id), "{held}")
		webtest.Wait(t, f.held, "the operation does not start")
	}
	s.subscribe("4", "{who}")
	s.receives(`{"type":"error","id":"4","payload":[{"message":"the server has no memory left for this: try again ` +
		`later","extensions":{"code":"UNAVAILABLE","reason":"OVERLOADED","retryAfter":1}}]}`)
	for _, accept := range []string{modern, "text/event-stream"} {
		if got := post(t, endpoint, accept, operation(`{who}`)); !overloaded(got) {
			t.Errorf("%s: %d %v %s", accept, got.Status, got.Header, got.Text)
		}
	}
	for range 4 {
		f.release <- struct{}{}
		s.receive()
		s.receive()
	}
	webtest.Eventually(t, "the requests are released",
		func() bool { return post(t, endpoint, modern, operation(`{who}`)).Status == 200 })
	s.subscribe("5", "{who}")
	s.receives(`{"type":"next","id":"5","payload":{"data":{"who":"anonymous"}}}`, `{"type":"complete","id":"5"}`)
}

func TestOpenStreamsShareMemory(t *testing.T) {
	t.Parallel()
	_, endpoint := serveFeed(t, transport.StreamOptions{Memory: memory.NewBudget(1 << 20)}) // 5 streams
	var open []*client
	for i := range 5 {
		open = append(open, greet(t, endpoint, "", "X-Address", fmt.Sprint("192.0.2.", i)))
	}
	dial(t, endpoint).closed(websocket.StatusTryAgainLater, "OVERLOADED")
	if got := post(t, endpoint, "text/event-stream", operation(`subscription{silent}`)); !overloaded(got) {
		t.Errorf("%d %v %s", got.Status, got.Header, got.Text)
	}
	_ = open[0].conn.CloseNow()
	webtest.Eventually(t, "the socket is released", func() bool {
		status, _ := text(t, endpoint, "text/event-stream", operation(`{who}`))
		return status == 200
	})
}

func TestSubscriptionsShareMemory(t *testing.T) {
	t.Parallel()
	f, endpoint := serveFeed(t,
		transport.StreamOptions{Memory: memory.NewBudget(24 << 20)}) // 4.5 MiB for the streams of a user
	comment := " #" + strings.Repeat("x", 60_000)
	s := greet(t, endpoint, "ann")
	for id := 0; ; id++ { // 76 KiB each
		if id > 100 {
			t.Fatal("100 subscriptions were accepted")
		}
		s.subscribe(fmt.Sprint(id), "subscription{silent}"+comment)
		s.send(`{"type":"ping"}`)
		if got := s.receive(); strings.HasPrefix(got, `{"type":"error"`) && strings.Contains(got, `"retryAfter":1`) {
			break
		}
	}
	_ = s.conn.CloseNow()
	webtest.Eventually(t, "the subscriptions are released", func() bool {
		s := greet(t, endpoint, "ann")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			select {
			case f.events <- "1":
			case <-ctx.Done():
			}
		}()
		s.subscribe("1", "subscription{events}"+comment)
		return s.receive() == `{"type":"next","id":"1","payload":{"data":{"events":1}}}`
	})
}

// TestSubscriptionsKeepOnlyTheOperation measures the heap, so it cannot be parallel.
func TestSubscriptionsKeepOnlyTheOperation(t *testing.T) {
	_, endpoint := serveFeed(t, transport.StreamOptions{Operations: 100, PingEvery: never})
	s := greet(t, endpoint, "")
	before := inUse()
	const n, size = 60, 500_000
	for id := range n {
		s.send(fmt.Sprintf(`{"type":"subscribe","id":"%d","payload":{"query":"subscription{silent}","variables":{"a":%q},`+
			`"extensions":{"a":%q}}}`, id, strings.Repeat("x", size/2), strings.Repeat("x", size/2)))
	}
	s.alive()
	webtest.Eventually(t, "subscriptions have dropped their variables and extensions",
		func() bool { return inUse()-before < n*size/4 })
	s.alive()
}

func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
