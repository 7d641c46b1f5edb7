package session_test

import (
	"testing"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

// onTwo runs f on two servers of one database.
func onTwo(t *testing.T, f func(t *testing.T, a, b *apptest.Server)) {
	t.Helper()
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, a *apptest.Server) {
		f(t, a, apptest.Start(t, apptest.Database(a.App.Config.Database)))
	})
}

func TestRevocationReachesAnotherReplica(t *testing.T) {
	onTwo(t, func(t *testing.T, a, b *apptest.Server) {
		ends := map[string]struct {
			end    func(t *testing.T, c *apptest.Client)
			reason string
		}{
			"logout":             {func(t *testing.T, c *apptest.Client) { logout(t, c, "CURRENT", "") }, "TOKEN_REVOKED"},
			"logout of all":      {func(t *testing.T, c *apptest.Client) { logout(t, c, "ALL", "") }, "TOKEN_REVOKED"},
			"change of password": {func(t *testing.T, c *apptest.Client) { changePassword(t, c.Login(t)) }, "TOKEN_REVOKED"},
			"change of roles":    {func(t *testing.T, c *apptest.Client) { promote(t, a, c.UserID) }, "TOKEN_STALE"},
			"reuse": {func(t *testing.T, c *apptest.Client) {
				spent := c.RefreshToken
				one := auth(t, a.Anonymous().Redeem(t, spent))
				auth(t, a.Anonymous().Redeem(t, one.RefreshToken))
				a.Anonymous().Redeem(t, spent).Refused(t, "UNAUTHENTICATED", "REFRESH_REUSED")
			}, "TOKEN_REVOKED"},
		}
		for name, one := range ends {
			t.Run(name, func(t *testing.T) {
				c := a.As(t)
				there := bearer(b, c.AccessToken)
				there.Do(t, meQuery, nil).Into(t, &struct{}{})
				one.end(t, c)
				bearer(a, c.AccessToken).Do(t, meQuery, nil).Refused(t, "UNAUTHENTICATED", one.reason)
				poll(t, b.App.View) // the other replica needs one poll
				there.Do(t, meQuery, nil).Refused(t, "UNAUTHENTICATED", one.reason)
			})
		}
		t.Run("without an explicit poll", func(t *testing.T) {
			c := a.As(t)
			logout(t, c, "CURRENT", "")
			webtest.Eventually(t, "the other replica knows the revocation", func() bool {
				return bearer(b, c.AccessToken).Do(t, meQuery, nil).Status == 401
			})
		})
	})
}

func TestReplicasIssueTheSameSuccessor(t *testing.T) {
	onTwo(t, func(t *testing.T, a, b *apptest.Server) {
		c := a.As(t)
		spent := c.RefreshToken
		first := auth(t, a.Anonymous().Redeem(t, spent))
		if again := auth(t, b.Anonymous().Redeem(t, spent)); again.RefreshToken != first.RefreshToken {
			t.Error("the other replica issued a different successor")
		}
		// A use seen by one replica counts on the other.
		bearer(b, first.AccessToken).Do(t, meQuery, nil)
		awaitSeen(t, a, c.SessionID, 2)
		endGrace(t, a, c.SessionID)
		a.Anonymous().Redeem(t, spent).Refused(t, "UNAUTHENTICATED", "REFRESH_REUSED")
	})
}

func TestReplicaThatCannotReadRevocations(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		hide(t, srv, "revocations")
		srv.Shift(session.MaxViewAge)
		webtest.Eventually(t, "guarded fields are refused", func() bool { return c.Do(t, meQuery, nil).Status == 503 })

		answer := c.Do(t, meQuery, nil)
		answer.Refused(t, "UNAVAILABLE", "REVOCATION_VIEW_STALE")
		if answer.Errors[0].Extensions.RetryAfter < 1 || answer.Header.Get("Retry-After") == "" {
			t.Errorf("no retryAfter: %s", answer.Body)
		}
		if err := srv.App.Ready(t.Context()); err == nil {
			t.Error("the server reports that it is ready")
		}
		c.Login(t) // public fields still work
		auth(t, c.Redeem(t, c.RefreshToken))

		show(t, srv, "revocations")
		webtest.Eventually(t, "guarded fields are answered again", func() bool { return c.Do(t, meQuery, nil).Status == 200 })
	})
}
