package session_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/token"
)

const newPassword = "another unlikely passphrase"

// changePassword changes c's password. c continues with the new pair of tokens.
func changePassword(tb testing.TB, c *apptest.Client) {
	tb.Helper()
	var out struct{ ChangePassword apptest.Auth }
	c.Do(tb, `mutation($current: String!, $new: String!) {
			changePassword(input: {currentPassword: $current, newPassword: $new}) `+apptest.AuthFields+` }`,
		map[string]any{"current": apptest.Password, "new": newPassword}).Into(tb, &out)
	c.Take(out.ChangePassword)
}

const logoutMutation = `mutation($scope: LogoutScope!, $token: String) {
	logout(input: {scope: $scope, refreshToken: $token}) { endedSessions } }`

func tryLogout(tb testing.TB, c *apptest.Client, scope, refreshToken string) *apptest.Answer {
	tb.Helper()
	variables := map[string]any{"scope": scope}
	if refreshToken != "" {
		variables["token"] = refreshToken
	}
	return c.Do(tb, logoutMutation, variables)
}

// logout returns the number of ended sessions.
func logout(tb testing.TB, c *apptest.Client, scope, refreshToken string) int {
	tb.Helper()
	var out struct{ Logout struct{ EndedSessions int } }
	tryLogout(tb, c, scope, refreshToken).Into(tb, &out)
	return out.Logout.EndedSessions
}

func verify(tb testing.TB, srv *apptest.Server, accessToken string) (active bool) {
	tb.Helper()
	var out struct{ VerifyToken struct{ Active bool } }
	const query = `query($token: String!) { verifyToken(token: $token) { active } }`
	srv.Anonymous().Do(tb, query, map[string]any{"token": accessToken}).Into(tb, &out)
	return out.VerifyToken.Active
}

func TestLogout(t *testing.T) {
	// callers return the client that sends the logout of c's session, and the refresh token in its input.
	callers := map[string]func(t *testing.T, c *apptest.Client) (as *apptest.Client, refreshToken string){
		"with the access token": func(_ *testing.T, c *apptest.Client) (*apptest.Client, string) { return c, "" },
		"with the refresh token alone": func(_ *testing.T, c *apptest.Client) (*apptest.Client, string) {
			return c.Server.Anonymous(), c.RefreshToken
		},
		"with a refresh token just used": func(t *testing.T, c *apptest.Client) (*apptest.Client, string) {
			auth(t, c.Server.Anonymous().Redeem(t, c.RefreshToken))
			return c.Server.Anonymous(), c.RefreshToken
		},
		"beside another user's access token": func(t *testing.T, c *apptest.Client) (*apptest.Client, string) {
			return c.Server.As(t), c.RefreshToken
		},
		"beside a malformed access token": func(_ *testing.T, c *apptest.Client) (*apptest.Client, string) {
			return bearer(c.Server, "garbage"), c.RefreshToken
		},
	}
	scopes := []struct {
		name              string
		ended             int
		current, siblings bool // whether they stay live
	}{{"CURRENT", 1, false, true}, {"OTHERS", 2, true, false}, {"ALL", 3, false, false}}
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		bystander := srv.As(t)
		for how, caller := range callers {
			for _, scope := range scopes {
				t.Run(scope.name+" "+how, func(t *testing.T) {
					c := srv.As(t)
					siblings := []*apptest.Client{c.Login(t), c.Login(t)}
					as, refreshToken := caller(t, c)
					if n := logout(t, as, scope.name, refreshToken); n != scope.ended {
						t.Errorf("%d sessions ended, want %d", n, scope.ended)
					}
					want := map[bool]func(testing.TB, *apptest.Server, string, string){true: wantAlive, false: wantDead}
					want[scope.current](t, srv, c.AccessToken, c.RefreshToken)
					for _, sibling := range siblings {
						want[scope.siblings](t, srv, sibling.AccessToken, sibling.RefreshToken)
					}
					if as.UserID != "" && as.UserID != c.UserID {
						wantAlive(t, srv, as.AccessToken, as.RefreshToken)
					}
				})
			}
		}
		wantAlive(t, srv, bystander.AccessToken, bystander.RefreshToken)
	})
}

