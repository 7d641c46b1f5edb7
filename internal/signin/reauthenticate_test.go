package signin_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
)

func TestReauthenticateRenewsTheProof(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		// Move the sign-in ten minutes back. The next refresh puts that into the token.
		srv.Update(t, "UPDATE sessions SET auth_time = auth_time - $2 WHERE id = $1",
			c.SessionID, (10 * time.Minute).Microseconds())
		c.Refresh(t)
		before, err := srv.App.Verifier.Verify(c.AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		a := c.Do(t, deleteAccount, in(input{"confirmEmail": c.Email}))
		a.Refused(t, "FORBIDDEN", "STEP_UP_REQUIRED")
		if a.Status != 403 || a.Errors[0].Extensions.Requires.MaxAge != 300 {
			t.Errorf("status %d: %s", a.Status, a.Body)
		}
		a = c.Do(t, reauthenticate, in(input{"password": "wrong"}))
		a.Refused(t, "BAD_USER_INPUT", "INVALID_CREDENTIALS")
		if diff := cmp.Diff([]string{"input.password INVALID_CREDENTIALS"}, fields(a)); diff != "" {
			t.Error(diff)
		}
		c.Do(t, deleteAccount, in(input{"confirmEmail": c.Email})).Refused(t, "FORBIDDEN", "STEP_UP_REQUIRED")

		session := c.SessionID
		var out struct{ Reauthenticate apptest.Auth }
		c.Do(t, reauthenticate, in(input{"password": apptest.Password})).Into(t, &out)
		c.Take(out.Reauthenticate)
		after, err := srv.App.Verifier.Verify(c.AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		if c.SessionID != session || after.SessionID != session {
			t.Errorf("a different session: %s", c.SessionID)
		}
		if after.Generation != before.Generation+1 {
			t.Errorf("generation %d after %d", after.Generation, before.Generation)
		}
		if d := after.AuthTime.Sub(before.AuthTime); d < 9*time.Minute {
			t.Errorf("auth_time moved by %s", d)
		}
		if !slices.Contains(recorded(t, srv, c.UserID), audit.AuthnReauthenticated) {
			t.Error("the audit log has no entry")
		}
		c.Do(t, deleteAccount, in(input{"confirmEmail": "other@example.com"})).Refused(t, "BAD_USER_INPUT", "MALFORMED")
		c.Do(t, deleteAccount, in(input{"confirmEmail": strings.ToUpper(c.Email)})).Into(t, &struct{}{})
	})
}
