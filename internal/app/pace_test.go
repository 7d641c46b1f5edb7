package app_test

import (
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/token"
)

// idlePoll is the interval in which idle servers poll the database.
const idlePoll = time.Hour

// pause advances the clocks of servers, so that their last request was two minutes ago.
func pause(servers ...*apptest.Server) {
	for _, srv := range servers {
		srv.Shift(2 * time.Minute)
	}
}

func paced(url string) func(*apptest.Options) {
	return func(o *apptest.Options) { o.Config.Database, o.Config.IdlePoll = url, idlePoll }
}

// statements returns the number of statements that a server executes in the time of four polls. A busy machine can only
// make it smaller.
func statements(srv *apptest.Server) int64 {
	before := srv.App.DB.Statements()
	time.Sleep(4 * session.PollEvery)
	return srv.App.DB.Statements() - before
}

func TestAnIdleServerRarelyQueriesTheDatabase(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		srv := apptest.Start(t, paced(url))
		c := srv.As(t)
		isPrompt := func(when string) {
			t.Helper()
			before := srv.App.DB.Statements()
			await(t, "it polls "+when, func() bool { return srv.App.DB.Statements() >= before+8 })
		}
		isPrompt("while there are requests")
		pause(srv)
		await(t, "it rests", func() bool { return statements(srv) == 0 })
		before := srv.App.DB.Statements()
		srv.Shift(idlePoll)
		await(t, "it polls now and then", func() bool { return srv.App.DB.Statements() > before })
		await(t, "it rests again", func() bool { return statements(srv) == 0 })
		if response, body := get(t, srv.URL+"/readyz"); response.StatusCode != 200 {
			t.Errorf("/readyz: %s", body)
		}
		c.Login(t).Do(t, meQuery, nil).Into(t, &struct{}{})
		isPrompt("with the next request")
	})
}

// The first request after a pause must see everything that other replicas acknowledged before.
func TestTheFirstRequestAfterAPauseSeesAllChanges(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		a, b := apptest.Start(t, paced(url)), apptest.Start(t, paced(url))
		rest := func() {
			t.Helper()
			pause(a, b)
			await(t, "it rests", func() bool { return statements(b) == 0 })
		}
		c, d := a.As(t), a.As(t)
		for _, at := range []*apptest.Client{c, d} {
			at.Server = b
			at.Do(t, meQuery, nil).Into(t, &struct{}{})
			at.Server = a
		}
		rest()
		c.Do(t, `mutation { logout { endedSessions } }`, nil).Into(t, &struct{}{})
		c.Server = b
		c.Do(t, meQuery, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_REVOKED")

		rest()
		kid := activeKeyID(t, a)
		if err := a.App.Keys.Revoke(t.Context(), kid, func(*store.Tx, string) error { return nil }); err != nil {
			t.Fatal(err)
		}
		d.Server = b
		d.Do(t, meQuery, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_INVALID")

		rest()
		kid = activeKeyID(t, a)
		if err := a.App.Keys.Revoke(t.Context(), kid, func(*store.Tx, string) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if _, published := get(t, b.URL+"/.well-known/jwks.json"); strings.Contains(published, kid) {
			t.Error("a revoked key is published")
		}
		fresh := d.Login(t)
		fresh.Server = a
		fresh.Do(t, meQuery, nil).Into(t, &struct{}{}) // not signed with the revoked key
	})
}

func activeKeyID(t *testing.T, srv *apptest.Server) string {
	t.Helper()
	keys, err := srv.App.Keys.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if key.State == token.Active {
			return key.KeyID
		}
	}
	t.Fatal("no key is active")
	return ""
}

func TestAnOpenStreamKeepsTheServerPolling(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, func(o *apptest.Options) { o.Config.IdlePoll = idlePoll })
	conn, _, err := websocket.Dial(t.Context(), strings.Replace(srv.URL, "http", "ws", 1)+"/graphql",
		&websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(`{"type": "connection_init"}`)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := conn.Read(t.Context()); err != nil {
		t.Fatal(err)
	}
	pause(srv)
	if srv.App.DB.Quiet() {
		t.Error("the server rests while a stream is open")
	}
	_ = conn.CloseNow()
	await(t, "the stream has ended", func() bool { pause(srv); return srv.App.DB.Quiet() })
}
