package signin_test

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
	"github.com/pquerna/otp/totp"
	"golang.org/x/sync/errgroup"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/config"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/throttle"
)

const (
	completeLogin = `mutation($in: CompleteLoginInput!) { completeLogin(input: $in) ` + apptest.AuthFields + ` }`
	beginTOTP     = `mutation { beginTotp { secret uri qr } }`
	confirmTOTP   = `mutation($in: ConfirmTotpInput!) { confirmTotp(input: $in) { codes } }`
	disableTOTP   = `mutation { disableTotp { hasSecondFactor } }`
	regenerate    = `mutation { regenerateRecoveryCodes { codes } }`
	resetFactors  = `mutation($in: ResetFactorsInput!) { resetFactors(input: $in) { hasSecondFactor } }`
	factors       = `{ me { hasSecondFactor factors { totpSince recoveryCodesLeft } } }`
)

// authenticator is the app of a user, by the server's clock.
type authenticator struct {
	srv    *apptest.Server
	secret string
	codes  []string // recovery codes
}

// code returns a code that was not used yet: it waits for the next one.
func (a *authenticator) code(t *testing.T) string {
	t.Helper()
	a.srv.Advance(t, 30*time.Second)
	return a.current(t)
}

func (a *authenticator) current(t *testing.T) string {
	t.Helper()
	code, err := totp.GenerateCode(a.secret, a.srv.Now())
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func begin(t *testing.T, srv *apptest.Server, c *apptest.Client) *authenticator {
	t.Helper()
	var begun struct {
		BeginTotp struct{ Secret, URI, QR string }
	}
	c.Do(t, beginTOTP, nil).Into(t, &begun)
	return &authenticator{srv: srv, secret: begun.BeginTotp.Secret}
}

// enroll gives the client's user a second factor, and the client a token that shows it.
func enroll(t *testing.T, srv *apptest.Server, c *apptest.Client) *authenticator {
	t.Helper()
	a := begin(t, srv, c)
	var confirmed struct{ ConfirmTotp struct{ Codes []string } }
	c.Do(t, confirmTOTP, in(input{"code": a.code(t)})).Into(t, &confirmed)
	a.codes = confirmed.ConfirmTotp.Codes
	c.Refresh(t)
	return a
}

// challenged signs in with the password, and returns the challenge of the second factor.
func challenged(t *testing.T, srv *apptest.Server, c *apptest.Client) string {
	t.Helper()
	a := tryLogin(t, srv, input{"email": c.Email, "password": apptest.Password})
	a.Refused(t, "UNAUTHENTICATED", "SECOND_FACTOR_REQUIRED")
	return a.Errors[0].Extensions.Challenge.ID
}

func methods(t *testing.T, srv *apptest.Server, accessToken string) string {
	t.Helper()
	claims, err := srv.App.Verifier.Verify(accessToken)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(claims.Methods, " ")
}

func TestASignInNeedsTheSecondFactor(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		app := enroll(t, srv, c)
		if got := methods(t, srv, c.AccessToken); got != "pwd otp mfa" {
			t.Errorf("the session that set the factor up has the methods %q", got)
		}
		tryLogin(t, srv, input{"email": c.Email, "password": "wrong"}).
			Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
		sessions := srv.Count(t, "SELECT count(*) FROM sessions")
		a := tryLogin(t, srv, input{"email": c.Email, "password": apptest.Password})
		a.Refused(t, "UNAUTHENTICATED", "SECOND_FACTOR_REQUIRED")
		challenge := a.Errors[0].Extensions.Challenge
		if diff := cmp.Diff([]string{"TOTP", "RECOVERY_CODE"}, challenge.Methods); diff != "" {
			t.Error(diff)
		}
		if life := challenge.ExpiresAt.Sub(srv.Now()); life < 4*time.Minute || life > 5*time.Minute {
			t.Errorf("the challenge lives %s", life)
		}
		if n := srv.Count(t, "SELECT count(*) FROM sessions"); n != sessions {
			t.Error("a session was started")
		}
		do(t, srv, completeLogin, input{"challenge": challenge.ID}).
			Refused(t, "BAD_USER_INPUT", "EXACTLY_ONE_REQUIRED")
		do(t, srv, completeLogin, input{"challenge": challenge.ID, "code": "000000"}).
			Refused(t, "BAD_USER_INPUT", "INVALID_CREDENTIALS")
		var out struct{ CompleteLogin apptest.Auth }
		code := app.code(t)
		do(t, srv, completeLogin, input{"challenge": challenge.ID, "code": code}).Into(t, &out)
		if got := methods(t, srv, out.CompleteLogin.AccessToken); got != "pwd otp mfa" {
			t.Errorf("methods %q", got)
		}
		do(t, srv, completeLogin, input{"challenge": challenge.ID, "code": app.code(t)}).
			Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		got := recorded(t, srv, c.UserID)
		for _, action := range []audit.Action{audit.FactorAdded, audit.AuthnFactorRequired, audit.AuthnFactorFail} {
			if !slices.Contains(got, action) {
				t.Errorf("%s is not in the audit log", action)
			}
		}
	})
}

