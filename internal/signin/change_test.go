package signin_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
)

func TestChangePasswordEndsAllOtherSessions(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		other := c.Login(t)
		change := func(current, new string) *apptest.Answer {
			return c.Do(t, changePassword, in(input{"currentPassword": current, "newPassword": new}))
		}
		a := change("wrong", "a quite new passphrase")
		a.Refused(t, "BAD_USER_INPUT", "INVALID_CREDENTIALS")
		if diff := cmp.Diff([]string{"input.currentPassword INVALID_CREDENTIALS"}, fields(a)); diff != "" {
			t.Error(diff)
		}
		weakPasswords := map[string]string{
			"short": "PASSWORD_TOO_SHORT", "password1": "PASSWORD_TOO_COMMON", c.Email: "PASSWORD_TOO_COMMON",
		}
		for weak, reason := range weakPasswords {
			a := change(apptest.Password, weak)
			a.Refused(t, "BAD_USER_INPUT", reason)
			if diff := cmp.Diff([]string{"input.newPassword " + reason}, fields(a)); diff != "" {
				t.Error(diff)
			}
		}
		other.Do(t, me, nil).Into(t, &struct{}{}) // a refused change has no effect
		c.Do(t, me, nil).Into(t, &struct{}{})

		before := *c
		var out struct{ ChangePassword apptest.Auth }
		change(apptest.Password, "a quite new passphrase").Into(t, &out)
		c.Take(out.ChangePassword)
		other.Do(t, me, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_REVOKED")
		other.Redeem(t, other.RefreshToken).Refused(t, "UNAUTHENTICATED", "SESSION_REVOKED")
		before.Do(t, me, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_STALE")
		c.Do(t, me, nil).Into(t, &struct{}{})
		c.Refresh(t)
		c.Do(t, me, nil).Into(t, &struct{}{})
		if c.SessionID != before.SessionID {
			t.Error("the caller's session changed")
		}
		try := func(password string) *apptest.Answer {
			return tryLogin(t, srv, input{"email": c.Email, "password": password})
		}
		try(apptest.Password).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
		try("a quite new passphrase").Into(t, &struct{}{})
		want := []audit.Action{audit.UserCreated, audit.AuthnLoginSuccess, audit.AuthnReauthenticateFail,
			audit.AuthnPasswordChange, audit.AuthnLoginFail, audit.AuthnLoginSuccess}
		if diff := cmp.Diff(want, recorded(t, srv, c.UserID)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOnlyOneOfTwoConcurrentPasswordChangesSucceeds(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		answers := make(chan *apptest.Answer, 2)
		for i := range 2 {
			go func() {
				fields := input{"currentPassword": apptest.Password, "newPassword": fmt.Sprintf("a passphrase no %d", i)}
				answers <- c.Do(t, changePassword, in(fields))
			}()
		}
		won := 0
		for range 2 {
			if a := <-answers; len(a.Errors) == 0 {
				won++
			} else if code := a.Errors[0].Extensions.Code; code != "UNAUTHENTICATED" && code != "BAD_USER_INPUT" {
				t.Errorf("%s", a.Body)
			}
		}
		if won != 1 {
			t.Errorf("%d changes succeeded, want one", won)
		}
	})
}
