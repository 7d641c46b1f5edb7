package session_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

// isActive reports by verifyToken, which does not need the database, whether srv accepts a token.
func isActive(tb testing.TB, srv *apptest.Server, accessToken string) (active bool, reason string) {
	tb.Helper()
	const query = `query($token: String!) { verifyToken(token: $token) { active } }`
	answer := srv.Anonymous().Do(tb, query, map[string]any{"token": accessToken})
	if len(answer.Errors) > 0 {
		return false, answer.Errors[0].Extensions.Reason
	}
	var out struct{ VerifyToken struct{ Active bool } }
	answer.Into(tb, &out)
	return out.VerifyToken.Active, ""
}

// dial opens a WebSocket with a token.
func dial(t *testing.T, srv *apptest.Server, accessToken string) (context.Context, *websocket.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	url := strings.Replace(srv.URL, "http", "ws", 1) + "/graphql"
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	message := `{"type": "connection_init", "payload": {"Authorization": "Bearer ` + accessToken + `"}}`
	if err := conn.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
		t.Fatal(err)
	}
	if _, text, err := conn.Read(ctx); err != nil || !strings.Contains(string(text), "connection_ack") {
		t.Fatalf("got %s, %v instead of connection_ack", text, err)
	}
	return ctx, conn
}

// open opens a WebSocket with a token and returns the error that closes it.
func open(t *testing.T, srv *apptest.Server, accessToken string) (closed <-chan error) {
	t.Helper()
	ctx, conn := dial(t, srv, accessToken)
	ended := make(chan error, 1)
	go func() {
		_, _, err := conn.Read(ctx)
		ended <- err
	}()
	return ended
}

func TestRevocationsOutliveAnOutageOfTheDatabase(t *testing.T) {
	t.Parallel()
	postgres := storetest.StartOutage(t)
	a, b := apptest.Start(t, apptest.Database(postgres.URL)), apptest.Start(t, apptest.Database(postgres.URL))
	before, after, stays := a.As(t), a.As(t), a.As(t)
	logout(t, before, "CURRENT", "")
	revokedThere := func() bool {
		active, reason := isActive(t, b, before.AccessToken)
		return !active && reason == ""
	}
	webtest.Eventually(t, "the other replica knows the revocation", revokedThere)
	closed := open(t, b, after.AccessToken)

	postgres.Stop(t)
	if active, _ := isActive(t, b, stays.AccessToken); !active && b.App.View.Age() <= session.MaxViewAge {
		t.Error("an outage is noticed immediately by a field that does not need the database")
	}
	b.Shift(session.MaxViewAge)
	webtest.Eventually(t, "guarded fields are refused", func() bool {
		_, reason := isActive(t, b, stays.AccessToken)
		return reason == string(fault.RevocationViewStale)
	})
	if !revokedThere() { // known revocations stay known
		t.Error("a revoked token is not refused as such")
	}
	bearer(b, stays.AccessToken).Do(t, meQuery, nil).Refused(t, "UNAVAILABLE", string(fault.RevocationViewStale))

	postgres.Start(t)
	webtest.Eventually(t, "guarded fields are answered again", func() bool {
		return bearer(b, stays.AccessToken).Do(t, meQuery, nil).Status == 200
	})
	bearer(b, before.AccessToken).Do(t, meQuery, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_REVOKED")
	webtest.Eventually(t, "the first replica works again", func() bool { return after.Do(t, meQuery, nil).Status == 200 })
	logout(t, after, "CURRENT", "")
	webtest.Eventually(t, "the other replica knows the later revocation", func() bool {
		active, reason := isActive(t, b, after.AccessToken)
		return !active && reason == ""
	})
	select { // the stream survived the outage, but must not survive the revocation
	case err := <-closed:
		if websocket.CloseStatus(err) != 4403 {
			t.Errorf("the stream is closed with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the stream of a revoked session is still open")
	}
	wantAlive(t, b, stays.AccessToken, stays.RefreshToken)
}

// The view polls only when notified, so only the poll after a new connection finds what the gap hides.
func TestRevocationsAreFoundAfterTheListenerWasKilled(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		if srv.App.DB.Dialect() != store.Postgres {
			return // SQLite has no listener
		}
		db := storetest.Open(t, srv.App.Config.Database+"&application_name=listener")
		v := session.NewView(db, session.ViewOptions{MaxSkew: time.Minute}, srv.Now)
		poll(t, v)
		followNotified(t, v, db)
		revoked := func(c *apptest.Client) {
			t.Helper()
			if _, err := srv.App.Sessions.Revoke(t.Context(), c.SessionID, audit.Actor{Claims: claimsOf(c, 1)}); err != nil {
				t.Fatal(err)
			}
			claims := claimsOf(c, 1)
			webtest.Eventually(t, "the other replica knows the revocation", func() bool {
				reason, _ := v.Check(t.Context(), &claims)
				return reason == fault.TokenRevoked
			})
		}
		first, during, later := srv.As(t), srv.As(t), srv.As(t)
		killed := false
		webtest.Eventually(t, "the database listens", func() bool {
			err := srv.App.DB.Get(t.Context(), &killed, `SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity
				WHERE application_name = 'listener' AND query LIKE 'LISTEN%'`)
			return err == nil && killed
		})
		revoked(during)
		revoked(first)
		revoked(later)
	})
}