// A setup that is not confirmed does not count, and another one replaces it.
func TestAFactorCountsOnceItIsConfirmed(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		c.Do(t, confirmTOTP, in(input{"code": "000000"})).Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		c.Do(t, regenerate, nil).Refused(t, "FORBIDDEN", "SECOND_FACTOR_SETUP_REQUIRED")
		old := begin(t, srv, c)
		c.Login(t)
		app := begin(t, srv, c)
		c.Do(t, confirmTOTP, in(input{"code": old.code(t)})).Refused(t, "BAD_USER_INPUT", "INVALID_CREDENTIALS")
		var confirmed struct{ ConfirmTotp struct{ Codes []string } }
		code := app.code(t)
		c.Do(t, confirmTOTP, in(input{"code": code})).Into(t, &confirmed)
		if n := len(confirmed.ConfirmTotp.Codes); n != 10 {
			t.Errorf("%d recovery codes", n)
		}
		c.Do(t, me, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_STALE")
		c.Refresh(t)
		// The answer may have been lost. A repetition reveals nothing, and the session can make new codes.
		c.Do(t, confirmTOTP, in(input{"code": code})).Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		var again struct{ RegenerateRecoveryCodes struct{ Codes []string } }
		c.Do(t, regenerate, nil).Into(t, &again)
		challenge := challenged(t, srv, c)
		do(t, srv, completeLogin, input{"challenge": challenge, "code": code}).
			Refused(t, "BAD_USER_INPUT", "INVALID_CREDENTIALS") // the code that confirmed the setup was used
		do(t, srv, completeLogin, input{"challenge": challenge, "recoveryCode": confirmed.ConfirmTotp.Codes[0]}).
			Refused(t, "BAD_USER_INPUT", "INVALID_CREDENTIALS")
		accepted(t, do(t, srv, completeLogin,
			input{"challenge": challenge, "recoveryCode": again.RegenerateRecoveryCodes.Codes[0]}))
	})
}

