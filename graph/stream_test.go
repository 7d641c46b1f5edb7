package graph_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
)

// socket is a client of the graphql-transport-ws protocol.
type socket struct {
	t    *testing.T
	ctx  context.Context
	conn *websocket.Conn
}

func dial(t *testing.T, srv *apptest.Server) *socket {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	conn, _, err := websocket.Dial(
		ctx, strings.Replace(srv.URL, "http", "ws", 1)+"/graphql",
		&websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}},
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &socket{t, ctx, conn}
}

func initWith(accessToken string) []byte {
	return []byte(`{"type": "connection_init", "payload": {"Authorization": "Bearer ` + accessToken + `"}}`)
}

func connect(t *testing.T, srv *apptest.Server, accessToken string) *socket {
	t.Helper()
	s := dial(t, srv)
	s.send(string(initWith(accessToken)))
	if message := s.receive(); !strings.Contains(message, "connection_ack") {
		t.Fatalf("got %s instead of connection_ack", message)
	}
	return s
}

func (s *socket) send(message string) {
	s.t.Helper()
	if err := s.conn.Write(s.ctx, websocket.MessageText, []byte(message)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *socket) receive() string {
	s.t.Helper()
	_, message, err := s.conn.Read(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(message)
}

// run sends an operation and returns the payload of its answer.
func (s *socket) run(query string) string {
	s.t.Helper()
	text, err := json.Marshal(query)
	if err != nil {
		s.t.Fatal(err)
	}
	s.send(`{"id": "1", "type": "subscribe", "payload": {"query": ` + string(text) + `}}`)
	answer := s.receive()
	if complete := s.receive(); !strings.Contains(complete, `"complete"`) {
		s.t.Fatalf("after %s: %s", answer, complete)
	}
	return answer
}

func TestSocketsAreGuardedLikeRequests(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	owner := srv.As(t)
	s := connect(t, srv, owner.AccessToken)
	if answer := s.run(`{ me { email } }`); !strings.Contains(answer, owner.Email) {
		t.Errorf("me: %s", answer)
	}
	for _, mutation := range []string{
		`mutation { login(input: {email: "` + owner.Email + `", password: "` + apptest.Password + `"}) { accessToken } }`,
		`mutation { refreshToken(input: {refreshToken: "` + owner.RefreshToken + `"}) { accessToken } }`,
		`mutation { reauthenticate(input: {password: "` + apptest.Password + `"}) { accessToken } }`,
	} {
		if answer := s.run(mutation); !strings.Contains(answer, "POST_REQUIRED") || strings.Contains(answer, "eyJ") {
			t.Errorf("tokens were issued over a socket: %s", answer)
		}
	}
	owner.Refresh(t) // the token was not redeemed
}

func TestSocketEndsWithItsSession(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	owner := srv.As(t)
	other := owner.Login(t)
	ended, goesOn := connect(t, srv, other.AccessToken), connect(t, srv, owner.AccessToken)
	owner.Do(t, `mutation($id: ID!) { revokeSession(input: {id: $id}) { id } }`, map[string]any{"id": other.SessionID})
	_, _, err := ended.conn.Read(ended.ctx)
	if websocket.CloseStatus(err) != 4403 || !strings.Contains(err.Error(), "TOKEN_REVOKED") {
		t.Errorf("the revoked session's socket: %v", err)
	}
	if answer := goesOn.run(`{ me { email } }`); !strings.Contains(answer, owner.Email) {
		t.Errorf("the other session's socket: %s", answer)
	}
}

func TestStreamsAreLimitedByTheSettings(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]func(*apptest.Options){
		"address": func(o *apptest.Options) { o.Config.StreamsPerAddress = 1 },
		"user":    func(o *apptest.Options) { o.Config.StreamsPerUser = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := apptest.Start(t, limit)
			owner := srv.As(t)
			connect(t, srv, owner.AccessToken)
			second := dial(t, srv)
			_ = second.conn.Write(
				second.ctx, websocket.MessageText, initWith(owner.AccessToken),
			) // it may have been turned away before
			_, _, err := second.conn.Read(second.ctx)
			if websocket.CloseStatus(err) != 4429 || !strings.Contains(err.Error(), name) {
				t.Errorf("the second socket: %v", err)
			}
		})
	}
}
