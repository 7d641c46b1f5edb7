package session_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/token"
)

func TestRefreshRotates(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		before, first := stateOf(t, srv, c.SessionID), claims(t, c.AccessToken)
		answer := srv.Anonymous().Redeem(t, c.RefreshToken)
		pair, after := auth(t, answer), stateOf(t, srv, c.SessionID)
		second := claims(t, pair.AccessToken)

		if pair.RefreshToken == c.RefreshToken || second.Jti == first.Jti {
			t.Error("a token was issued twice")
		}
		if pair.Session.ID != c.SessionID || second.Sid != first.Sid || second.Sub != first.Sub || pair.User.ID != c.UserID {
			t.Errorf("different session or user: %+v", pair)
		}
		if second.AuthTime != first.AuthTime {
			t.Error("auth_time changed, although a refresh does not prove a credential")
		}
		if first.Gen != 1 || second.Gen != 2 || after.Generation != 2 || after.SeenGeneration != 1 {
			t.Errorf("generations %d, %d, and %+v", first.Gen, second.Gen, after)
		}
		if after.ExpiresAt <= before.ExpiresAt || after.EndsAt != before.EndsAt {
			t.Errorf("limits changed from %+v to %+v, want only a new idle limit", before, after)
		}
		if answer.Header.Get("Cache-Control") != "no-store" {
			t.Error("a response with tokens may be cached (RFC 6749, section 5.1)")
		}
		wantAlive(t, srv, pair.AccessToken, pair.RefreshToken)
	})
}

func TestPredecessorWithinTheGrace(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		t.Run("gets the same successor and changes nothing", func(t *testing.T) {
			c := srv.As(t)
			spent := c.RefreshToken
			pair := auth(t, srv.Anonymous().Redeem(t, spent))
			before, replayed := stateOf(t, srv, c.SessionID), srv.App.Sessions.Replayed()
			for range 3 {
				again := auth(t, srv.Anonymous().Redeem(t, spent))
				if again.RefreshToken != pair.RefreshToken || claims(t, again.AccessToken).Gen != 2 {
					t.Errorf("a different successor: %+v", again)
				}
			}
			if diff := cmp.Diff(before, stateOf(t, srv, c.SessionID)); diff != "" {
				t.Errorf("the row changed (-before +after):\n%s", diff)
			}
			if n := srv.App.Sessions.Replayed() - replayed; n != 3 {
				t.Errorf("%d replays counted, want 3", n)
			}
			if n := audited(t, srv, "authn_token_replayed_elsewhere", c.SessionID); n != 0 {
				t.Errorf("%d replays from the same client audited", n)
			}
		})
		t.Run("is accepted although the successor was used", func(t *testing.T) {
			c := srv.As(t)
			spent := c.RefreshToken
			c.Refresh(t)
			c.Do(t, meQuery, nil)
			awaitSeen(t, srv, c.SessionID, 2)
			if again := auth(t, srv.Anonymous().Redeem(t, spent)); again.RefreshToken != c.RefreshToken {
				t.Error("a different successor")
			}
		})
		t.Run("is audited when the user agent differs", func(t *testing.T) {
			c := srv.As(t)
			auth(t, srv.Anonymous().Redeem(t, c.RefreshToken))
			other := srv.Anonymous()
			other.Header.Set("User-Agent", "another")
			auth(t, other.Redeem(t, c.RefreshToken))
			if n := audited(t, srv, "authn_token_replayed_elsewhere", c.SessionID); n != 1 {
				t.Errorf("audited %d times, want once", n)
			}
			if agent := stateOf(t, srv, c.SessionID).UserAgent; agent == "another" {
				t.Error("the session has the user agent of the replay")
			}
		})
		t.Run("is audited once a minute, however often the user agent changes", func(t *testing.T) {
			c := srv.As(t)
			for i := range 20 {
				by := audit.Actor{IP: "192.0.2.1", UserAgent: fmt.Sprint(i)}
				if _, err := srv.App.Sessions.Refresh(t.Context(), c.RefreshToken, by); err != nil {
					t.Fatal(err)
				}
			}
			const action = "authn_token_replayed_elsewhere"
			const query = "SELECT COALESCE(sum(count), 0) FROM audit_log WHERE action = $1 AND session_id = $2"
			entries, events := audited(t, srv, action, c.SessionID), srv.Count(t, query, action, c.SessionID)
			if entries < 1 || entries > 2 || events != 19 { // two entries if a new minute begins
				t.Errorf("%d replays in %d entries, want 19 in one", events, entries)
			}
		})
		t.Run("is audited when it comes from another address", func(t *testing.T) {
			c := srv.As(t)
			here, there := audit.Actor{IP: "192.0.2.1", UserAgent: "a"}, audit.Actor{IP: "192.0.2.2", UserAgent: "a"}
			for i, from := range []audit.Actor{here, here, there} {
				if _, err := srv.App.Sessions.Refresh(t.Context(), c.RefreshToken, from); err != nil {
					t.Fatal(err)
				}
				if n := audited(t, srv, "authn_token_replayed_elsewhere", c.SessionID); n != i/2 {
					t.Errorf("audited %d times after call %d", n, i)
				}
			}
		})
	})
}