// signedInBefore returns a client that signed in a minute ago by the database's clock.
func signedInBefore(t *testing.T, srv *apptest.Server) *apptest.Client {
	t.Helper()
	c := srv.As(t)
	srv.Exec(t, "UPDATE sessions SET auth_time = auth_time - $2 WHERE id = $1", c.SessionID, time.Minute.Microseconds())
	c.Refresh(t)
	return c
}

// Each replica judges tokens by its own clock, and revocations by the database's.
func TestRevocationsReachAReplicaWhoseClockIsWrong(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"fast": 20 * time.Second, "slow": -20 * time.Second} {
		t.Run(name, func(t *testing.T) {
			onTwo(t, func(t *testing.T, a, b *apptest.Server) {
				b.Shift(off)
				slower := a // issues tokens that are in the past for both; a token from the future would be refused
				if off < 0 {
					slower = b
				}
				c, d := signedInBefore(t, slower), signedInBefore(t, slower)
				c.Server, d.Server = a, b
				answers := func(status int) func() bool {
					return func() bool { return bearer(b, c.AccessToken).Do(t, meQuery, nil).Status == status }
				}
				webtest.Eventually(t, "the other replica answers", answers(200))
				closed := open(t, b, c.AccessToken)
				logout(t, c, "CURRENT", "")
				webtest.Eventually(t, "the other replica knows the revocation", answers(401))
				bearer(b, c.AccessToken).Do(t, meQuery, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_REVOKED")
				if err := <-closed; websocket.CloseStatus(err) != 4403 {
					t.Errorf("the stream is closed with %v", err)
				}
				logout(t, d, "CURRENT", "") // in the other direction: a revocation by the replica with the wrong clock
				poll(t, a.App.View)
				bearer(a, d.AccessToken).Do(t, meQuery, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_REVOKED")
			})
		})
	}
}

func TestNoEventIsSentByAReplicaThatCannotReadRevocations(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		ctx, conn := dial(t, srv, c.AccessToken)
		message := `{"id": "1", "type": "subscribe", "payload": {"query": "subscription { securityEvents { id } }"}}`
		if err := conn.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
			t.Fatal(err)
		}
		received := make(chan string, 100)
		go func() {
			defer close(received)
			for {
				_, text, err := conn.Read(ctx)
				if err != nil {
					return
				}
				received <- string(text)
			}
		}()
		next := func() string {
			t.Helper()
			select {
			case text := <-received:
				return text
			case <-time.After(20 * time.Second):
				t.Fatal("no answer")
			}
			return ""
		}
		webtest.Eventually(t, "events arrive", func() bool { c.Login(t); return len(received) > 0 })
		if text := next(); !strings.Contains(text, `"next"`) {
			t.Fatal(text)
		}
		hide(t, srv, "revocations")
		srv.Shift(session.MaxViewAge)
		webtest.Eventually(t, "guarded fields are refused", func() bool { return c.Do(t, meQuery, nil).Status == 503 })
		c.Login(t)
		for {
			text := next()
			if strings.Contains(text, `"next"`) {
				continue // sent before the refusal
			}
			if !strings.Contains(text, `"error"`) || !strings.Contains(text, "REVOCATION_VIEW_STALE") {
				t.Error(text)
			}
			break
		}
		show(t, srv, "revocations")
	})
}
