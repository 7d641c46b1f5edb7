package account_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// Chromium sends the domain of an e-mail field in ASCII; other fields and phones send it as typed. Both name one
// mailbox, so they must reach one account.
func TestAnInternationalAddressIsOneAccount(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		for typed, sent := range map[string]string{
			"kim@münchen.example": "kim@xn--mnchen-3ya.example",
			"kim@例え.テスト":          "KIM@XN--R8JZ45G.xn--zckzah",
		} {
			for first, second := range map[string]string{typed: sent, sent: typed} {
				var out struct{ Register struct{ Auth apptest.Auth } }
				tryRegister(t, srv, input{"email": first, "password": password}).Into(t, &out)
				u, err := srv.App.Accounts.ByID(t.Context(), out.Register.Auth.User.ID)
				if err != nil || u.Email != first {
					t.Errorf("%s is stored as %v, %v", first, u, err)
				}
				tryRegister(t, srv, input{"email": second, "password": password}).Refused(t, "CONFLICT", "EMAIL_TAKEN")
				tryLogin(t, srv, input{"email": second, "password": password}).Into(t, &struct{}{})
				for _, search := range []string{first, second, string([]rune(typed)[:5]), sent[:len("kim@xn--m")]} {
					filter := account.Filter{Search: account.Fold(search)}
					page, err := srv.App.Accounts.List(t.Context(), filter, store.Window{Limit: 9})
					if err != nil || len(page.Rows) != 1 {
						t.Errorf("%s finds %d users, %v", search, len(page.Rows), err)
					}
				}
				c := srv.Anonymous()
				c.Take(out.Register.Auth)
				c.Do(t, deleteAccount, in(input{"confirmEmail": second})).Into(t, &struct{}{})
			}
		}
	})
}

// Pasted padding is trimmed from every field except the password.
func TestPastedPaddingIsRemoved(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		pasted := func(s string) string { return "\u3000\u200B" + s + "\u00A0\uFEFF\u202C" }
		c := srv.Anonymous()
		var out struct{ Register struct{ Auth apptest.Auth } }
		tryRegister(t, srv, input{"email": pasted("Kim@example.com"), "username": pasted("kim"),
			"name": pasted("Kim Fisher"), "password": pasted(password)}).Into(t, &out)
		c.Take(out.Register.Auth)
		var got struct{ Me input }
		c.Do(t, me, nil).Into(t, &got)
		want := input{"id": string(c.UserID), "email": "Kim@example.com", "username": "kim", "name": "Kim Fisher",
			"roles": []any{"USER"}, "disabled": false}
		if diff := cmp.Diff(want, got.Me); diff != "" {
			t.Error(diff)
		}
		for _, name := range []input{{"email": pasted("KIM@example.com")}, {"username": pasted("Kim")}} {
			name["password"] = pasted(password)
			tryLogin(t, srv, name).Into(t, &struct{}{})
			name["password"] = password
			tryLogin(t, srv, name).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
		}
		var changed struct{ UpdateProfile input }
		c.Do(t, updateProfile, in(input{"username": pasted("fisher"), "name": pasted("K. Fisher")})).Into(t, &changed)
		if diff := cmp.Diff(input{"username": "fisher", "name": "K. Fisher"}, changed.UpdateProfile); diff != "" {
			t.Error(diff)
		}
		if _, err := srv.App.Accounts.Find(t.Context(), pasted("fisher")); err != nil {
			t.Error(err)
		}
		if _, err := srv.App.Accounts.Find(t.Context(), pasted(string(c.UserID))); err != nil {
			t.Error(err)
		}
		a := tryRegister(t, srv, input{"email": pasted("lee.fisher@example.com"), "password": "lee.fisher@example.com"})
		a.Refused(t, "BAD_USER_INPUT", "PASSWORD_TOO_COMMON")
	})
}

func TestUpdateProfileChangesOnlyGivenFields(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c, other := srv.As(t), srv.As(t)
		for _, step := range []struct{ change, want input }{
			{input{"username": "jane"}, input{"username": "jane", "name": ""}},
			{input{"name": "  Jane Doe "}, input{"username": "jane", "name": "Jane Doe"}},
			{input{}, input{"username": "jane", "name": "Jane Doe"}},
			{input{"username": "jane"}, input{"username": "jane", "name": "Jane Doe"}}, // the user's own name is not taken
			{input{"username": nil, "name": nil}, input{"username": "jane", "name": "Jane Doe"}},
			{input{"username": "", "name": ""}, input{"username": nil, "name": ""}},
			{input{"username": "jane"}, input{"username": "jane", "name": ""}},
		} {
			var got struct{ UpdateProfile input }
			c.Do(t, updateProfile, in(step.change)).Into(t, &got)
			if diff := cmp.Diff(step.want, got.UpdateProfile); diff != "" {
				t.Errorf("%v: %s", step.change, diff)
			}
		}
		a := other.Do(t, updateProfile, in(input{"username": "jane", "name": "Other"}))
		a.Refused(t, "CONFLICT", "USERNAME_TAKEN")
		if diff := cmp.Diff([]string{"input.username USERNAME_TAKEN"}, fields(a)); diff != "" {
			t.Error(diff)
		}
		silentOnStorage(t, a)
		a = other.Do(t, updateProfile, in(input{"username": "J", "name": "a\u2066b"}))
		if diff := cmp.Diff([]string{"input.username USERNAME_INVALID", "input.name NAME_INVALID"}, fields(a)); diff != "" {
			t.Error(diff)
		}
		var got struct {
			Me struct{ Username, Name *string }
		}
		other.Do(t, `{ me { username name } }`, nil).Into(t, &got)
		if got.Me.Username != nil || *got.Me.Name != "" {
			t.Errorf("a refused change left %v", got)
		}
		n := srv.Count(t, "SELECT sum(count) FROM audit_log WHERE user_id = $1", c.UserID)
		if n != 5 { // one registration, four changes
			t.Errorf("%d events in the audit log, want 5", n)
		}
	})
}