func TestCodesOfTheNeighboringStepsAreAccepted(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	c := srv.As(t)
	app := enroll(t, srv, c)
	for _, step := range []struct {
		offset time.Duration
		ok     bool
	}{{-2, false}, {2, false}, {-1, true}, {0, true}, {1, true}, {1, false}, {0, false}, {-1, false}} {
		if step.offset == -1 && step.ok {
			srv.Advance(t, 5*time.Minute)
		}
		code, err := totp.GenerateCode(app.secret, srv.Now().Add(step.offset*30*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		a := do(t, srv, completeLogin, input{"challenge": challenged(t, srv, c), "code": code[:3] + " " + code[3:]})
		if ok := len(a.Errors) == 0; ok != step.ok {
			t.Errorf("step %d: %s", step.offset, a.Body)
		}
	}
}

func TestARecoveryCodeSignsInOnce(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		app := enroll(t, srv, c)
		typed := strings.ToLower(strings.ReplaceAll(app.codes[0], "-", " "))
		var out struct{ CompleteLogin apptest.Auth }
		do(t, srv, completeLogin, input{"challenge": challenged(t, srv, c), "recoveryCode": typed}).Into(t, &out)
		if got := methods(t, srv, out.CompleteLogin.AccessToken); got != "pwd recovery mfa" {
			t.Errorf("methods %q", got)
		}
		do(t, srv, completeLogin, input{"challenge": challenged(t, srv, c), "recoveryCode": app.codes[0]}).
			Refused(t, "BAD_USER_INPUT", "INVALID_CREDENTIALS")
		other := srv.As(t)
		enroll(t, srv, other)
		do(t, srv, completeLogin, input{"challenge": challenged(t, srv, other), "recoveryCode": app.codes[1]}).
			Refused(t, "BAD_USER_INPUT", "INVALID_CREDENTIALS")
		var shown struct {
			Me struct {
				HasSecondFactor bool
				Factors         struct {
					TotpSince         *time.Time
					RecoveryCodesLeft int
				}
			}
		}
		c.Do(t, factors, nil).Into(t, &shown)
		if f := shown.Me.Factors; !shown.Me.HasSecondFactor || f.TotpSince == nil || f.RecoveryCodesLeft != 9 {
			t.Errorf("%+v", shown)
		}
		if !slices.Contains(recorded(t, srv, c.UserID), audit.RecoveryCodeUsed) ||
			srv.Count(t, "SELECT count(*) FROM mail WHERE kind = $1 AND user_id = $2", mail.FactorChanged, c.UserID) != 2 {
			t.Error("the use is not recorded and mailed")
		}
		// A database dump shows no code, and the same code of two users has two hashes.
		if n := srv.Count(t, "SELECT count(DISTINCT hash) FROM recovery_codes WHERE hash NOT LIKE $1",
			app.codes[0][:4]+"%"); n != 20 {
			t.Errorf("%d hashes", n)
		}
	})
}

func TestEachAnswerWorksOnceOf32ConcurrentTimes(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(t *testing.T, c *apptest.Client, app *authenticator) func() input{
		"code": func(t *testing.T, c *apptest.Client, app *authenticator) func() input {
			code := app.code(t)
			return func() input { return input{"challenge": challenged(t, app.srv, c), "code": code} }
		},
		"recovery code": func(t *testing.T, c *apptest.Client, app *authenticator) func() input {
			return func() input { return input{"challenge": challenged(t, app.srv, c), "recoveryCode": app.codes[0]} }
		},
		"challenge": func(t *testing.T, c *apptest.Client, app *authenticator) func() input {
			challenge, n := challenged(t, app.srv, c), 0
			return func() input {
				n++
				return input{"challenge": challenge, "recoveryCode": app.codes[n%len(app.codes)]}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
				c := srv.As(t)
				next := answer(t, c, enroll(t, srv, c))
				var answers []input
				for range 32 {
					answers = append(answers, next())
				}
				var won atomic.Int64
				var group errgroup.Group
				for _, one := range answers {
					group.Go(func() error {
						a, err := srv.Anonymous().Call(t.Context(), completeLogin, in(one))
						switch {
						case err != nil:
							return err
						case len(a.Errors) == 0:
							won.Add(1)
						case a.Errors[0].Extensions.Code != "BAD_USER_INPUT":
							return fmt.Errorf("%s", a.Body)
						}
						return nil
					})
				}
				if err := group.Wait(); err != nil || won.Load() != 1 {
					t.Errorf("%d won: %v", won.Load(), err)
				}
			})
		})
	}
}

func TestAChallengeHasFiveAttempts(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		app := enroll(t, srv, c)
		challenge := challenged(t, srv, c)
		for range 5 {
			do(t, srv, completeLogin, input{"challenge": challenge, "code": "wrong"}).
				Refused(t, "BAD_USER_INPUT", "INVALID_CREDENTIALS")
		}
		do(t, srv, completeLogin, input{"challenge": challenge, "code": app.code(t)}).
			Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		challenge = challenged(t, srv, c)
		for _, forged := range []string{"", "c", challenge[:len(challenge)-2] + "AA", challenge + "A", "\x00"} {
			do(t, srv, completeLogin, input{"challenge": forged, "code": app.code(t)}).
				Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		}
		srv.Update(t, "UPDATE challenges SET expires_at = now_us() WHERE kind = 'second-factor'")
		do(t, srv, completeLogin, input{"challenge": challenge, "code": app.code(t)}).
			Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
	})
}

