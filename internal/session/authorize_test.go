package session_test

import (
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/signin"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

// verified returns the claims of c's access token.
func verified(tb testing.TB, srv *apptest.Server, c *apptest.Client) token.Claims {
	tb.Helper()
	claims, err := srv.App.Verifier.Verify(c.AccessToken)
	if err != nil {
		tb.Fatal(err)
	}
	return *claims
}

func authorize(tb testing.TB, srv *apptest.Server, caller token.Claims) error {
	tb.Helper()
	return srv.App.DB.Tx(tb.Context(), func(tx *store.Tx) error {
		return session.Authorize(tx, audit.Actor{Claims: caller})
	})
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		other := srv.As(t)
		for name, test := range map[string]struct {
			reason fault.Reason
			change func(t *testing.T, c *apptest.Client, caller *token.Claims)
		}{
			"a live session": {"", func(*testing.T, *apptest.Client, *token.Claims) {}},
			"after a refresh": {"", func(t *testing.T, c *apptest.Client, _ *token.Claims) {
				c.Refresh(t)
			}},
			"no caller": {fault.TokenRevoked, func(_ *testing.T, _ *apptest.Client, caller *token.Claims) {
				*caller = token.Claims{}
			}},
			"an unknown session": {fault.TokenRevoked, func(_ *testing.T, _ *apptest.Client, caller *token.Claims) {
				caller.SessionID = session.ID(uuid.NewString())
			}},
			"a session of another user": {fault.TokenRevoked, func(_ *testing.T, _ *apptest.Client, caller *token.Claims) {
				caller.SessionID = other.SessionID
			}},
			"a session that was ended": {fault.TokenRevoked, func(t *testing.T, c *apptest.Client, _ *token.Claims) {
				logout(t, c, "CURRENT", "")
			}},
			"a session that has expired": {fault.TokenRevoked, func(t *testing.T, c *apptest.Client, _ *token.Claims) {
				srv.Exec(t, "UPDATE sessions SET expires_at = now_us() WHERE id = $1", c.SessionID)
			}},
			"another session was ended": {"", func(t *testing.T, c *apptest.Client, _ *token.Claims) {
				logout(t, c.Login(t), "CURRENT", "")
			}},
			"a disabled account": {fault.TokenRevoked, func(t *testing.T, c *apptest.Client, _ *token.Claims) {
				srv.Exec(t, "UPDATE users SET disabled_at = now_us() WHERE id = $1", c.UserID)
			}},
			"a deleted account": {fault.TokenRevoked, func(t *testing.T, c *apptest.Client, _ *token.Claims) {
				srv.Exec(t, "DELETE FROM users WHERE id = $1", c.UserID)
			}},
			"after a change of roles": {fault.TokenStale, func(t *testing.T, c *apptest.Client, _ *token.Claims) {
				inTx(t, srv, func(tx *store.Tx) error { return srv.App.Sessions.MarkStale(tx, c.UserID) })
			}},
			"after its own change of password": {fault.TokenStale, func(t *testing.T, c *apptest.Client, _ *token.Claims) {
				changePassword(t, c)
			}},
			"a restored database": {fault.TokenStale, func(_ *testing.T, _ *apptest.Client, caller *token.Claims) {
				caller.Version++
			}},
			"a role too many": {fault.TokenStale, func(_ *testing.T, _ *apptest.Client, caller *token.Claims) {
				caller.Roles = []token.Role{"ADMIN", "USER"}
			}},
		} {
			t.Run(name, func(t *testing.T) {
				c := srv.As(t)
				caller := verified(t, srv, c)
				test.change(t, c, &caller)
				err := authorize(t, srv, caller)
				if test.reason == "" && err != nil || test.reason != "" && !fault.Is(err, test.reason) {
					t.Errorf("got %v, want %s", err, test.reason)
				}
			})
		}
	})
}

