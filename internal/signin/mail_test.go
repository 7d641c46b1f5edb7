package signin_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/signin"
)

const (
	requestVerification = `mutation { requestEmailVerification { accepted } }`
	verifyEmail         = `mutation($in: VerifyEmailInput!) { verifyEmail(input: $in) { verified } }`
	requestReset        = `mutation($in: RequestPasswordResetInput!) { requestPasswordReset(input: $in) { accepted } }`
	resetPassword       = `mutation($in: ResetPasswordInput!) { resetPassword(input: $in) { accepted } }`
	requestChange       = `mutation($in: RequestEmailChangeInput!) { requestEmailChange(input: $in) { accepted } }`
	confirmChange       = `mutation($in: ConfirmEmailChangeInput!) { confirmEmailChange(input: $in) { accepted } }`
	revertChange        = `mutation($in: RevertEmailChangeInput!) { revertEmailChange(input: $in) { accepted } }`
	requestCode         = `mutation($in: RequestLoginCodeInput!) { requestLoginCode(input: $in) { challenge } }`
	loginWithCode       = `mutation($in: LoginWithCodeInput!) { loginWithCode(input: $in) ` + apptest.AuthFields + ` }`
	newPassword         = "twelve other trees"
)

func settings(register, verification string, signIn ...string) func(*apptest.Options) {
	return func(o *apptest.Options) {
		o.Config.Register, o.Config.EmailVerification = register, verification
		o.Config.SignIn = append([]string{"password"}, signIn...)
	}
}

func do(t *testing.T, srv *apptest.Server, query string, fields input) *apptest.Answer {
	t.Helper()
	return srv.Anonymous().Do(t, query, in(fields))
}

func accepted(t *testing.T, a *apptest.Answer) {
	t.Helper()
	if len(a.Errors) > 0 {
		t.Fatalf("%s", a.Body)
	}
}

func isVerified(t *testing.T, srv *apptest.Server) bool {
	t.Helper()
	return srv.Count(t, "SELECT count(*) FROM users WHERE email_verified") == 1
}

func TestVerifyEmailNeedsTheAccountAndTheLink(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := jane(t, srv)
		link := srv.Secret(t, mail.VerifyEmail)
		// Mail scanners follow links, and a stranger's registration must not be verified by the mailbox's owner.
		do(t, srv, verifyEmail, input{"token": link}).Refused(t, "BAD_USER_INPUT", "REQUIRED")
		do(t, srv, verifyEmail, input{"token": link, "password": "wrong"}).
			Refused(t, "BAD_USER_INPUT", "INVALID_CREDENTIALS")
		stranger := srv.As(t)
		stranger.Do(t, verifyEmail, in(input{"token": link})).Refused(t, "BAD_USER_INPUT", "REQUIRED")
		if isVerified(t, srv) {
			t.Fatal("verified")
		}
		accepted(t, c.Do(t, verifyEmail, in(input{"token": link})))
		if !isVerified(t, srv) {
			t.Error("not verified")
		}
		do(t, srv, verifyEmail, input{"token": link, "password": password}).
			Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		if got := recorded(t, srv, c.UserID); !slices.Contains(got, audit.EmailVerified) {
			t.Error(got)
		}
		// Older access tokens lack the claim.
		c.Do(t, me, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_STALE")
		c.Refresh(t)
		claims, err := srv.App.Verifier.Verify(c.AccessToken)
		if err != nil || !claims.EmailVerified {
			t.Errorf("%+v %v", claims, err)
		}
		accepted(t, c.Do(t, requestVerification, nil))
		if n := len(srv.Secrets(t, mail.VerifyEmail)); n != 2 { // that of the stranger
			t.Errorf("%d mails", n)
		}
	}, settings("open", "optional"))
}

func TestLoginRequiresAVerifiedAddress(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		a := tryRegister(t, srv, input{"email": "jane@example.com", "password": password})
		accepted(t, a)
		if string(a.Data) != `{"register":{"auth":null}}` {
			t.Errorf("%s", a.Data)
		}
		by := input{"email": "jane@example.com", "password": password}
		tryLogin(t, srv, input{"email": "jane@example.com", "password": "wrong"}).
			Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
		if n := len(srv.Secrets(t, mail.VerifyEmail)); n != 1 {
			t.Errorf("%d mails after a wrong password", n)
		}
		tryLogin(t, srv, by).Refused(t, "UNAUTHENTICATED", "EMAIL_NOT_VERIFIED")
		links := srv.Secrets(t, mail.VerifyEmail)
		if len(links) != 2 || srv.Count(t, "SELECT count(*) FROM sessions") != 0 {
			t.Fatalf("%d mails", len(links))
		}
		accepted(t, do(t, srv, verifyEmail, input{"token": links[0], "password": password}))
		accepted(t, tryLogin(t, srv, by))
	}, settings("open", "required"))
}