func TestPredecessorAfterTheGraceIfItsSuccessorIsUnused(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		lost := auth(t, srv.Anonymous().Redeem(t, c.RefreshToken)) // the client does not get this response
		endGrace(t, srv, c.SessionID)
		before := stateOf(t, srv, c.SessionID)
		for range 3 {
			if again := auth(t, srv.Anonymous().Redeem(t, c.RefreshToken)); again.RefreshToken != lost.RefreshToken {
				t.Error("a different successor")
			}
		}
		// A token of the previous generation does not show that its successor arrived.
		c.Do(t, meQuery, nil)
		if err := srv.App.Activity.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		again := auth(t, srv.Anonymous().Redeem(t, c.RefreshToken))
		if diff := cmp.Diff(before, stateOf(t, srv, c.SessionID)); diff != "" {
			t.Errorf("the row changed (-before +after):\n%s", diff)
		}
		wantAlive(t, srv, again.AccessToken, again.RefreshToken)
	})
}

func TestReuse(t *testing.T) {
	sights := map[string]func(t *testing.T, c *apptest.Client){
		"by a guarded field":  func(t *testing.T, c *apptest.Client) { c.Do(t, meQuery, nil) },
		"by a public field":   func(t *testing.T, c *apptest.Client) { c.Do(t, `{ __typename }`, nil) },
		"by the verification": func(t *testing.T, c *apptest.Client) { verify(t, c.Server, c.AccessToken) },
		"by its redemption": func(t *testing.T, c *apptest.Client) {
			c.Take(auth(t, c.Server.Anonymous().Redeem(t, c.RefreshToken)))
		},
	}
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		for name, see := range sights {
			t.Run("of a token whose successor was used "+name, func(t *testing.T) {
				c := srv.As(t)
				other := c.Login(t)
				spent := c.RefreshToken
				c.Refresh(t)
				see(t, c)
				awaitSeen(t, srv, c.SessionID, 2)
				endGrace(t, srv, c.SessionID)
				wantReuse(t, c, spent)
				wantAlive(t, srv, other.AccessToken, other.RefreshToken)
				fresh := c.Login(t)
				wantAlive(t, srv, fresh.AccessToken, fresh.RefreshToken)
			})
		}
		t.Run("of an older generation, even within the grace", func(t *testing.T) {
			c := srv.As(t)
			oldest := c.RefreshToken
			c.Take(auth(t, srv.Anonymous().Redeem(t, oldest)))
			c.Take(auth(t, srv.Anonymous().Redeem(t, c.RefreshToken)))
			wantReuse(t, c, oldest)
		})
		t.Run("revokes all tokens of the session", func(t *testing.T) {
			c := srv.As(t)
			pairs := []apptest.Auth{{AccessToken: c.AccessToken, RefreshToken: c.RefreshToken}}
			for range 3 {
				c.Take(auth(t, srv.Anonymous().Redeem(t, c.RefreshToken)))
				pairs = append(pairs, apptest.Auth{AccessToken: c.AccessToken, RefreshToken: c.RefreshToken})
			}
			wantReuse(t, c, pairs[0].RefreshToken)
			for _, p := range pairs {
				wantDead(t, srv, p.AccessToken, p.RefreshToken)
			}
		})
	})
}

