package session_test

import (
	"context"
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/signin"
	"github.com/graphwarden/graphwarden/internal/store"
)

// atOnce makes n calls concurrently and waits for them.
func atOnce(tb testing.TB, n int, call func(i int) error) {
	tb.Helper()
	var group errgroup.Group
	start := make(chan struct{})
	for i := range n {
		group.Go(func() error {
			<-start
			return call(i)
		})
	}
	close(start)
	if err := group.Wait(); err != nil {
		tb.Fatal(err)
	}
}

func TestConcurrentRefreshesGetOneSuccessor(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		answers := make([]*apptest.Answer, 64)
		atOnce(t, len(answers), func(i int) (err error) {
			answers[i], err = srv.Anonymous().Call(t.Context(), refreshMutation, map[string]any{"token": c.RefreshToken})
			return err
		})
		first := auth(t, answers[0])
		for _, answer := range answers {
			pair := auth(t, answer)
			if pair.RefreshToken != first.RefreshToken {
				t.Fatal("two different successors")
			}
			if a := bearer(srv, pair.AccessToken).Do(t, meQuery, nil); len(a.Errors) > 0 {
				t.Fatalf("an access token is refused: %s", a.Body)
			}
		}
		if got := stateOf(t, srv, c.SessionID).Generation; got != 2 {
			t.Errorf("generation %d, want 2", got)
		}
		wantAlive(t, srv, first.AccessToken, first.RefreshToken)
	})
}

func TestConcurrentReusesAreAllRefused(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		spent := c.RefreshToken
		c.Refresh(t)
		c.Refresh(t)
		atOnce(t, 20, func(int) error {
			answer, err := srv.Anonymous().Call(t.Context(), refreshMutation, map[string]any{"token": spent})
			if err == nil && (len(answer.Errors) != 1 || answer.Errors[0].Extensions.Code != "UNAUTHENTICATED") {
				err = fmt.Errorf("answered %s", answer.Body)
			}
			return err
		})
		if n := audited(t, srv, "authn_token_reuse", c.SessionID); n != 1 {
			t.Errorf("audited %d times, want once", n)
		}
		wantDead(t, srv, c.AccessToken, c.RefreshToken)
	})
}

// The owner's refresh races with a thief's reuse. The session ends in either order.
func TestReuseRacingARefreshEndsTheSession(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		for range 10 {
			c := srv.As(t)
			spent := c.RefreshToken
			c.Refresh(t)
			c.Refresh(t)
			var grant *session.Grant
			atOnce(t, 2, func(i int) (err error) {
				if i == 0 {
					_, err = srv.App.Sessions.Refresh(t.Context(), spent, audit.Actor{})
				} else {
					grant, err = srv.App.Sessions.Refresh(t.Context(), c.RefreshToken, audit.Actor{})
				}
				return expected(err, fault.RefreshReused, fault.SessionRevoked)
			})
			wantDead(t, srv, c.AccessToken, c.RefreshToken)
			if grant != nil {
				wantDead(t, srv, grant.AccessToken, *grant.RefreshToken)
			}
		}
	})
}

// expected returns nil for a refusal with one of reasons, and err otherwise.
func expected(err error, reasons ...fault.Reason) error {
	for _, reason := range reasons {
		if fault.Is(err, reason) {
			return nil
		}
	}
	return err
}

// ends are the ways to end c's session.
var ends = map[string]func(ctx context.Context, srv *apptest.Server, c *apptest.Client) error{
	"logout": func(ctx context.Context, srv *apptest.Server, c *apptest.Client) error {
		_, err := c.Call(ctx, logoutMutation, map[string]any{"scope": "CURRENT"})
		return err
	},
	"logout of all": func(ctx context.Context, srv *apptest.Server, c *apptest.Client) error {
		_, err := c.Call(ctx, logoutMutation, map[string]any{"scope": "ALL"})
		return err
	},
	"revocation": func(ctx context.Context, srv *apptest.Server, c *apptest.Client) error {
		_, err := srv.App.Sessions.Revoke(ctx, c.SessionID, audit.Actor{Claims: claimsOf(c, 1)})
		return err
	},
	"disabling": func(ctx context.Context, srv *apptest.Server, c *apptest.Client) error {
		_, err := srv.App.Accounts.SetDisabled(ctx, c.UserID, true, apptest.Operator)
		return err
	},
	"change of password": func(ctx context.Context, srv *apptest.Server, c *apptest.Client) error {
		answer, err := c.Call(ctx, `mutation($current: String!, $new: String!) {
				changePassword(input: {currentPassword: $current, newPassword: $new}) { tokenType } }`,
			map[string]any{"current": apptest.Password, "new": newPassword})
		if err == nil && len(answer.Errors) > 0 {
			err = fmt.Errorf("change of password: %s", answer.Body)
		}
		return err
	},
	"deletion": func(ctx context.Context, srv *apptest.Server, c *apptest.Client) error {
		_, err := c.Call(ctx, deleteOwn, map[string]any{"email": c.Email})
		return err
	},
}