func TestASilentRegistrationDoesNotRevealAccounts(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		free := tryRegister(t, srv, input{"email": "Jane@example.com", "password": password, "username": "jane"})
		accepted(t, free)
		// Neither a login nor the username reveals the first registration.
		by := input{"email": "jane@example.com", "password": password}
		tryLogin(t, srv, by).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
		if srv.Count(t, "SELECT count(*) FROM users") != 0 {
			t.Error("an account exists before its address is verified")
		}
		link := srv.Secret(t, mail.VerifyEmail)
		do(t, srv, verifyEmail, input{"token": link}).Refused(t, "BAD_USER_INPUT", "REQUIRED")
		do(t, srv, verifyEmail, input{"token": link, "password": "wrong"}).
			Refused(t, "BAD_USER_INPUT", "INVALID_CREDENTIALS")
		accepted(t, do(t, srv, verifyEmail, input{"token": link, "password": password}))
		do(t, srv, verifyEmail, input{"token": link, "password": password}).
			Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		accepted(t, tryLogin(t, srv, by))
		taken := tryRegister(t, srv, input{"email": "jane@example.com", "password": newPassword})
		if diff := cmp.Diff(string(free.Body), string(taken.Body)); diff != "" {
			t.Error(diff)
		}
		if n := len(srv.Secrets(t, mail.VerifyEmail)); n != 1 {
			t.Errorf("%d links", n)
		}
		if n := srv.Count(t, "SELECT count(*) FROM mail WHERE kind = $1", mail.AlreadyRegistered); n != 1 {
			t.Errorf("%d notices", n)
		}
		// A taken username is refused for free and taken addresses alike.
		for _, email := range []string{"jane@example.com", "free@example.com"} {
			tryRegister(t, srv, input{"email": email, "password": newPassword, "username": "jane"}).
				Refused(t, "CONFLICT", "USERNAME_TAKEN")
		}
	}, settings("silent", "optional"))
}

func TestRegistrationCanBeClosed(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, settings("closed", "off"))
	tryRegister(t, srv, input{"email": "jane@example.com", "password": password}).Refused(t, "FORBIDDEN", "NOT_OFFERED")
}

func TestResetPassword(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := jane(t, srv)
		known := do(t, srv, requestReset, input{"email": "JANE.doe@example.com"})
		unknown := do(t, srv, requestReset, input{"email": "unknown@example.com"})
		if diff := cmp.Diff(string(known.Body), string(unknown.Body)); diff != "" {
			t.Error(diff)
		}
		accepted(t, do(t, srv, requestReset, input{"email": "jane.doe@example.com"}))
		links := srv.Secrets(t, mail.ResetPassword)
		if len(links) != 2 {
			t.Fatalf("%d mails", len(links))
		}
		do(t, srv, resetPassword, input{"token": links[0], "newPassword": "short"}).
			Refused(t, "BAD_USER_INPUT", "PASSWORD_TOO_SHORT")
		do(t, srv, verifyEmail, input{"token": links[0]}).Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		// The earlier link is valid: a stranger's request does not void it.
		accepted(t, do(t, srv, resetPassword, input{"token": links[0], "newPassword": newPassword}))
		for _, link := range links {
			do(t, srv, resetPassword, input{"token": link, "newPassword": newPassword}).
				Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		}
		c.Do(t, me, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_REVOKED")
		c.Redeem(t, c.RefreshToken).Refused(t, "UNAUTHENTICATED", "SESSION_REVOKED")
		if srv.Count(t, "SELECT count(*) FROM sessions WHERE revoked_at IS NULL") != 0 {
			t.Error("a reset starts no session")
		}
		by := input{"email": "jane.doe@example.com", "password": password}
		tryLogin(t, srv, by).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
		by["password"] = newPassword
		accepted(t, tryLogin(t, srv, by))
		if srv.Count(t, "SELECT count(*) FROM mail WHERE kind = $1", mail.PasswordChanged) != 1 || !isVerified(t, srv) {
			t.Error("no notice, or the address is not verified")
		}
	})
}