// wantReuse checks that a spent token of c's session is refused, ends the session and is audited.
func wantReuse(t *testing.T, c *apptest.Client, spent string) {
	t.Helper()
	answer := c.Server.Anonymous().Redeem(t, spent)
	answer.Refused(t, "UNAUTHENTICATED", "REFRESH_REUSED")
	if answer.Status != 401 {
		t.Errorf("status %d, want 401", answer.Status)
	}
	wantDead(t, c.Server, c.AccessToken, c.RefreshToken)
	if n := audited(t, c.Server, "authn_token_reuse", c.SessionID); n != 1 {
		t.Errorf("audited %d times, want once", n)
	}
}

func TestRefreshAfterARestore(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		first := c.RefreshToken
		for range 3 {
			c.Take(auth(t, srv.Anonymous().Redeem(t, c.RefreshToken)))
		}
		srv.Exec(t, "UPDATE sessions SET generation = 2, seen_generation = 1 WHERE id = $1", c.SessionID)
		held := c.RefreshToken // of generation 4
		c.Take(auth(t, srv.Anonymous().Redeem(t, held)))
		if got := claims(t, c.AccessToken).Gen; got != 5 {
			t.Errorf("generation %d, want 5, which was never issued before", got)
		}
		if n := audited(t, srv, "generation_ahead", c.SessionID); n != 1 {
			t.Errorf("audited %d times, want once", n)
		}
		if again := auth(t, srv.Anonymous().Redeem(t, held)); again.RefreshToken != c.RefreshToken {
			t.Error("the predecessor does not get the same successor")
		}
		wantReuse(t, c, first)
	})
}

func TestSessionsExpire(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		refused := func(t *testing.T, c *apptest.Client) {
			t.Helper()
			srv.Anonymous().Redeem(t, c.RefreshToken).Refused(t, "UNAUTHENTICATED", "SESSION_EXPIRED")
			if got := stateOf(t, srv, c.SessionID); got.Generation != 1 || got.IsRevoked {
				t.Errorf("an expired session changed: %+v", got)
			}
		}
		t.Run("when idle", func(t *testing.T) {
			c := srv.As(t)
			srv.Exec(t, "UPDATE sessions SET expires_at = now_us() - 1 WHERE id = $1", c.SessionID)
			refused(t, c)
		})
		t.Run("at their absolute end, which no rotation moves", func(t *testing.T) {
			c := srv.As(t)
			srv.Exec(t, "UPDATE sessions SET ends_at = now_us() + $2 WHERE id = $1",
				c.SessionID, time.Minute.Microseconds())
			before := stateOf(t, srv, c.SessionID)
			pair := auth(t, srv.Anonymous().Redeem(t, c.RefreshToken))
			after := stateOf(t, srv, c.SessionID)
			if after.EndsAt != before.EndsAt || after.ExpiresAt != before.EndsAt.Add(-token.Leeway-time.Second) {
				t.Errorf("limits changed from %+v to %+v", before, after)
			}
			if exp := claims(t, pair.AccessToken).Exp; exp > before.EndsAt.Std().Unix() {
				t.Error("the access token outlives its session")
			}
		})
		t.Run("in their last moments, when a token might never be valid by a replica's clock", func(t *testing.T) {
			c := srv.As(t)
			srv.Exec(t, "UPDATE sessions SET ends_at = now_us() + $2, expires_at = now_us() + $2 WHERE id = $1",
				c.SessionID, token.Leeway.Microseconds())
			refused(t, c)
		})
	})
}

// A refresh token expires exactly at its published expiry.
func TestPublishedExpiryIsKept(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		srv.Exec(t, "UPDATE sessions SET ends_at = now_us() + $2 WHERE id = $1", c.SessionID, time.Minute.Microseconds())
		pair := auth(t, srv.Anonymous().Redeem(t, c.RefreshToken))
		// Each step leaves enough time for a slow test.
		for _, toGo := range []time.Duration{5 * time.Second, 4 * time.Second} {
			srv.Exec(t, `UPDATE sessions SET ends_at = ends_at - expires_at + now_us() + $2,
				expires_at = now_us() + $2 WHERE id = $1`, c.SessionID, toGo.Microseconds())
			pair = auth(t, srv.Anonymous().Redeem(t, pair.RefreshToken))
		}
		srv.Exec(t, `UPDATE sessions SET ends_at = ends_at - expires_at + now_us() - 1000,
			expires_at = now_us() - 1000 WHERE id = $1`, c.SessionID)
		srv.Anonymous().Redeem(t, pair.RefreshToken).Refused(t, "UNAUTHENTICATED", "SESSION_EXPIRED")
	})
}