func TestAChallengeDiesWithTheStateItIsBoundTo(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, srv *apptest.Server, c *apptest.Client, app *authenticator){
		"a change of the password": func(t *testing.T, _ *apptest.Server, c *apptest.Client, _ *authenticator) {
			accepted(t, c.Do(t, changePassword,
				in(input{"currentPassword": apptest.Password, "newPassword": newPassword})))
		},
		"a reset of the password": func(t *testing.T, srv *apptest.Server, c *apptest.Client, _ *authenticator) {
			accepted(t, do(t, srv, requestReset, input{"email": c.Email}))
			accepted(t, do(t, srv, resetPassword,
				input{"token": srv.Secret(t, mail.ResetPassword), "newPassword": newPassword}))
		},
		"another authenticator": func(t *testing.T, srv *apptest.Server, c *apptest.Client, app *authenticator) {
			app.secret = enroll(t, srv, c).secret
		},
		"disabling": func(t *testing.T, srv *apptest.Server, c *apptest.Client, _ *authenticator) {
			for _, disabled := range []bool{true, false} {
				_, err := srv.App.Accounts.SetDisabled(t.Context(), c.UserID, disabled, apptest.Operator)
				if err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
				c := srv.As(t)
				app := enroll(t, srv, c)
				srv.Update(t, "UPDATE users SET email_verified = TRUE") // otherwise a reset removes the factor
				challenge := challenged(t, srv, c)
				change(t, srv, c, app)
				do(t, srv, completeLogin, input{"challenge": challenge, "code": app.code(t)}).
					Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
			})
		})
	}
}

// A reset by mail and a sign-in by mail prove the mailbox only.
func TestAMailboxIsNotASecondFactor(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		srv.Update(t, "UPDATE users SET email_verified = TRUE")
		app := enroll(t, srv, c)
		a := do(t, srv, loginWithCode, codeFor(t, srv, c.Email))
		a.Refused(t, "UNAUTHENTICATED", "SECOND_FACTOR_REQUIRED")
		var out struct{ CompleteLogin apptest.Auth }
		do(t, srv, completeLogin,
			input{"challenge": a.Errors[0].Extensions.Challenge.ID, "code": app.code(t)}).Into(t, &out)
		if got := methods(t, srv, out.CompleteLogin.AccessToken); got != "email otp mfa" {
			t.Errorf("methods %q", got)
		}
		accepted(t, do(t, srv, requestReset, input{"email": c.Email}))
		accepted(t, do(t, srv, resetPassword,
			input{"token": srv.Secret(t, mail.ResetPassword), "newPassword": newPassword}))
		a = tryLogin(t, srv, input{"email": c.Email, "password": newPassword})
		a.Refused(t, "UNAUTHENTICATED", "SECOND_FACTOR_REQUIRED")
		accepted(t, do(t, srv, completeLogin,
			input{"challenge": a.Errors[0].Extensions.Challenge.ID, "code": app.code(t)}))
	}, settings("open", "optional", "code"))
}

// A stranger registers the address of another person and adds a second factor. The mailbox's owner then arrives.
func TestAStrangersFactorDoesNotLockTheOwnerOfTheAddressOut(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		stranger := srv.As(t)
		enroll(t, srv, stranger)
		accepted(t, do(t, srv, loginWithCode, codeFor(t, srv, stranger.Email)))
		stranger.Do(t, me, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_REVOKED")
		if srv.Count(t, "SELECT count(*) FROM totp")+srv.Count(t, "SELECT count(*) FROM recovery_codes") != 0 {
			t.Error("the stranger's factor remains")
		}
	}, settings("open", "optional", "code"))
}

