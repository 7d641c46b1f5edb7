package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/app"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
)

// lockedBuffer is a buffer for concurrent use.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// page is a browser client on a page of an origin.
func page(srv *apptest.Server, origin string) *apptest.Client {
	c := srv.Anonymous()
	c.Header.Set("Origin", origin)
	c.Header.Set("Sec-Fetch-Site", "same-site")
	return c
}

const registers = `mutation($input: RegisterInput!) { register(input: $input) { auth { accessToken user { email } } } }`

func TestAPageOfThisMachineSignsInWithoutASetting(t *testing.T) {
	t.Parallel()
	const vite = "http://localhost:5173"
	var log lockedBuffer
	srv := apptest.Start(t, func(o *apptest.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	r, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, srv.URL+"/graphql", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", vite)
	r.Header.Set("Access-Control-Request-Method", "POST")
	r.Header.Set("Access-Control-Request-Headers", "authorization,content-type,traceparent")
	preflight, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = preflight.Body.Close()
	if h := preflight.Header; preflight.StatusCode > 299 ||
		h.Get(
			"Access-Control-Allow-Origin",
		) != vite || h.Get("Access-Control-Allow-Headers") != "authorization,content-type,traceparent" {
		t.Errorf("preflight: %d %v", preflight.StatusCode, h)
	}
	c := page(srv, vite)
	var registered struct {
		Register struct{ Auth struct{ AccessToken string } }
	}
	input := map[string]any{"input": map[string]any{"email": "ada@example.com", "password": apptest.Password}}
	c.Do(t, registers, input).Into(t, &registered)
	c.AccessToken = registered.Register.Auth.AccessToken
	answer := c.Do(t, `{ me { email } }`, nil)
	if !strings.Contains(string(answer.Body), "ada@example.com") ||
		answer.Header.Get("Access-Control-Allow-Origin") != vite {
		t.Errorf("%s %v", answer.Body, answer.Header)
	}
	if text := log.String(); strings.Contains(text, vite) {
		t.Errorf("an admitted origin is logged: %s", text)
	}
	cookie := map[string]any{"input": map[string]any{
		"email": "bob@example.com", "password": apptest.Password, "delivery": "COOKIE"}}
	page(srv, vite).Do(t, registers, cookie).Refused(t, "FORBIDDEN", "ORIGIN_NOT_ALLOWED")
	if !strings.Contains(log.String(), "--allowed-origins="+vite) {
		t.Errorf("the log does not name the flag: %s", &log)
	}
}

func TestInProductionAPageOfThisMachineIsRefusedAndLogged(t *testing.T) {
	t.Parallel()
	var log lockedBuffer
	srv := apptest.Start(t, func(o *apptest.Options) {
		o.Config.Production, o.Config.PublicURL = true, "https://api.example.com"
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	answer := page(srv, "http://localhost:5173").Do(t, `{ __typename }`, nil)
	if got := answer.Header.Get("Access-Control-Allow-Origin"); got != "" ||
		!strings.Contains(log.String(), "--allowed-origins=http://localhost:5173") {
		t.Errorf("allows %q, log %s", got, &log)
	}
}

// backlogged accepts no connections before the stop, so that they wait in the kernel's queue.
type backlogged struct {
	net.Listener
	open <-chan struct{}
}

func (l backlogged) Accept() (net.Conn, error) {
	<-l.open
	return l.Listener.Accept()
}

// Without a delay, closing the listener would reset waiting connections, and their clients could not know whether a
// mutation ran.
func TestMutationsOnConnectionsEstablishedAtTheStopAreAcknowledged(t *testing.T) {
	t.Parallel()
	c := apptest.Config(t)
	c.StopDelay, c.DrainTimeout = 5*time.Second, time.Minute
	if problems := c.Complete(func(string) bool { return true }); problems != nil {
		t.Fatal(problems)
	}
	a, err := app.Open(t.Context(), c, app.Migrates, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Close() }()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- a.Run(ctx, backlogged{l, ctx.Done()}) }()
	const connections = 60
	answers := make(chan error, connections)
	var sent sync.WaitGroup
	for i := range connections {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		sent.Add(1)
		go func() {
			defer func() { _ = conn.Close() }()
			answers <- registerOver(conn, i, sent.Done)
		}()
	}
	sent.Wait()
	stop()
	for range connections {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// registerOver registers an account over a connection. The server must close the connection after the response.
func registerOver(conn net.Conn, i int, sent func()) error {
	body, err := json.Marshal(map[string]any{"query": registers, "variables": map[string]any{
		"input": map[string]any{"email": fmt.Sprintf("c%d@example.com", i), "password": apptest.Password}}})
	if err == nil {
		_, err = fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: x\r\n"+
			"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	sent()
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	text := string(answer)
	// A slow machine refuses some because of load; their clients know that no mutation ran.
	acknowledged := strings.Contains(text, `"accessToken"`) || strings.Contains(text, `"UNAVAILABLE"`)
	if err != nil || !acknowledged || !strings.Contains(text, "Connection: close") {
		return fmt.Errorf("connection %d: %.300q, read error: %s", i, text, fmt.Sprint(err))
	}
	return nil
}
