package transport_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/transport"
	"github.com/graphwarden/graphwarden/internal/web"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

// never disables a time-out.
const never = 1000 * time.Hour

// feed is an executable schema with subscriptions, run by gqlgen's real server.
//
// The subscription events sends the values of the channel, flood sends large events without end, silent sends none, and
// held starts after release. The field who returns the caller's token, held waits for release, and logout revokes the
// caller's token.
type feed struct {
	*people
	schema  *ast.Schema
	streams *transport.Streams
	events  chan string
	held    chan struct{} // receives a value for each waiting operation
	release chan struct{}
	ended   chan struct{} // receives a value for each ended subscription
	ends    []string      // code and reason of each ended stream; guarded by mu
	log     bytes.Buffer
	serving sync.WaitGroup
}

const feedSDL = `
type Query { who: String! cookie: String! held: String! stuck: String! fails: String! refused: String! panics: String! }
type Mutation { logout: String! setCookie: String! held: String! }
type Subscription { events: Raw! flood: String! silent: String! held: String! fails: String! panics: String! }
scalar Raw`

// serveFeed starts a feed's server and returns its URL.
func serveFeed(tb testing.TB, o transport.StreamOptions) (*feed, string) {
	f, h := newFeed(o)
	return f, listen(tb, h)
}

func newFeed(o transport.StreamOptions) (*feed, http.Handler) {
	f := &feed{
		people:  newPeople(),
		schema:  gqlparser.MustLoadSchema(&ast.Source{Name: "feed", Input: feedSDL}),
		events:  make(chan string),
		held:    make(chan struct{}, 100),
		release: make(chan struct{}),
		ended:   make(chan struct{}, 1000),
	}
	ended := func(code, reason string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.ends = append(f.ends, strings.TrimSpace(code+" "+reason))
	}
	log := slog.New(slog.NewTextHandler(&f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	f.streams = transport.NewStreams(f.authenticate, f.check, o, f.now, ended, log)
	srv := handler.New(f)
	srv.AddTransport(transport.WebSocket{Streams: f.streams,
		Origin: func(r *http.Request) bool { return r.Header.Get("Origin") == "https://app.example.com" }})
	srv.AddTransport(transport.Events{Streams: f.streams})
	srv.AddTransport(transport.HTTP{Memory: o.Memory})
	srv.SetErrorPresenter(present)
	srv.SetRecoverFunc(func(context.Context, any) error { return fmt.Errorf("a panic") })
	count := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.serving.Add(1)
		defer f.serving.Done()
		srv.ServeHTTP(w, r)
	})
	origins, err := web.NewOrigins("https://app.example.com", web.OriginOptions{}, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		panic(err)
	}
	// Clients choose their address here, so that a test can act as several clients.
	return f, web.Identify(web.Cookies(origins, "", count),
		func(r *http.Request) string { return r.Header.Get("X-Address") })
}

func (f *feed) Schema() *ast.Schema { return f.schema }

func (f *feed) Complexity(context.Context, string, string, int, map[string]any) (int, bool) {
	return 0, false
}

func (f *feed) Exec(ctx context.Context) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	field := op.Operation.SelectionSet[0].(*ast.Field)
	if op.Operation.Operation != ast.Subscription {
		return graphql.OneShot(f.answer(ctx, field))
	}
	if field.Name == "fails" {
		graphql.AddError(ctx, fault.New(fault.Forbidden, fault.RoleRequired, "not for you"))
		return nil
	}
	if field.Name == "held" {
		<-f.release
	}
	context.AfterFunc(ctx, func() { f.ended <- struct{}{} })
	return func(ctx context.Context) *graphql.Response {
		value, ok := f.event(ctx, field.Name)
		if !ok {
			return nil
		}
		return &graphql.Response{Data: fmt.Appendf(nil, `{%q:%s}`, field.Alias, value)}
	}
}

func (f *feed) event(ctx context.Context, field string) (value string, ok bool) {
	switch field {
	case "flood":
		return `"` + strings.Repeat("x", 1<<16) + `"`, ctx.Err() == nil
	case "panics":
		panic("secret of the server")
	case "silent":
		<-ctx.Done()
		return "", false
	}
	select {
	case value, ok = <-f.events:
		return value, ok
	case <-ctx.Done():
		return "", false
	}
}

func (f *feed) answer(ctx context.Context, field *ast.Field) *graphql.Response {
	var err error
	value := "done"
	switch field.Name {
	case "who":
		value = "anonymous"
		if token := callerOf(ctx); token != "" {
			value = token
		}
	case "held":
		f.held <- struct{}{}
		select {
		case <-f.release:
		case <-ctx.Done():
			err = ctx.Err()
		}
	case "stuck": // even after the client has left
		f.held <- struct{}{}
		<-f.release
	case "logout":
		if token := callerOf(ctx); token != "" {
			f.revoke(token)
			f.streams.Recheck(transport.Key{Session: "session of " + token})
		}
	case "cookie":
		value, _ = web.RefreshCookie(ctx)
	case "setCookie":
		web.SetRefreshCookie(ctx, "fresh", time.Now().Add(time.Hour))
	case "fails":
		err = fmt.Errorf("select from secrets: %w", context.Canceled)
	case "refused":
		err = fault.New(fault.Unauthenticated, fault.TokenMissing, "sign in first")
	case "panics":
		panic("secret of the server")
	}
	if err != nil {
		return &graphql.Response{Data: []byte("null"),
			Errors: gqlerror.List{present(ctx, gqlerror.WrapPath(ast.Path{ast.PathName(field.Alias)}, err))}}
	}
	return &graphql.Response{Data: fmt.Appendf(nil, `{%q:%q}`, field.Alias, value)}
}