func TestReauthenticateProvesEverythingThatTheAccountDemands(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		app := enroll(t, srv, c)
		old := func() {
			srv.Update(t, "UPDATE sessions SET auth_time = auth_time - $2 WHERE id = $1", c.SessionID,
				(10 * time.Minute).Microseconds())
			c.Refresh(t)
		}
		old()
		c.Do(t, disableTOTP, nil).Refused(t, "FORBIDDEN", "STEP_UP_REQUIRED")
		a := c.Do(t, reauthenticate, in(input{"password": apptest.Password}))
		a.Refused(t, "BAD_USER_INPUT", "SECOND_FACTOR_REQUIRED")
		if diff := cmp.Diff([]string{"input.code SECOND_FACTOR_REQUIRED"}, fields(a)); diff != "" {
			t.Error(diff)
		}
		for _, fields := range []input{
			{"code": app.code(t)}, {},
		} {
			a := c.Do(t, reauthenticate, in(fields))
			if len(a.Errors) != 1 || a.Errors[0].Extensions.Reason != "REQUIRED" {
				t.Errorf("%s", a.Body)
			}
		}
		c.Do(t, reauthenticate, in(input{"password": "wrong", "code": app.code(t)})).
			Refused(t, "BAD_USER_INPUT", "INVALID_CREDENTIALS")
		c.Do(t, reauthenticate, in(input{"password": apptest.Password, "code": "000000"})).
			Refused(t, "BAD_USER_INPUT", "INVALID_CREDENTIALS")
		c.Do(t, reauthenticate, in(input{"password": apptest.Password, "code": "1", "recoveryCode": "1"})).
			Refused(t, "BAD_USER_INPUT", "EXACTLY_ONE_REQUIRED")
		c.Do(t, changePassword, in(input{"currentPassword": apptest.Password, "newPassword": newPassword})).
			Refused(t, "FORBIDDEN", "STEP_UP_REQUIRED")
		c.Do(t, disableTOTP, nil).Refused(t, "FORBIDDEN", "STEP_UP_REQUIRED")
		var out struct{ Reauthenticate apptest.Auth }
		c.Do(t, reauthenticate, in(input{"password": apptest.Password, "code": app.code(t)})).Into(t, &out)
		c.Take(out.Reauthenticate)
		var changed struct{ ChangePassword apptest.Auth }
		c.Do(t, changePassword, in(input{"currentPassword": apptest.Password, "newPassword": newPassword})).
			Into(t, &changed)
		c.Take(changed.ChangePassword)
		old()
		c.Do(t, reauthenticate, in(input{"password": newPassword, "recoveryCode": app.codes[0]})).Into(t, &out)
		c.Take(out.Reauthenticate)
		accepted(t, c.Do(t, disableTOTP, nil))
	})
}

func TestRemovingAFactorLowersTheSessions(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(t *testing.T, srv *apptest.Server, c *apptest.Client){
		"by its user": func(t *testing.T, _ *apptest.Server, c *apptest.Client) { accepted(t, c.Do(t, disableTOTP, nil)) },
		"by an administrator": func(t *testing.T, srv *apptest.Server, c *apptest.Client) {
			c.Do(t, resetFactors, in(input{"userId": c.UserID})).Refused(t, "FORBIDDEN", "ROLE_REQUIRED")
			admin := srv.As(t, account.RoleAdmin)
			admin.Do(t, resetFactors, in(input{"userId": "unknown"})).Refused(t, "NOT_FOUND", "USER_NOT_FOUND")
			accepted(t, admin.Do(t, resetFactors, in(input{"userId": c.UserID})))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
				c := srv.As(t)
				app := enroll(t, srv, c)
				var other struct{ CompleteLogin apptest.Auth }
				do(t, srv, completeLogin, input{"challenge": challenged(t, srv, c), "code": app.code(t)}).Into(t, &other)
				second := srv.Anonymous()
				second.Take(other.CompleteLogin)
				remove(t, srv, c)
				for _, device := range []*apptest.Client{c, second} {
					device.Do(t, me, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_STALE")
					device.Refresh(t)
					claims, err := srv.App.Verifier.Verify(device.AccessToken)
					if err != nil || strings.Join(claims.Methods, " ") != "pwd" || claims.HasFactor {
						t.Errorf("%+v %v", claims, err)
					}
				}
				c.Login(t)
				if srv.Count(t, "SELECT count(*) FROM totp")+srv.Count(t, "SELECT count(*) FROM recovery_codes") != 0 {
					t.Error("the factor remains")
				}
				if !slices.Contains(recorded(t, srv, c.UserID), audit.FactorRemoved) ||
					srv.Count(t, "SELECT count(*) FROM mail WHERE kind = $1", mail.FactorChanged) != 2 {
					t.Error("the removal is not recorded and mailed")
				}
			})
		})
	}
}