func TestRefreshOfAnEndedSession(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		own := func(t *testing.T, c *apptest.Client) *apptest.Client { return c }
		ends := map[string]struct {
			end    func(t *testing.T, c *apptest.Client)
			whose  func(t *testing.T, c *apptest.Client) *apptest.Client
			reason string
		}{
			"after logout": {whose: own, reason: "SESSION_REVOKED", end: func(t *testing.T, c *apptest.Client) {
				logout(t, c, "CURRENT", "")
			}},
			"of another session after a change of password": {reason: "SESSION_REVOKED",
				whose: func(t *testing.T, c *apptest.Client) *apptest.Client { return c.Login(t) },
				end:   func(t *testing.T, c *apptest.Client) { changePassword(t, c) }},
			"of a pair from before a change of password": {whose: own, reason: "REFRESH_INVALID",
				end: func(t *testing.T, c *apptest.Client) { changePassword(t, c) }},
			"after disabling": {whose: own, reason: "SESSION_REVOKED", end: func(t *testing.T, c *apptest.Client) {
				if _, err := srv.App.Accounts.SetDisabled(t.Context(), c.UserID, true, apptest.Operator); err != nil {
					t.Fatal(err)
				}
			}},
			"of a user found disabled": {whose: own, reason: "SESSION_REVOKED", end: func(t *testing.T, c *apptest.Client) {
				srv.Exec(t, "UPDATE users SET disabled_at = now_us() WHERE id = $1", c.UserID)
			}},
			"after deletion": {whose: own, reason: "REFRESH_INVALID", end: func(t *testing.T, c *apptest.Client) {
				c.Do(t, `mutation($email: String!) { deleteAccount(input: {confirmEmail: $email}) { id } }`,
					map[string]any{"email": c.Email}).Into(t, &struct{}{})
			}},
		}
		for name, one := range ends {
			t.Run(name, func(t *testing.T) {
				c := srv.As(t)
				victim := one.whose(t, c)
				refreshToken := victim.RefreshToken
				one.end(t, c)
				srv.Anonymous().Redeem(t, refreshToken).Refused(t, "UNAUTHENTICATED", one.reason)
			})
		}
		t.Run("leaves the row of a disabled user unchanged", func(t *testing.T) {
			c := srv.As(t)
			before := stateOf(t, srv, c.SessionID)
			srv.Exec(t, "UPDATE users SET disabled_at = now_us() WHERE id = $1", c.UserID)
			srv.Anonymous().Redeem(t, c.RefreshToken)
			if diff := cmp.Diff(before, stateOf(t, srv, c.SessionID)); diff != "" {
				t.Errorf("the session changed (-before +after):\n%s", diff)
			}
		})
	})
}

func TestChangeOfPasswordKeepsTheNewPair(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		old := c.AccessToken
		changePassword(t, c)
		bearer(srv, old).Do(t, meQuery, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_STALE")
		wantAlive(t, srv, c.AccessToken, c.RefreshToken)
	})
}

func TestRefreshReturnsChangedRoles(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		promote(t, srv, c.UserID)
		c.Do(t, meQuery, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_STALE")
		c.Refresh(t)
		if diff := cmp.Diff([]string{"ADMIN", "USER"}, claims(t, c.AccessToken).Roles); diff != "" {
			t.Errorf("roles (-want +got):\n%s", diff)
		}
		c.Do(t, meQuery, nil).Into(t, &struct{}{})
	})
}

func TestRefreshTokensSurviveAChangeOfTheSecret(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		current, next := srv.App.Config.Secret, "another secret for tests, of more than 32 bytes"
		for _, deployment := range []struct{ use, accept string }{{current, next}, {next, current}} {
			replica := apptest.Start(t, apptest.Database(srv.App.Config.Database), func(o *apptest.Options) {
				o.Config.Secret, o.Config.AcceptSecret = deployment.use, []string{deployment.accept}
			})
			c.Server = replica
			c.Refresh(t)
		}
		a := srv.Anonymous().Redeem(t, c.RefreshToken)
		if len(a.Errors) != 1 || a.Errors[0].Extensions.Reason != "REFRESH_INVALID" {
			t.Errorf("a replica that does not accept the new secret answered %s", a.Body)
		}
	})
}