func TestLinksDieWithTheStateTheyAreBoundTo(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, srv *apptest.Server, c *apptest.Client){
		"a change of the password": func(t *testing.T, _ *apptest.Server, c *apptest.Client) {
			accepted(t, c.Do(t, changePassword, in(input{"currentPassword": password, "newPassword": newPassword})))
		},
		"a change of the address": func(t *testing.T, srv *apptest.Server, c *apptest.Client) {
			accepted(t, c.Do(t, requestChange, in(input{"newEmail": "new@example.com"})))
			accepted(t, c.Do(t, confirmChange, in(input{"token": srv.Secret(t, mail.EmailChange)})))
		},
		"disabling": func(t *testing.T, srv *apptest.Server, c *apptest.Client) {
			for _, disabled := range []bool{true, false} {
				_, err := srv.App.Accounts.SetDisabled(t.Context(), c.UserID, disabled, apptest.Operator)
				if err != nil {
					t.Fatal(err)
				}
			}
		},
		"deletion": func(t *testing.T, _ *apptest.Server, c *apptest.Client) {
			accepted(t, c.Do(t, deleteAccount, in(input{"confirmEmail": c.Email})))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
				_ = srv.As(t)
				c := jane(t, srv)
				accepted(t, do(t, srv, requestReset, input{"email": c.Email}))
				link := srv.Secret(t, mail.ResetPassword)
				change(t, srv, c)
				do(t, srv, resetPassword, input{"token": link, "newPassword": newPassword}).
					Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
			}, settings("open", "off"))
		})
	}
}

// A stranger registers the address of another person and keeps a session. The mailbox's owner then arrives.
func TestProvingAnAddressEndsWhatAStrangerSetUp(t *testing.T) {
	t.Parallel()
	for name, arrive := range map[string]func(t *testing.T, srv *apptest.Server, email string){
		"by a reset": func(t *testing.T, srv *apptest.Server, email string) {
			accepted(t, do(t, srv, requestReset, input{"email": email}))
			accepted(t, do(t, srv, resetPassword,
				input{"token": srv.Secret(t, mail.ResetPassword), "newPassword": newPassword}))
		},
		"by a code": func(t *testing.T, srv *apptest.Server, email string) {
			accepted(t, do(t, srv, loginWithCode, codeFor(t, srv, email)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
				stranger, d := jane(t, srv), newDevice()
				addPasskey(t, stranger, d)
				accepted(t, stranger.Do(t, requestChange, in(input{"newEmail": "stranger@example.com"})))
				link := srv.Secret(t, mail.EmailChange)
				arrive(t, srv, stranger.Email)
				stranger.Do(t, me, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_REVOKED")
				stranger.Redeem(t, stranger.RefreshToken).Refused(t, "UNAUTHENTICATED", "SESSION_REVOKED")
				tryLogin(t, srv, input{"email": stranger.Email, "password": password}).
					Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
				tryPasskey(t, srv, d).Refused(t, "UNAUTHENTICATED", "PASSKEY_UNKNOWN")
				do(t, srv, confirmChange, input{"token": link, "password": password}).
					Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
				if got := recorded(t, srv, stranger.UserID); !slices.Contains(got, audit.UnprovedCredentialsRemoved) {
					t.Error(got)
				}
			}, settings("open", "optional", "code"))
		})
	}
}

func TestEmailChange(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := jane(t, srv)
		other := srv.As(t)
		// A taken address gets the same answer.
		free := c.Do(t, requestChange, in(input{"newEmail": "New@example.com"}))
		taken := other.Do(t, requestChange, in(input{"newEmail": c.Email}))
		if diff := cmp.Diff(string(free.Body), string(taken.Body)); diff != "" || len(free.Errors) > 0 {
			t.Error(diff, string(free.Body))
		}
		link, undo := srv.Secret(t, mail.EmailChange), srv.Secrets(t, mail.EmailChanging)[0]
		do(t, srv, confirmChange, input{"token": link}).Refused(t, "BAD_USER_INPUT", "REQUIRED")
		do(t, srv, confirmChange, input{"token": undo}).Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		accepted(t, do(t, srv, confirmChange, input{"token": link, "password": password}))
		accepted(t, tryLogin(t, srv, input{"email": "new@example.com", "password": password}))
		tryLogin(t, srv, input{"email": c.Email, "password": password}).
			Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
		// The owner of the old address undoes it, which ends the attacker's sessions.
		accepted(t, do(t, srv, revertChange, input{"token": undo}))
		accepted(t, tryLogin(t, srv, input{"email": c.Email, "password": password}))
		c.Redeem(t, c.RefreshToken).Refused(t, "UNAUTHENTICATED", "SESSION_REVOKED")
		do(t, srv, revertChange, input{"token": undo}).Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
	}, settings("open", "optional"))
}