const users = `{ users { nodes { id } } }`

func TestARoleThatDemandsAFactorCanOnlySetOneUp(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		admin, user := srv.As(t, account.RoleAdmin), srv.As(t)
		old := admin.Login(t)
		accepted(t, user.Do(t, updateName, nil))
		for _, query := range []string{users, updateName, disableTOTP, regenerate} {
			a := admin.Do(t, query, nil)
			a.Refused(t, "FORBIDDEN", "SECOND_FACTOR_SETUP_REQUIRED")
			if a.Status != 403 {
				t.Errorf("status %d", a.Status)
			}
		}
		accepted(t, admin.Do(t, me, nil))
		app := enroll(t, srv, admin)
		accepted(t, admin.Do(t, users, nil))
		// A session from before has not proved the factor.
		old.Refresh(t)
		old.Do(t, users, nil).Refused(t, "FORBIDDEN", "SECOND_FACTOR_REQUIRED")
		var out struct{ Reauthenticate apptest.Auth }
		old.Do(t, reauthenticate, in(input{"password": apptest.Password, "code": app.code(t)})).Into(t, &out)
		old.Take(out.Reauthenticate)
		accepted(t, old.Do(t, users, nil))
		accepted(t, old.Do(t, disableTOTP, nil))
		admin.Refresh(t)
		admin.Do(t, users, nil).Refused(t, "FORBIDDEN", "SECOND_FACTOR_SETUP_REQUIRED")
		accepted(t, admin.Do(t, `mutation { logout { endedSessions } }`, nil))
	}, func(o *apptest.Options) { o.Config.RequireMFA = []string{"ADMIN"} })
}

const updateName = `mutation { updateProfile(input: {name: "Jane"}) { id } }`

// A proof that is older than the factor does not count for it: a thief with the password and an open session could
// otherwise replace the factor.
func TestASessionWithoutTheFactorCannotChangeIt(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		thief := c.Login(t)
		enroll(t, srv, c)
		thief.Refresh(t)
		for _, query := range []string{beginTOTP, disableTOTP, regenerate} {
			thief.Do(t, query, nil).Refused(t, "FORBIDDEN", "STEP_UP_REQUIRED")
		}
		thief.Do(t, reauthenticate, in(input{"password": apptest.Password})).
			Refused(t, "BAD_USER_INPUT", "SECOND_FACTOR_REQUIRED")
	})
}