func TestRefreshRacingAnEndLeavesNothingAlive(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		for name, end := range ends {
			t.Run(name, func(t *testing.T) {
				for range 8 {
					c := srv.As(t)
					grants := make([]*session.Grant, 4)
					atOnce(t, len(grants)+1, func(i int) (err error) {
						if i == len(grants) {
							return end(t.Context(), srv, c)
						}
						grants[i], err = srv.App.Sessions.Refresh(t.Context(), c.RefreshToken, audit.Actor{})
						return expected(err, fault.SessionRevoked, fault.RefreshInvalid)
					})
					wantUseless(t, srv, c.AccessToken, c.RefreshToken)
					for _, grant := range grants {
						if grant != nil {
							wantUseless(t, srv, grant.AccessToken, *grant.RefreshToken)
						}
					}
				}
			})
		}
	})
}

// A login whose password was proved before the account ended must not start a session after it.
func TestLoginRacingAnEndLeavesNothingAlive(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		for _, name := range []string{"disabling", "change of password", "deletion"} {
			t.Run(name, func(t *testing.T) {
				for range 8 {
					c := srv.As(t)
					grants := make([]*session.Grant, 8)
					atOnce(t, len(grants)+1, func(i int) (err error) {
						if i == len(grants) {
							return ends[name](t.Context(), srv, c)
						}
						login := signin.Login{Email: &c.Email, Password: apptest.Password}
						grants[i], err = srv.App.SignIn.Login(t.Context(), login, audit.Actor{})
						return expected(err, fault.InvalidCredentials)
					})
					for _, grant := range grants {
						if grant != nil {
							wantUseless(t, srv, grant.AccessToken, *grant.RefreshToken)
						}
					}
				}
			})
		}
	})
}

// A replay does not write, so no lock orders it with the end of the sessions. It must not read the raised version
// after it has read the session as live.
func TestReplayRacingAnEndOfAllLeavesNothingAlive(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		for range 20 {
			c := srv.As(t)
			auth(t, srv.Anonymous().Redeem(t, c.RefreshToken))
			grants := make([]*session.Grant, 12)
			atOnce(t, len(grants)+1, func(i int) (err error) {
				if i == len(grants) {
					_, err = srv.App.Sessions.Logout(t.Context(), session.ScopeAll, audit.Actor{Claims: claimsOf(c, 1)})
					return err
				}
				grants[i], err = srv.App.Sessions.Refresh(t.Context(), c.RefreshToken, audit.Actor{})
				return expected(err, fault.SessionRevoked)
			})
			for _, grant := range grants {
				if grant != nil {
					wantUseless(t, srv, grant.AccessToken, *grant.RefreshToken)
				}
			}
		}
	})
}

// wantUseless checks that neither token is accepted, for any reason.
func wantUseless(tb testing.TB, srv *apptest.Server, accessToken, refreshToken string) {
	tb.Helper()
	if a := bearer(srv, accessToken).Do(tb, meQuery, nil); a.Status != 401 {
		tb.Errorf("the access token gets %d %s", a.Status, a.Body)
	}
	if a := srv.Anonymous().Redeem(tb, refreshToken); a.Status != 401 {
		tb.Errorf("the refresh token gets %d %s", a.Status, a.Body)
	}
}

// A logout judges the refresh token in the transaction that ends the sessions. So a token that a change of password
// has just voided ends nothing.
func TestLogoutRacingAVoidedRefreshTokenEndsNothing(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		for range 60 {
			c := srv.As(t)
			var wasLive bool // when its refresh tokens were voided
			var err error
			atOnce(t, 2, func(i int) error {
				if i == 0 {
					raw := c.RefreshToken
					_, err = srv.App.Sessions.LogoutByRefreshToken(t.Context(), raw, session.ScopeAll, audit.Actor{})
					return expected(err, fault.RefreshInvalid)
				}
				return srv.App.DB.Tx(t.Context(), func(tx *store.Tx) error {
					if err := session.Lock(tx, c.UserID); err != nil {
						return err
					}
					err := tx.Get(&wasLive, "SELECT revoked_at IS NULL FROM sessions WHERE id = $1", c.SessionID)
					if err != nil {
						return err
					}
					_, err = srv.App.Sessions.EndAll(tx, c.UserID, c.SessionID)
					return err
				})
			})
			if ended := stateOf(t, srv, c.SessionID).IsRevoked; ended == wasLive || ended != (err == nil) {
				t.Fatalf("live before: %t, ended by the logout: %t, logout error: %v", wasLive, ended, err)
			}
		}
	})
}