func TestOneOfTwoChangesToAnAddressWins(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		clients := []*apptest.Client{srv.As(t), srv.As(t)}
		for _, c := range clients {
			accepted(t, c.Do(t, requestChange, in(input{"newEmail": "new@example.com"})))
		}
		links := srv.Secrets(t, mail.EmailChange)
		var won, lost atomic.Int64
		var group errgroup.Group
		for _, link := range links {
			group.Go(func() error {
				a, err := srv.Anonymous().Call(t.Context(), confirmChange,
					in(input{"token": link, "password": apptest.Password}))
				switch {
				case err != nil:
					return err
				case len(a.Errors) == 0:
					won.Add(1)
				case a.Errors[0].Extensions.Reason == "EMAIL_TAKEN":
					lost.Add(1)
				default:
					return fmt.Errorf("%s", a.Body)
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil || won.Load() != 1 || lost.Load() != 1 {
			t.Errorf("%d won, %d lost: %v", won.Load(), lost.Load(), err)
		}
	})
}

// codeFor requests a code and returns the input of loginWithCode.
func codeFor(t *testing.T, srv *apptest.Server, email string) input {
	t.Helper()
	var out struct{ RequestLoginCode struct{ Challenge string } }
	do(t, srv, requestCode, input{"email": email}).Into(t, &out)
	codes := srv.Secrets(t, mail.LoginCode)
	return input{"challenge": out.RequestLoginCode.Challenge, "code": append(codes, "000000")[max(len(codes)-1, 0)]}
}

func TestLoginWithCode(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		unknown := codeFor(t, srv, "unknown@example.com")
		c := jane(t, srv)
		good := codeFor(t, srv, c.Email)
		if a, b := unknown["challenge"].(string), good["challenge"].(string); len(a) != len(b) || a == b {
			t.Errorf("challenges %q and %q", a, b)
		}
		do(t, srv, loginWithCode, unknown).Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		// A code is bound to its challenge.
		do(t, srv, loginWithCode, input{"challenge": unknown["challenge"], "code": good["code"]}).
			Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		do(t, srv, loginWithCode, input{"challenge": good["challenge"], "code": ""}).
			Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		var in struct{ LoginWithCode apptest.Auth }
		do(t, srv, loginWithCode, good).Into(t, &in)
		do(t, srv, loginWithCode, good).Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		claims, err := srv.App.Verifier.Verify(in.LoginWithCode.AccessToken)
		if err != nil || strings.Join(claims.Methods, " ") != "email" || !claims.EmailVerified {
			t.Errorf("%+v %v", claims, err)
		}
	}, settings("open", "optional", "code"))
}

func TestCodesAreOffByDefault(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	do(t, srv, requestCode, input{"email": "jane@example.com"}).Refused(t, "FORBIDDEN", "NOT_OFFERED")
	do(t, srv, loginWithCode, input{"challenge": "c", "code": "1"}).Refused(t, "FORBIDDEN", "NOT_OFFERED")
}

func TestEachSecretWorksOnceOf32ConcurrentTimes(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t *testing.T, srv *apptest.Server, c *apptest.Client) (string, input){
		"verification": func(t *testing.T, srv *apptest.Server, _ *apptest.Client) (string, input) {
			return verifyEmail, input{"token": srv.Secret(t, mail.VerifyEmail), "password": password}
		},
		"reset": func(t *testing.T, srv *apptest.Server, c *apptest.Client) (string, input) {
			accepted(t, do(t, srv, requestReset, input{"email": c.Email}))
			return resetPassword, input{"token": srv.Secret(t, mail.ResetPassword), "newPassword": newPassword}
		},
		"change": func(t *testing.T, srv *apptest.Server, c *apptest.Client) (string, input) {
			accepted(t, c.Do(t, requestChange, in(input{"newEmail": "new@example.com"})))
			return confirmChange, input{"token": srv.Secret(t, mail.EmailChange), "password": password}
		},
		"reversal": func(t *testing.T, srv *apptest.Server, c *apptest.Client) (string, input) {
			accepted(t, c.Do(t, requestChange, in(input{"newEmail": "new@example.com"})))
			return revertChange, input{"token": srv.Secret(t, mail.EmailChanging)}
		},
		"invitation": func(t *testing.T, srv *apptest.Server, _ *apptest.Client) (string, input) {
			accepted(t, srv.As(t, "ADMIN").Do(t, inviteUser, in(input{"email": "kim@example.com"})))
			return acceptInvitation, input{"token": srv.Secret(t, mail.Invitation), "password": password}
		},
		"code": func(t *testing.T, srv *apptest.Server, c *apptest.Client) (string, input) {
			return loginWithCode, codeFor(t, srv, c.Email)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
				query, fields := prepare(t, srv, jane(t, srv))
				var won atomic.Int64
				var group errgroup.Group
				for range 32 {
					group.Go(func() error {
						a, err := srv.Anonymous().Call(t.Context(), query, in(fields))
						if err != nil {
							return err
						}
						if len(a.Errors) == 0 {
							won.Add(1)
						} else if reason := a.Errors[0].Extensions.Reason; reason != "CHALLENGE_INVALID" {
							return fmt.Errorf("%s", a.Body)
						}
						return nil
					})
				}
				if err := group.Wait(); err != nil || won.Load() != 1 {
					t.Errorf("%d won: %v", won.Load(), err)
				}
			}, settings("open", "optional", "code"))
		})
	}
}