// people contains the users of the tokens. The tokens "ann", "ann2" and so on belong to sessions of the user "a", their
// first letter. Each is valid unless revoked. The token "late" has expired, and "down" cannot be checked.
type people struct {
	mu      sync.Mutex
	revoked map[string]bool
	expires time.Time
	clock   time.Time
	broken  atomic.Bool
	onCheck func(context.Context) // called by each check, if not nil
}

func newPeople() *people { return &people{revoked: make(map[string]bool), clock: time.Now()} }

func (p *people) now() time.Time { return p.clock }

type callerKey struct{}

func callerOf(ctx context.Context) string {
	token, _ := ctx.Value(callerKey{}).(string)
	return token
}

func (p *people) authenticate(ctx context.Context, token string) (context.Context, transport.Key, time.Time, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	anonymous := context.WithValue(ctx, callerKey{}, "")
	switch {
	case token == "late":
		return anonymous, transport.Key{}, time.Time{}, fault.New(fault.Unauthenticated, fault.TokenExpired, "expired")
	case token == "down":
		return anonymous, transport.Key{}, time.Time{}, fault.Busy(fault.RevocationViewStale, "cannot tell", time.Second)
	case token == "odd":
		return anonymous, transport.Key{}, time.Time{}, fmt.Errorf("something odd")
	case strings.ContainsAny(token, " ,"):
		return anonymous, transport.Key{}, time.Time{}, fault.New(fault.Unauthenticated, fault.TokenInvalid, "invalid")
	}
	return context.WithValue(ctx, callerKey{}, token), transport.Key{User: token[:1], Session: "session of " + token},
		p.expires, nil
}

func (p *people) check(ctx context.Context) error {
	if p.onCheck != nil {
		p.onCheck(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.revoked[callerOf(ctx)]:
		return fault.New(fault.Unauthenticated, fault.TokenRevoked, "revoked")
	case p.broken.Load():
		return fault.Busy(fault.RevocationViewStale, "cannot tell", time.Second)
	}
	return nil
}

func (p *people) revoke(token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.revoked[token] = true
}

// gone waits until all requests to f's server have ended.
func (f *feed) gone(tb testing.TB) {
	tb.Helper()
	done := make(chan struct{})
	go func() { f.serving.Wait(); close(done) }()
	webtest.Wait(tb, done, "the requests have not ended")
}

// client is the client end of a WebSocket.
type client struct {
	testing.TB
	conn *websocket.Conn
	ctx  context.Context
}

const protocol = "graphql-transport-ws"

// dial connects with the supported subprotocol.
func dial(tb testing.TB, url string, header ...string) *client {
	tb.Helper()
	c, resp, err := tryDial(tb, http.DefaultClient, url, protocol, header...)
	if err != nil {
		tb.Fatalf("dial: %v %v", err, resp)
	}
	return c
}

func tryDial(tb testing.TB, via *http.Client, url, protocol string, header ...string) (*client, *http.Response, error) {
	ctx, cancel := context.WithTimeout(tb.Context(), webtest.Patience)
	tb.Cleanup(cancel)
	o := &websocket.DialOptions{HTTPClient: via, HTTPHeader: http.Header{}}
	if protocol != "" {
		o.Subprotocols = []string{protocol}
	}
	for i := 0; i < len(header); i += 2 {
		o.HTTPHeader.Add(header[i], header[i+1])
	}
	conn, resp, err := websocket.Dial(ctx, strings.Replace(url, "http", "ws", 1), o)
	if err != nil {
		return nil, resp, err
	}
	conn.SetReadLimit(-1)
	tb.Cleanup(func() { _ = conn.CloseNow() })
	return &client{TB: tb, conn: conn, ctx: ctx}, resp, nil
}

// greet connects with token, or anonymously for "".
func greet(tb testing.TB, url, token string, header ...string) *client {
	tb.Helper()
	c := dial(tb, url, header...)
	c.init(token)
	return c
}

func (c *client) init(token string) {
	c.Helper()
	c.send(fmt.Sprintf(`{"type":"connection_init","payload":{"authorization":%q}}`, token))
	c.receives(`{"type":"connection_ack"}`)
}

func (c *client) send(text string) {
	c.Helper()
	if err := c.conn.Write(c.ctx, websocket.MessageText, []byte(text)); err != nil {
		c.Fatalf("send %.100s: %v", text, err)
	}
}

func (c *client) subscribe(id, query string) {
	c.Helper()
	c.send(fmt.Sprintf(`{"type":"subscribe","id":%q,"payload":{"query":%q}}`, id, query))
}

// receive returns the next message.
func (c *client) receive() string {
	c.Helper()
	_, data, err := c.conn.Read(c.ctx)
	if err != nil {
		c.Fatalf("receive: %v", err)
	}
	if !json.Valid(data) {
		c.Fatalf("not JSON: %s", data)
	}
	return string(data)
}

// receives requires that exactly these messages follow.
func (c *client) receives(want ...string) {
	c.Helper()
	for _, message := range want {
		if got := c.receive(); got != message {
			c.Fatalf("received %s\nwant     %s", got, message)
		}
	}
}

// alive requires an answer to a ping.
func (c *client) alive() {
	c.Helper()
	c.send(`{"type":"ping"}`)
	c.receives(`{"type":"pong"}`)
}

// closed requires that the connection ends now, with this code and reason.
func (c *client) closed(code websocket.StatusCode, reason string) {
	c.Helper()
	_, data, err := c.conn.Read(c.ctx)
	if err == nil {
		c.Fatalf("received %s, want the close code %d", data, code)
	}
	if e, ok := errors.AsType[websocket.CloseError](err); !ok || e.Code != code || !strings.Contains(e.Reason, reason) {
		c.Fatalf("ended with %v, want %d %q", err, code, reason)
	}
}
