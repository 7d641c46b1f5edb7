package graph_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/token"
)

// subscribe starts a subscription and waits until it runs: the server answers the ping after it.
func (s *socket) subscribe(id, query string) {
	s.t.Helper()
	text, err := json.Marshal(query)
	if err != nil {
		s.t.Fatal(err)
	}
	s.send(`{"id": "` + id + `", "type": "subscribe", "payload": {"query": ` + string(text) + `}}`)
}

const securityEvents = `subscription { securityEvents { action ip byAdministrator } }`

// subscribed waits until srv has n subscribers of the audit log.
func subscribed(tb testing.TB, srv *apptest.Server, n int) {
	tb.Helper()
	for limit := time.Now().Add(20 * time.Second); srv.App.Feed.Subscribers() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			tb.Fatalf("%d subscribers, want %d", srv.App.Feed.Subscribers(), n)
		}
	}
}

func TestSecurityEventsComeFromEveryReplica(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		a, b := apptest.Start(t, apptest.Database(url)), apptest.Start(t, apptest.Database(url))
		c, stranger, admin := a.As(t), a.As(t), a.As(t, "ADMIN")
		s, of := connect(t, b, c.AccessToken), connect(t, b, admin.AccessToken)
		s.subscribe("mine", securityEvents)
		of.subscribe("all", `subscription { auditEvents(filter: {action: AUTHN_LOGIN_SUCCESS}) { action user { email } } }`)
		subscribed(t, b, 2)
		stranger.Login(t) // another user's event
		other := c.Login(t)
		const want = `"action":"AUTHN_LOGIN_SUCCESS","ip":"127.0.0.1","byAdministrator":false`
		if got := s.receive(); !strings.Contains(got, want) || !strings.Contains(got, `"mine"`) {
			t.Errorf("want %s, got %s", want, got)
		}
		for _, email := range []string{stranger.Email, c.Email} {
			if got := of.receive(); !strings.Contains(got, email) {
				t.Errorf("want one of %s, got %s", email, got)
			}
		}
		other.Do(t, `mutation { logout { endedSessions } }`, nil).Into(t, &struct{}{})
		if got := s.receive(); !strings.Contains(got, "AUTHN_TOKEN_REVOKED") {
			t.Errorf("got %s", got)
		}
		s.send(`{"id": "mine", "type": "complete"}`)
		subscribed(t, b, 1)
	})
}

func TestSubscriptionsEndWithTheirToken(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		a, b := apptest.Start(t, apptest.Database(url)), apptest.Start(t, apptest.Database(url))
		c := a.As(t)
		s := connect(t, b, c.AccessToken)
		s.subscribe("mine", securityEvents)
		stream := eventStream(t, b, c.AccessToken, securityEvents)
		subscribed(t, b, 2)
		c.Do(t, `mutation { logout(input: {scope: ALL}) { endedSessions } }`, nil).Into(t, &struct{}{})
		for {
			_, message, err := s.conn.Read(s.ctx)
			if err == nil {
				if !strings.Contains(string(message), "AUTHN_TOKEN_REVOKED") {
					t.Errorf("before the end: %s", message)
				}
				continue // an event from before the end
			}
			if websocket.CloseStatus(err) != 4403 || !strings.Contains(err.Error(), "TOKEN_REVOKED") {
				t.Errorf("the socket: %v", err)
			}
			break
		}
		var last string
		for event, ok := stream(); ok; event, ok = stream() {
			last = event
		}
		if !strings.Contains(last, `"TOKEN_REVOKED"`) {
			t.Errorf("the last event: %s", last)
		}
		subscribed(t, b, 0)
	})
}

// eventStream subscribes by server-sent events.
func eventStream(t *testing.T, srv *apptest.Server, accessToken, query string) (next func() (data string, ok bool)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL+"/graphql", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Authorization", "Bearer "+accessToken)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	lines := bufio.NewScanner(response.Body)
	return func() (string, bool) {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && data != "" {
				return data, true
			}
		}
		return "", false
	}
}

func TestSubscriptionsAreGuarded(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	c := srv.As(t)
	s := connect(t, srv, c.AccessToken)
	s.subscribe("all", `subscription { auditEvents { action } }`)
	if got := s.receive(); !strings.Contains(got, `"error"`) && !strings.Contains(got, `"errors"`) ||
		!strings.Contains(got, "ROLE_REQUIRED") {
		t.Errorf("a user without the role: %s", got)
	}
	stream := eventStream(t, srv, "nonsense", securityEvents)
	if got, _ := stream(); !strings.Contains(got, "TOKEN_INVALID") {
		t.Errorf("with a bad token: %s", got)
	}
	if n := srv.App.Feed.Subscribers(); n != 0 {
		t.Errorf("%d subscribed despite the refusals", n)
	}
}

// The server tells a slow subscriber to reconnect. Events are never dropped silently.
func TestSlowReadersAreDisconnected(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	c := srv.As(t)
	lagged := make(chan struct{})
	entries, err := srv.App.Feed.Subscribe(t.Context(), audit.Filter{User: c.UserID}, func() { close(lagged) })
	if err != nil {
		t.Fatal(err)
	}
	s := connect(t, srv, c.AccessToken)
	s.subscribe("mine", `subscription { securityEvents { action } }`)
	subscribed(t, srv, 2)
	const n = 1000
	err = srv.App.DB.Tx(t.Context(), func(tx *store.Tx) error {
		for range n {
			by := audit.Actor{Claims: token.Claims{UserID: c.UserID}}
			if err := audit.Record(tx, audit.Event{Action: audit.AuthnPasswordChange, By: by, User: c.UserID}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	<-lagged
	read := 0
	for range entries {
		read++
	}
	if read == 0 || read >= n {
		t.Errorf("received %d of %d events before the end", read, n)
	}
	// A WebSocket either has all events in its buffers, or is closed so that the client reconnects.
	for i := 0; i < n; i++ {
		if _, _, err := s.conn.Read(s.ctx); err != nil {
			if websocket.CloseStatus(err) != websocket.StatusTryAgainLater {
				t.Errorf("after %d events: %v", i, err)
			}
			return
		}
	}
}