// An attempt guesses one of three valid codes among a million. In an hour at the default limit, guessing succeeds with a
// probability of at most 1 in 10,000.
func TestGuessingASecondFactorForAnHour(t *testing.T) {
	t.Parallel()
	limit := config.Rate{}
	srv := apptest.Start(t, func(o *apptest.Options) {
		var defaults config.Config
		parser, err := kong.New(&defaults)
		if err == nil {
			_, err = parser.Parse(nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		limit = defaults.SecondFactorLimit
		o.Config.SecondFactorLimit = limit
	})
	c := srv.As(t)
	enroll(t, srv, c)
	guesses := 0
	for range 60 {
		for limited := false; !limited; {
			a := do(t, srv, completeLogin, input{"challenge": challenged(t, srv, c), "code": "wrong"})
			if limited = a.Errors[0].Extensions.Code == "RATE_LIMITED"; !limited {
				a.Refused(t, "BAD_USER_INPUT", "INVALID_CREDENTIALS")
				guesses++
			}
		}
		stranger := throttle.Attempt{User: c.UserID, IP: "203.0.113.9"}
		for srv.App.Throttle.Factor(t.Context(), stranger, false) == nil {
			guesses++
		}
		srv.Advance(t, time.Minute)
	}
	if chance := float64(guesses) * 3 / 1e6; chance > 1e-4 || guesses < 2*limit.Burst {
		t.Errorf("%d guesses succeed with a probability of %g", guesses, chance)
	}
}

// A stranger who knows the password cannot make the owner wait at an address that the account knows.
func TestAStrangerCannotUseUpTheOwnersAttempts(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		app := enroll(t, srv, c)
		stranger := throttle.Attempt{User: c.UserID, IP: "203.0.113.9"}
		for srv.App.Throttle.Factor(t.Context(), stranger, false) == nil {
		}
		challenge := challenged(t, srv, c)
		for range 3 {
			do(t, srv, completeLogin, input{"challenge": challenge, "code": "wrong"}).
				Refused(t, "BAD_USER_INPUT", "INVALID_CREDENTIALS")
		}
		accepted(t, do(t, srv, completeLogin, input{"challenge": challenge, "code": app.code(t)}))
		for range 3 { // the success has cleared the owner's failures
			do(t, srv, completeLogin, input{"challenge": challenged(t, srv, c), "code": "wrong"}).
				Refused(t, "BAD_USER_INPUT", "INVALID_CREDENTIALS")
		}
	}, func(o *apptest.Options) { o.Config.SecondFactorLimit = config.Rate{Burst: 4, Per: time.Hour} })
}

// Debian's oathtool is an independent implementation of TOTP.
func TestOathtoolMakesTheCodes(t *testing.T) {
	t.Parallel()
	oathtool, err := exec.LookPath("oathtool")
	if err != nil && os.Getenv("CI") != "" {
		t.Fatal("oathtool is missing: apt-get install oathtool")
	}
	if err != nil {
		t.Skip("SKIPPED: oathtool is missing: apt-get install oathtool")
	}
	srv := apptest.Start(t)
	c := srv.As(t)
	app := begin(t, srv, c)
	code := func() string {
		srv.Advance(t, 30*time.Second)
		at := srv.Now().UTC().Format("2006-01-02 15:04:05 UTC")
		out, err := exec.CommandContext(t.Context(), oathtool, "--totp", "--base32", "--now="+at, app.secret).Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	accepted(t, c.Do(t, confirmTOTP, in(input{"code": code()})))
	for range 3 {
		accepted(t, do(t, srv, completeLogin, input{"challenge": challenged(t, srv, c), "code": code()}))
	}
}

func TestAnExportTellsTheFactorsWithoutSecretsAndADeletionRemovesThem(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		app := enroll(t, srv, c)
		accepted(t, do(t, srv, completeLogin, input{"challenge": challenged(t, srv, c), "recoveryCode": app.codes[0]}))
		a := c.Do(t, `mutation { exportAccount { document } }`, nil)
		var out struct {
			ExportAccount struct {
				Document struct {
					Factors struct {
						Authenticators []struct{ Confirmed bool }
						RecoveryCodes  []struct{ UsedAt *time.Time }
					}
				}
			}
		}
		a.Into(t, &out)
		f := out.ExportAccount.Document.Factors
		used := 0
		for _, code := range f.RecoveryCodes {
			if code.UsedAt != nil {
				used++
			}
		}
		if len(f.Authenticators) != 1 || !f.Authenticators[0].Confirmed || len(f.RecoveryCodes) != 10 || used != 1 {
			t.Errorf("%+v", f)
		}
		var secrets []string
		const query = "SELECT sealed FROM totp UNION SELECT hash FROM recovery_codes"
		if err := srv.App.DB.Select(t.Context(), &secrets, query); err != nil {
			t.Fatal(err)
		}
		for _, secret := range append(secrets, app.secret) {
			if strings.Contains(string(a.Body), secret) {
				t.Errorf("the export shows %s", secret)
			}
		}
		accepted(t, c.Do(t, deleteAccount, in(input{"confirmEmail": c.Email})))
		if srv.Count(t, "SELECT count(*) FROM totp")+srv.Count(t, "SELECT count(*) FROM recovery_codes") != 0 {
			t.Error("the deletion leaves factors")
		}
	})
}