// silentOnStorage checks that an answer does not reveal the database.
func silentOnStorage(t *testing.T, a *apptest.Answer) {
	t.Helper()
	for _, word := range []string{"constraint", "UNIQUE", "users", "email_key", "pq:", "SQL", "duplicate"} {
		if strings.Contains(strings.ToLower(string(a.Body)), strings.ToLower(word)) {
			t.Errorf("the answer contains %q: %s", word, a.Body)
		}
	}
}

func TestDeletedAccountsAreGone(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c, bystander := srv.As(t), srv.As(t)
		other := c.Login(t)
		var out struct{ DeleteAccount struct{ ID account.ID } }
		c.Do(t, deleteAccount, in(input{"confirmEmail": c.Email})).Into(t, &out)
		if out.DeleteAccount.ID != c.UserID {
			t.Errorf("deleted %s, want %s", out.DeleteAccount.ID, c.UserID)
		}
		for _, device := range []*apptest.Client{c, other} {
			device.Do(t, me, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_REVOKED")
			if a := device.Redeem(t, device.RefreshToken); a.Status != 401 {
				t.Errorf("%s", a.Body)
			}
		}
		again := c.Do(t, login, in(input{"email": c.Email, "password": apptest.Password}))
		again.Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
		bystander.Do(t, me, nil).Into(t, &struct{}{})
		if n := srv.Count(t, "SELECT count(*) FROM sessions WHERE user_id = $1", c.UserID); n != 0 {
			t.Errorf("%d sessions left", n)
		}
		if !slices.Contains(recorded(t, srv, c.UserID), audit.UserDeleted) {
			t.Error("the audit log has no entry of the deletion")
		}
		// The address is available again, to a new account.
		var fresh struct{ Register struct{ Auth apptest.Auth } }
		tryRegister(t, srv, input{"email": c.Email, "password": apptest.Password}).Into(t, &fresh)
		if fresh.Register.Auth.User.ID == c.UserID {
			t.Error("the id was reused")
		}
	})
}

func TestDisabledAccountsAreShutOut(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		set := func(disabled bool) {
			t.Helper()
			for range 2 { // the second call changes nothing
				if _, err := srv.App.Accounts.SetDisabled(t.Context(), c.UserID, disabled, apptest.Operator); err != nil {
					t.Fatal(err)
				}
			}
		}
		set(true)
		c.Do(t, me, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_REVOKED")
		c.Redeem(t, c.RefreshToken).Refused(t, "UNAUTHENTICATED", "SESSION_REVOKED")
		again := c.Do(t, login, in(input{"email": c.Email, "password": apptest.Password}))
		again.Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
		set(false)
		c.Do(t, me, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_REVOKED") // enabling does not restore the session
		c.Login(t).Do(t, me, nil).Into(t, &struct{}{})
		want := []audit.Action{audit.UserCreated, audit.UserDisabled, audit.AuthnLoginFail, audit.UserEnabled,
			audit.AuthnLoginSuccess}
		if diff := cmp.Diff(want, recorded(t, srv, c.UserID)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRoleChangesMakeTokensStale(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		srv.As(t, "ADMIN") // so that c is not the last administrator
		c := srv.As(t)
		u, err := srv.App.Accounts.ChangeRoles(t.Context(), c.UserID, []token.Role{"ADMIN", "ADMIN"}, nil, apptest.Operator)
		if err != nil || u.Roles.String() != "ADMIN USER" {
			t.Fatalf("roles %q, %v", u.Roles, err)
		}
		c.Do(t, me, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_STALE")
		c.Refresh(t)
		var got struct{ Me struct{ Roles []string } }
		c.Do(t, `{ me { roles } }`, nil).Into(t, &got)
		if diff := cmp.Diff([]string{"ADMIN", "USER"}, got.Me.Roles); diff != "" {
			t.Error(diff)
		}
		u, err = srv.App.Accounts.ChangeRoles(t.Context(), c.UserID, nil, []token.Role{"ADMIN"}, apptest.Operator)
		if err != nil || u.Roles.String() != "USER" {
			t.Errorf("roles %q, %v", u.Roles, err)
		}
		c.Do(t, me, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_STALE")
	})
}