// revocations are the ways to revoke a right of c. other is a second session of the same user.
var revocations = map[string]func(t *testing.T, srv *apptest.Server, c, other *apptest.Client) error{
	"logout": func(t *testing.T, srv *apptest.Server, c, _ *apptest.Client) error {
		_, err := srv.App.Sessions.Logout(t.Context(), session.ScopeCurrent, audit.Actor{Claims: claimsOf(c, 1)})
		return err
	},
	"logout of others": func(t *testing.T, srv *apptest.Server, _, other *apptest.Client) error {
		_, err := srv.App.Sessions.Logout(t.Context(), session.ScopeOthers, audit.Actor{Claims: claimsOf(other, 1)})
		return err
	},
	"logout by refresh token": func(t *testing.T, srv *apptest.Server, c, _ *apptest.Client) error {
		_, err := srv.App.Sessions.LogoutByRefreshToken(t.Context(), c.RefreshToken, session.ScopeCurrent, audit.Actor{})
		return err
	},
	"revocation": func(t *testing.T, srv *apptest.Server, c, other *apptest.Client) error {
		_, err := srv.App.Sessions.Revoke(t.Context(), c.SessionID, audit.Actor{Claims: claimsOf(other, 1)})
		return err
	},
	"reuse": func(t *testing.T, srv *apptest.Server, c, _ *apptest.Client) error {
		srv.Exec(t, "UPDATE sessions SET generation = 9 WHERE id = $1", c.SessionID)
		_, err := srv.App.Sessions.Refresh(t.Context(), c.RefreshToken, audit.Actor{})
		return expected(err, fault.RefreshReused)
	},
	"logout by a spent refresh token": func(t *testing.T, srv *apptest.Server, c, _ *apptest.Client) error {
		srv.Exec(t, "UPDATE sessions SET generation = 9 WHERE id = $1", c.SessionID)
		_, err := srv.App.Sessions.LogoutByRefreshToken(t.Context(), c.RefreshToken, session.ScopeAll, audit.Actor{})
		return expected(err, fault.RefreshReused)
	},
	"the hundredth sign-in after it": func(t *testing.T, srv *apptest.Server, c, _ *apptest.Client) error {
		srv.Exec(t, `INSERT INTO sessions (id, user_id, salt, generation, seen_generation, auth_time, amr, created_at,
				rotated_at, last_seen_at, expires_at, ends_at, ip, user_agent)
			WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 98)
			SELECT CAST(n AS TEXT), user_id, salt, 1, 0, 0, '', created_at + n, 0, 0, expires_at, ends_at, '', ''
				FROM sessions, n WHERE id = $1`, c.SessionID)
		login := signin.Login{Email: &c.Email, Password: apptest.Password}
		_, err := srv.App.SignIn.Login(t.Context(), login, audit.Actor{})
		return err
	},
	"change of roles": func(t *testing.T, srv *apptest.Server, c, _ *apptest.Client) error {
		_, err := srv.App.Accounts.ChangeRoles(t.Context(), c.UserID, []token.Role{"ADMIN"}, nil, apptest.Operator)
		return err
	},
	"disabling": func(t *testing.T, srv *apptest.Server, c, _ *apptest.Client) error {
		return ends["disabling"](t.Context(), srv, c)
	},
	"change of password": func(t *testing.T, srv *apptest.Server, c, other *apptest.Client) error {
		return ends["change of password"](t.Context(), srv, other)
	},
	"deletion": func(t *testing.T, srv *apptest.Server, c, _ *apptest.Client) error {
		return ends["deletion"](t.Context(), srv, c)
	},
}

func TestARevocationWaitsForAuthorizedActs(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		if srv.App.DB.Dialect() != store.Postgres {
			return // SQLite runs write transactions one at a time
		}
		for name, revoke := range revocations {
			t.Run(name, func(t *testing.T) {
				c := srv.As(t)
				other := c.Login(t)
				caller, done := verified(t, srv, c), make(chan error, 1)
				inTx(t, srv, func(tx *store.Tx) error {
					if err := session.Authorize(tx, audit.Actor{Claims: caller}); err != nil {
						return err
					}
					go func() { done <- revoke(t, srv, c, other) }()
					webtest.Eventually(t, "the revocation waits", func() bool {
						if len(done) > 0 {
							t.Fatal("the revocation returned before the act was done")
						}
						return srv.Count(t, `SELECT count(*) FROM pg_locks w JOIN pg_locks held ON held.pid = w.pid
							WHERE NOT w.granted AND held.relation = 'users'::regclass`) > 0
					})
					return nil
				})
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				if err := authorize(t, srv, caller); fault.As(err) == nil || fault.As(err).Code != fault.Unauthenticated {
					t.Errorf("after the revocation: %v", err)
				}
			})
		}
	})
}

// Two users who act on each other lock both rows in the same order, so no transaction is retried.
func TestActsOnEachOtherDoNotDeadlock(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		one, two := srv.As(t), srv.As(t)
		callers := []token.Claims{verified(t, srv, one), verified(t, srv, two)}
		const acts = 60
		var runs atomic.Int64
		atOnce(t, 8, func(i int) error {
			for range acts {
				err := srv.App.DB.Tx(t.Context(), func(tx *store.Tx) error {
					runs.Add(1)
					return session.Authorize(tx, audit.Actor{Claims: callers[i%2]}, callers[(i+1)%2].UserID, callers[i%2].UserID)
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		if n := runs.Load(); n != 8*acts {
			t.Errorf("%d transactions ran %d times", 8*acts, n)
		}
	})
}
