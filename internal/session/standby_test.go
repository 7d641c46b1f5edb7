package session_test

import (
	"net/http"
	"testing"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

const (
	loginMutation = `mutation($email: String!, $password: String!) {
		login(input: {email: $email, password: $password}) { tokenType }
	}`
	registerMutation = `mutation($email: String!, $password: String!) {
		register(input: {email: $email, password: $password}) { auth { tokenType } }
	}`
)

func readiness(tb testing.TB, srv *apptest.Server) int {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, srv.URL+"/readyz", nil)
	if err != nil {
		tb.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// wantNoWrites checks that writes are refused as UNAVAILABLE and that the server is not ready.
func wantNoWrites(t *testing.T, srv *apptest.Server, c *apptest.Client) {
	t.Helper()
	for name, answer := range map[string]*apptest.Answer{
		"login":         c.Do(t, loginMutation, map[string]any{"email": c.Email, "password": apptest.Password}),
		"a wrong login": c.Do(t, loginMutation, map[string]any{"email": c.Email, "password": "not the password"}),
		"register": c.Do(t, registerMutation,
			map[string]any{"email": "new@example.com", "password": apptest.Password}),
		"refreshToken": c.Redeem(t, c.RefreshToken),
	} {
		if len(answer.Errors) != 1 {
			t.Errorf("%s: %s", name, answer.Body)
			continue
		}
		e := answer.Errors[0].Extensions
		if e.Code != "UNAVAILABLE" || e.Reason != "STORAGE_UNAVAILABLE" || e.RetryAfter <= 0 {
			t.Errorf("%s: %s", name, answer.Body)
		}
	}
	if status := readiness(t, srv); status != 503 {
		t.Errorf("/readyz answers %d", status)
	}
}

// Until it is promoted, a standby may lack revocations and cannot be written.
func TestAStandbyCountsAsAnOutageUntilItIsPromoted(t *testing.T) {
	t.Parallel()
	postgres := storetest.StartOutage(t)
	srv := apptest.Start(t, apptest.Database(postgres.URL))
	c := srv.As(t)
	if status := readiness(t, srv); status != 200 {
		t.Fatalf("/readyz answers %d", status)
	}
	postgres.Demote(t)
	webtest.Eventually(t, "the standby answers", func() bool { _, err := srv.App.DB.Now(t.Context()); return err == nil })
	wantNoWrites(t, srv, c)
	for range 2 { // the first poll may use a connection to the old primary
		if err := srv.App.View.Poll(t.Context()); err == nil {
			t.Error("the view accepts the rows of a standby")
		}
	}
	srv.Shift(session.MaxViewAge)
	bearer(srv, c.AccessToken).Do(t, meQuery, nil).Refused(t, "UNAVAILABLE", string(fault.RevocationViewStale))

	postgres.Promote(t)
	webtest.Eventually(t, "guarded fields are answered again",
		func() bool { return bearer(srv, c.AccessToken).Do(t, meQuery, nil).Status == 200 })
	webtest.Eventually(t, "the server is ready again", func() bool { return readiness(t, srv) == 200 })
	wantAlive(t, srv, c.AccessToken, c.RefreshToken)
}

func TestADatabaseThatCannotBeWrittenIsUnavailable(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	c := srv.As(t)
	srv.Exec(t, "PRAGMA query_only = 1") // on the only connection that writes
	wantNoWrites(t, srv, c)
	if a := bearer(srv, c.AccessToken).Do(t, meQuery, nil); a.Status != 200 { // reads do not need the write lock
		t.Errorf("me: %s", a.Body)
	}
}
