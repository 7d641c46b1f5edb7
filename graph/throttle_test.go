package graph_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/config"
)

const bcryptRounds = 16 // for the cost 4 of apptest

func limited(l config.Limits) func(*apptest.Options) {
	return func(o *apptest.Options) {
		o.Config.Limits = l
	}
}

// wide returns limits that no test reaches unless it lowers them.
func wide(t *testing.T) config.Limits {
	t.Helper()
	return apptest.Config(t).Limits
}

func guess(email, password string) string {
	return fmt.Sprintf(`login(input: {email: %q, password: %q}) { accessToken }`, email, password)
}

func TestLoginIsThrottled(t *testing.T) {
	t.Parallel()
	limits := wide(t)
	limits.LoginPairLimit.Burst = 5

	t.Run("the same for a right password, a wrong one and an unknown user", func(t *testing.T) {
		t.Parallel()
		srv := apptest.Start(t, limited(limits))
		owner := srv.As(t)
		for _, email := range []string{owner.Email, "unknown@example.com"} {
			for range limits.LoginPairLimit.Burst {
				srv.Anonymous().Do(
					t, "mutation { "+guess(email, "wrong")+" }", nil,
				).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
			}
			before := srv.App.Hasher.Rounds()
			for _, password := range []string{"wrong", apptest.Password} {
				answer := srv.Anonymous().Do(t, "mutation { "+guess(strings.ToUpper(email), password)+" }", nil)
				answer.Refused(t, "RATE_LIMITED", "TOO_MANY_ATTEMPTS")
				wait := answer.Errors[0].Extensions.RetryAfter
				if answer.Status != 429 || answer.Header.Get("Retry-After") != fmt.Sprint(wait) || wait < 1 || wait > 15*60 {
					t.Errorf(
						"%s: status %d, Retry-After %q, retryAfter %d", email, answer.Status, answer.Header.Get("Retry-After"), wait,
					)
				}
			}
			if spent := srv.App.Hasher.Rounds() - before; spent != 0 {
				t.Errorf("%d rounds of bcrypt for refused attempts", spent)
			}
		}
		if answer := owner.Do(t, `{ me { id } }`, nil); len(answer.Errors) > 0 {
			t.Errorf("the owner's session: %s", answer.Body)
		}
	})

	t.Run("by attempt, not by request", func(t *testing.T) {
		t.Parallel()
		srv := apptest.Start(t, limited(limits))
		owner := srv.As(t)
		before := srv.App.Hasher.Rounds()
		var aliased strings.Builder
		for i := range 30 {
			fmt.Fprintf(&aliased, "a%d: %s ", i, guess(owner.Email, fmt.Sprint("guess ", i)))
		}
		answer := srv.Anonymous().Do(t, "mutation { "+aliased.String()+" }", nil)
		if len(answer.Data) > 4 {
			t.Errorf("a login succeeded: %s", answer.Body)
		}
		if spent := srv.App.Hasher.Rounds() - before; spent > uint64(limits.LoginPairLimit.Burst)*bcryptRounds {
			t.Errorf("%d rounds, more than %d attempts", spent, limits.LoginPairLimit.Burst)
		}
		srv.Anonymous().Do(
			t, "mutation { "+guess(owner.Email, apptest.Password)+" }", nil,
		).Refused(t, "RATE_LIMITED", "TOO_MANY_ATTEMPTS")
	})

	t.Run("before bcrypt when many are concurrent", func(t *testing.T) {
		t.Parallel()
		srv := apptest.Start(t, limited(limits))
		owner := srv.As(t)
		before := srv.App.Hasher.Rounds()
		var group sync.WaitGroup
		for range 60 {
			group.Go(func() { srv.Anonymous().Do(t, "mutation { "+guess(owner.Email, "wrong")+" }", nil) })
		}
		group.Wait()
		if attempts := (srv.App.Hasher.Rounds() - before) / bcryptRounds; attempts != uint64(limits.LoginPairLimit.Burst) {
			t.Errorf("%d attempts reached bcrypt, want %d", attempts, limits.LoginPairLimit.Burst)
		}
	})

	t.Run("until one succeeds", func(t *testing.T) {
		t.Parallel()
		srv := apptest.Start(t, limited(limits))
		owner := srv.As(t)
		for range 3 {
			for range limits.LoginPairLimit.Burst - 1 {
				srv.Anonymous().Do(
					t, "mutation { "+guess(owner.Email, "wrong")+" }", nil,
				).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
			}
			owner.Login(t)
		}
	})

	t.Run("as are the fields that require the password again", func(t *testing.T) {
		t.Parallel()
		srv := apptest.Start(t, limited(limits))
		owner := srv.As(t)
		wrong := []string{
			`mutation { reauthenticate(input: {password: "wrong"}) { accessToken } }`,
			`mutation { changePassword(input: {currentPassword: "wrong", newPassword: "another unlikely passphrase"}) { accessToken } }`,
		}
		for i := range limits.LoginPairLimit.Burst {
			owner.Do(t, wrong[i%2], nil).Refused(t, "BAD_USER_INPUT", "INVALID_CREDENTIALS")
		}
		for _, mutation := range wrong {
			owner.Do(t, mutation, nil).Refused(t, "RATE_LIMITED", "TOO_MANY_ATTEMPTS")
		}
	})
}