func TestMailsToOneAddressAreLimitedSilently(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		email := srv.As(t).Email
		for range 3 {
			accepted(t, do(t, srv, requestReset, input{"email": email}))
		}
		if n := len(srv.Secrets(t, mail.ResetPassword)); n != 1 {
			t.Errorf("%d mails", n)
		}
	}, func(o *apptest.Options) { o.Config.MailPaceLimit.Burst = 1 })
}

func TestRequestsForMailAndLinksAreThrottled(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, func(o *apptest.Options) {
		o.Config.MailRequestLimit.Burst, o.Config.RedeemLimit.Burst = 2, 2
	})
	for range 2 {
		accepted(t, do(t, srv, requestReset, input{"email": "unknown@example.com"}))
		do(t, srv, resetPassword, input{"token": "t", "newPassword": newPassword}).
			Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
	}
	do(t, srv, requestReset, input{"email": "another@example.com"}).Refused(t, "RATE_LIMITED", "TOO_MANY_ATTEMPTS")
	for query, fields := range map[string]input{
		resetPassword: {"token": "t", "newPassword": newPassword},
		verifyEmail:   {"token": "t"},
		confirmChange: {"token": "t"},
		revertChange:  {"token": "t"},

		acceptInvitation: {"token": "t", "password": newPassword},
	} {
		do(t, srv, query, fields).Refused(t, "RATE_LIMITED", "TOO_MANY_ATTEMPTS")
	}
}

func TestAnAdministratorRequiresAnotherPassword(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		const require = `mutation($in: RequirePasswordChangeInput!) { requirePasswordChange(input: $in) { id } }`
		admin, c := srv.As(t, "ADMIN"), jane(t, srv)
		c.Do(t, require, in(input{"id": admin.UserID})).Refused(t, "FORBIDDEN", "ROLE_REQUIRED")
		accepted(t, admin.Do(t, require, in(input{"id": c.UserID})))
		by := input{"email": c.Email, "password": password}
		tryLogin(t, srv, input{"email": c.Email, "password": "wrong"}).
			Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
		tryLogin(t, srv, by).Refused(t, "UNAUTHENTICATED", "PASSWORD_CHANGE_REQUIRED")
		if n := srv.Count(t, "SELECT count(*) FROM sessions WHERE user_id = $1", c.UserID); n != 1 {
			t.Errorf("%d sessions", n)
		}
		accepted(t, c.Do(t, me, nil))
		link := srv.Secret(t, mail.ResetPassword)
		accepted(t, do(t, srv, resetPassword, input{"token": link, "newPassword": newPassword}))
		by["password"] = newPassword
		accepted(t, tryLogin(t, srv, by))
		if got := recorded(t, srv, c.UserID); !slices.Contains(got, audit.PasswordChangeRequired) {
			t.Error(got)
		}
	})
}

func TestSignInsFromNewAddressesAreAnnounced(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := jane(t, srv)
		mails := func() int { return srv.Count(t, "SELECT count(*) FROM mail WHERE kind = $1", mail.NewSignIn) }
		accepted(t, tryLogin(t, srv, input{"email": c.Email, "password": password}))
		if n := mails(); n != 0 {
			t.Errorf("%d mails for the address of the registration", n)
		}
		for range 2 { // the second time the address is known
			in := signin.Login{Email: &c.Email, Password: password}
			if _, err := srv.App.SignIn.Login(t.Context(), in, audit.Actor{IP: "192.0.2.1"}); err != nil {
				t.Fatal(err)
			}
		}
		if n := mails(); n != 1 {
			t.Errorf("%d mails for a new address", n)
		}
	})
}
