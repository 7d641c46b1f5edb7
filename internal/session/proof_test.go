package session_test

import (
	"slices"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
)

// proved returns the time and methods of the last proof in a token.
func proved(tb testing.TB, srv *apptest.Server, accessToken string) (at time.Time, methods []string) {
	tb.Helper()
	c, err := srv.App.Verifier.Verify(accessToken)
	if err != nil {
		tb.Fatal(err)
	}
	return c.AuthTime, c.Methods
}

// provedLongAgo returns a client whose only proof was made an hour ago, by otp.
func provedLongAgo(tb testing.TB, srv *apptest.Server) *apptest.Client {
	tb.Helper()
	c := srv.As(tb)
	srv.Exec(tb, "UPDATE sessions SET auth_time = auth_time - $2, amr = 'otp' WHERE id = $1",
		c.SessionID, time.Hour.Microseconds())
	c.Refresh(tb)
	return c
}

func reauthenticate(tb testing.TB, c *apptest.Client) apptest.Auth {
	tb.Helper()
	var out struct{ Reauthenticate apptest.Auth }
	c.Do(tb, `mutation($password: String!) { reauthenticate(input: {password: $password}) `+apptest.AuthFields+` }`,
		map[string]any{"password": apptest.Password}).Into(tb, &out)
	return out.Reauthenticate
}

const deleteOwn = `mutation($email: String!) { deleteAccount(input: {confirmEmail: $email}) { id } }`

// A refresh token from before a reauthentication, redeemed within the grace or after a lost response, must not get the
// proof, because its client has not shown the password.
func TestAReplayNeverGetsTheProofOfAReauthentication(t *testing.T) {
	replays := map[string]func(t *testing.T, c *apptest.Client){
		"within the grace":      func(*testing.T, *apptest.Client) {},
		"of an answer not seen": func(t *testing.T, c *apptest.Client) { endGrace(t, c.Server, c.SessionID) },
	}
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		for name, wait := range replays {
			t.Run(name, func(t *testing.T) {
				c := provedLongAgo(t, srv)
				before, _ := proved(t, srv, c.AccessToken)
				fresh := reauthenticate(t, c)
				if at, _ := proved(t, srv, fresh.AccessToken); at.Sub(before) < 50*time.Minute {
					t.Fatalf("the reauthentication moved auth_time from %s to %s", before, at)
				}
				wait(t, c)
				for range 2 {
					got := auth(t, srv.Anonymous().Redeem(t, c.RefreshToken))
					if at, methods := proved(t, srv, got.AccessToken); !at.Equal(before) || !slices.Equal(methods, []string{"otp"}) {
						t.Errorf("proved at %s by %s, want %s by otp", at, methods, before)
					}
					as := bearer(srv, got.AccessToken)
					as.Do(t, deleteOwn, map[string]any{"email": c.Email}).Refused(t, "FORBIDDEN", "STEP_UP_REQUIRED")
					if got.RefreshToken != fresh.RefreshToken {
						t.Error("the replay got a different successor")
					}
				}
				got := auth(t, srv.Anonymous().Redeem(t, fresh.RefreshToken))
				if at, _ := proved(t, srv, got.AccessToken); !at.Equal(before) {
					t.Errorf("the successor of a replay is proved at %s, want %s", at, before)
				}
				wantAlive(t, srv, got.AccessToken, got.RefreshToken) // the user is not signed out
				bearer(srv, fresh.AccessToken).Do(t, deleteOwn, map[string]any{"email": c.Email}).Into(t, &struct{}{})
			})
		}
	})
}

func TestTheProofOfAReauthenticationLastsOverRefreshes(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := provedLongAgo(t, srv)
		fresh := reauthenticate(t, c)
		at, _ := proved(t, srv, fresh.AccessToken)
		spent := fresh.RefreshToken
		for range 2 {
			c.Take(auth(t, srv.Anonymous().Redeem(t, spent)))
			again, methods := proved(t, srv, c.AccessToken)
			if !again.Equal(at) || !slices.Equal(methods, []string{"otp", "pwd"}) {
				t.Errorf("proved at %s by %s, want %s by otp and pwd", again, methods, at)
			}
		}
	})
}

// Many replays race with the owner's refresh. No replay gets the proof, in any order.
func TestReplaysRacingTheOwnerNeverGetTheProof(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		for range 5 {
			c := provedLongAgo(t, srv)
			before, _ := proved(t, srv, c.AccessToken)
			fresh := reauthenticate(t, c)
			answers := make([]*apptest.Answer, 8)
			atOnce(t, len(answers), func(i int) (err error) {
				raw := c.RefreshToken
				if i == 0 {
					raw = fresh.RefreshToken
				}
				answers[i], err = srv.Anonymous().Call(t.Context(), refreshMutation, map[string]any{"token": raw})
				return err
			})
			for _, answer := range answers[1:] {
				if len(answer.Errors) > 0 {
					answer.Refused(t, "UNAUTHENTICATED", answer.Errors[0].Extensions.Reason) // the owner came first
					continue
				}
				if at, _ := proved(t, srv, auth(t, answer).AccessToken); !at.Equal(before) {
					t.Errorf("a replay is proved at %s, want %s", at, before)
				}
			}
		}
	})
}