func TestOtherFieldsAreThrottled(t *testing.T) {
	t.Parallel()
	t.Run("register", func(t *testing.T) {
		t.Parallel()
		limits := wide(t)
		limits.RegisterAddressLimit.Burst = 2
		srv := apptest.Start(t, limited(limits))
		srv.As(t)
		srv.As(t)
		srv.Anonymous().
			Do(t, `mutation { register(input: {email: "third@example.com", password: "an unlikely passphrase"}) { auth { accessToken } } }`, nil).
			Refused(t, "RATE_LIMITED", "TOO_MANY_ATTEMPTS")
	})
	t.Run("refreshToken", func(t *testing.T) {
		t.Parallel()
		limits := wide(t)
		limits.RefreshLimit.Burst, limits.RefreshInvalidLimit.Burst = 3, 2
		srv := apptest.Start(t, limited(limits))
		owner, other := srv.As(t), srv.As(t)
		for range 3 {
			owner.Refresh(t)
		}
		owner.Redeem(t, owner.RefreshToken).Refused(t, "RATE_LIMITED", "TOO_MANY_ATTEMPTS")
		for range 2 {
			other.Redeem(t, "gwr_forged").Refused(t, "UNAUTHENTICATED", "REFRESH_INVALID")
		}
		other.Redeem(t, "gwr_forged").Refused(t, "RATE_LIMITED", "TOO_MANY_ATTEMPTS")
		other.Refresh(t) // forgeries do not lock out a valid token
	})
	t.Run("verifyToken", func(t *testing.T) {
		t.Parallel()
		limits := wide(t)
		limits.VerifyInvalidLimit.Burst = 2
		srv := apptest.Start(t, limited(limits))
		c := srv.As(t)
		verify := func(token string) *apptest.Answer {
			return srv.Anonymous().Do(
				t, `query($token: String!) { verifyToken(token: $token) { active } }`, vars{"token": token},
			)
		}
		for range 2 {
			verify("nonsense").Into(t, &struct{}{})
		}
		verify("nonsense").Refused(t, "RATE_LIMITED", "TOO_MANY_ATTEMPTS")
		verify(c.AccessToken).Into(t, &struct{}{}) // valid tokens do not count
	})
	t.Run("passwordStrength", func(t *testing.T) {
		t.Parallel()
		limits := wide(t)
		limits.PasswordRatingLimit.Burst = 2
		srv := apptest.Start(t, limited(limits))
		for range 2 {
			srv.Anonymous().Do(t, passwordStrength, vars{"password": "a"}).Into(t, &struct{}{})
		}
		srv.Anonymous().Do(t, passwordStrength, vars{"password": "a"}).Refused(t, "RATE_LIMITED", "TOO_MANY_ATTEMPTS")
	})
}

// Of many errors only some are sent. Those with a retryAfter are among them.
func TestTheWaitSurvivesTheCutOfErrors(t *testing.T) {
	t.Parallel()
	limits := wide(t)
	limits.LoginPairLimit.Burst = 15
	srv := apptest.Start(t, limited(limits))
	var document strings.Builder
	for i := range 30 {
		fmt.Fprintf(&document, "a%d: %s ", i, guess("unknown@example.com", "wrong"))
	}
	a := srv.Anonymous().Do(t, "mutation { "+document.String()+"}", nil)
	waits := 0
	for _, e := range a.Errors {
		if e.Extensions.Code == "RATE_LIMITED" && e.Extensions.RetryAfter > 0 {
			waits++
		}
	}
	if len(a.Errors) != 10 || waits == 0 || !strings.Contains(string(a.Body), `"errorsOmitted":20`) {
		t.Errorf("%s", a.Body)
	}
}

// An invalid token is counted without a write. Otherwise a flood of them would block all writers on SQLite.
func TestInvalidTokensAreCountedWithoutAWrite(t *testing.T) {
	t.Parallel()
	limits := wide(t)
	limits.VerifyInvalidLimit.Burst, limits.RefreshInvalidLimit.Burst = 50, 2
	onReplicas(t, limited(limits), func(t *testing.T, replicas []*apptest.Server) {
		srv := replicas[0]
		c := srv.As(t)
		srv.Exec(t, "ALTER TABLE throttle RENAME TO throttle_hidden")
		var aliased strings.Builder
		for i := range 60 {
			fmt.Fprintf(&aliased, `a%d: verifyToken(token: "garbage") { active } `, i)
		}
		answer := srv.Anonymous().Do(t, "{ "+aliased.String()+" }", nil)
		for _, one := range answer.Errors {
			if one.Extensions.Code != "RATE_LIMITED" || one.Extensions.RetryAfter < 1 || one.Extensions.RetryAfter > 2 {
				t.Errorf("got %+v", one)
			}
		}
		if len(answer.Errors) != 10 {
			t.Errorf("%d of 60 were refused, want 10: %s", len(answer.Errors), answer.Body)
		}
		for range 2 {
			srv.Anonymous().Redeem(t, "gwr_forged").Refused(t, "UNAUTHENTICATED", "REFRESH_INVALID")
		}
		srv.Anonymous().Redeem(t, "gwr_forged").Refused(t, "RATE_LIMITED", "TOO_MANY_ATTEMPTS")
		srv.Exec(t, "ALTER TABLE throttle_hidden RENAME TO throttle")
		c.Refresh(t)
	})
}