func TestLogoutIsRefused(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		t.Run("without any token", func(t *testing.T) {
			tryLogout(t, srv.Anonymous(), "CURRENT", "").Refused(t, "UNAUTHENTICATED", "TOKEN_MISSING")
		})
		t.Run("with a forged refresh token, even beside a valid access token", func(t *testing.T) {
			c := srv.As(t)
			tryLogout(t, c, "ALL", "gwr_forged").Refused(t, "UNAUTHENTICATED", "REFRESH_INVALID")
			wantAlive(t, srv, c.AccessToken, c.RefreshToken)
		})
		t.Run("for an ended session", func(t *testing.T) {
			c := srv.As(t)
			logout(t, c, "CURRENT", "")
			tryLogout(t, c, "ALL", "").Refused(t, "UNAUTHENTICATED", "TOKEN_REVOKED")
			tryLogout(t, srv.Anonymous(), "ALL", c.RefreshToken).Refused(t, "UNAUTHENTICATED", "SESSION_REVOKED")
		})
		t.Run("for an expired session", func(t *testing.T) {
			c := srv.As(t)
			srv.Exec(t, "UPDATE sessions SET expires_at = now_us() WHERE id = $1", c.SessionID)
			tryLogout(t, srv.Anonymous(), "ALL", c.RefreshToken).Refused(t, "UNAUTHENTICATED", "SESSION_EXPIRED")
		})
		t.Run("with a refresh token used long ago, which ends its own session only", func(t *testing.T) {
			c := srv.As(t)
			other, spent := c.Login(t), c.RefreshToken
			c.Refresh(t)
			c.Refresh(t)
			tryLogout(t, srv.Anonymous(), "ALL", spent).Refused(t, "UNAUTHENTICATED", "REFRESH_REUSED")
			wantDead(t, srv, c.AccessToken, c.RefreshToken)
			wantAlive(t, srv, other.AccessToken, other.RefreshToken)
		})
		t.Run("with a pair from before a change of password", func(t *testing.T) {
			c := srv.As(t)
			old := *c
			changePassword(t, c)
			tryLogout(t, srv.Anonymous(), "ALL", old.RefreshToken).Refused(t, "UNAUTHENTICATED", "REFRESH_INVALID")
			wantAlive(t, srv, c.AccessToken, c.RefreshToken)
		})
	})
}

func revoke(tb testing.TB, c *apptest.Client, id string) *apptest.Answer {
	tb.Helper()
	return c.Do(tb, `mutation($id: ID!) { revokeSession(input: {id: $id}) { id current } }`, map[string]any{"id": id})
}

func TestRevokeSession(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		t.Run("ends a session of the caller", func(t *testing.T) {
			c := srv.As(t)
			other := c.Login(t)
			var out struct {
				RevokeSession struct {
					ID      token.SessionID
					Current bool
				}
			}
			revoke(t, c, string(other.SessionID)).Into(t, &out)
			if out.RevokeSession.ID != other.SessionID || out.RevokeSession.Current {
				t.Errorf("got %+v", out)
			}
			wantDead(t, srv, other.AccessToken, other.RefreshToken)
			if verify(t, srv, other.AccessToken) {
				t.Error("verifyToken reports it as active")
			}
			wantAlive(t, srv, c.AccessToken, c.RefreshToken)
			if n := audited(t, srv, "authn_token_revoked", other.SessionID); n != 1 {
				t.Errorf("audited %d times, want once", n)
			}
		})
		t.Run("refuses all other ids alike", func(t *testing.T) {
			c, stranger := srv.As(t), srv.As(t)
			ended := c.Login(t)
			logout(t, ended, "CURRENT", "")
			var message string
			for name, id := range map[string]string{
				"foreign": string(stranger.SessionID), "unknown": uuid.NewString(), "ended": string(ended.SessionID), "empty": "",
				"garbage": "' OR 1=1 --", "NUL": string(c.SessionID) + "\x00", "upper case": "URN:UUID:" + string(c.SessionID),
				"braces": "{" + string(c.SessionID) + "}",
			} {
				answer := revoke(t, c, id)
				answer.Refused(t, "NOT_FOUND", "SESSION_NOT_FOUND")
				if message == "" {
					message = answer.Errors[0].Message
				}
				if got := answer.Errors[0].Message; got != message {
					t.Errorf("%s: %q, but %q for another id", name, got, message)
				}
			}
			wantAlive(t, srv, stranger.AccessToken, stranger.RefreshToken)
			wantAlive(t, srv, c.AccessToken, c.RefreshToken)
		})
	})
}

func TestSessionsOfAUserAreCapped(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c, bystander := srv.As(t), srv.As(t)
		var group errgroup.Group
		group.SetLimit(4)
		for range session.MaxPerUser + 10 {
			group.Go(func() error {
				for { // retry: a busy server refuses some logins
					answer, err := srv.Anonymous().Call(t.Context(), `mutation($email: String!, $password: String!) {
							login(input: {email: $email, password: $password}) { tokenType } }`,
						map[string]any{"email": c.Email, "password": apptest.Password})
					if err != nil || len(answer.Errors) == 0 {
						return err
					}
					if code := answer.Errors[0].Extensions.Code; code != "UNAVAILABLE" {
						return fmt.Errorf("%s", answer.Body)
					}
				}
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		const live = "SELECT count(*) FROM sessions WHERE user_id = $1 AND revoked_at IS NULL"
		if n := srv.Count(t, live, c.UserID); n != session.MaxPerUser {
			t.Errorf("%d live sessions, want %d", n, session.MaxPerUser)
		}
		wantDead(t, srv, c.AccessToken, c.RefreshToken)
		const capped = "SELECT count(*) FROM audit_log WHERE action = 'session_cap_reached' AND user_id = $1"
		if n := srv.Count(t, capped, c.UserID); n != 11 {
			t.Errorf("%d ends audited, want 11", n)
		}
		const newestEnded = `SELECT count(*) FROM sessions WHERE user_id = $1 AND revoked_at IS NOT NULL AND created_at >
			(SELECT min(created_at) FROM sessions WHERE user_id = $1 AND revoked_at IS NULL)`
		if n := srv.Count(t, newestEnded, c.UserID); n != 0 {
			t.Errorf("%d sessions ended that were not the oldest", n)
		}
		wantAlive(t, srv, bystander.AccessToken, bystander.RefreshToken)
	})
}
