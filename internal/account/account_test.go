package account_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/userfile"
)

const (
	register       = `mutation($in: RegisterInput!) { register(input: $in) { auth ` + apptest.AuthFields + ` } }`
	login          = `mutation($in: LoginInput!) { login(input: $in) ` + apptest.AuthFields + ` }`
	reauthenticate = `mutation($in: ReauthenticateInput!) { reauthenticate(input: $in) ` + apptest.AuthFields + ` }`
	changePassword = `mutation($in: ChangePasswordInput!) { changePassword(input: $in) ` + apptest.AuthFields + ` }`
	updateProfile  = `mutation($in: UpdateProfileInput!) { updateProfile(input: $in) { username name } }`
	deleteAccount  = `mutation($in: DeleteAccountInput!) { deleteAccount(input: $in) { id } }`
	me             = `{ me { id email username name roles disabled } }`
)

type input = map[string]any

func in(fields input) input { return input{"in": fields} }

// recorded returns the actions in the audit log about a user, in order.
func recorded(t *testing.T, srv *apptest.Server, user account.ID) (actions []audit.Action) {
	t.Helper()
	if err := srv.App.DB.Select(t.Context(), &actions, "SELECT action FROM audit_log WHERE user_id = $1 ORDER BY id", user); err != nil {
		t.Fatal(err)
	}
	return actions
}

// fields lists an error's field problems as path and reason.
func fields(a *apptest.Answer) (list []string) {
	for _, e := range a.Errors {
		for _, f := range e.Extensions.Fields {
			list = append(list, f.Path+" "+f.Reason)
		}
	}
	return list
}

func TestRegisterSignsIn(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.Anonymous()
		var out struct{ Register struct{ Auth apptest.Auth } }
		c.Do(t, register, in(input{"email": "Jane.Doe@Example.com", "password": "eleven trees", "username": "jane", "name": "Jane"})).Into(t, &out)
		c.Take(out.Register.Auth)
		var got struct{ Me input }
		c.Do(t, me, nil).Into(t, &got)
		want := input{"id": string(c.UserID), "email": "Jane.Doe@Example.com", "username": "jane", "name": "Jane", "roles": []any{"USER"}, "disabled": false}
		if diff := cmp.Diff(want, got.Me); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]audit.Action{audit.UserCreated}, recorded(t, srv, c.UserID)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRegisterNamesEveryProblemAtOnce(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		a := srv.Anonymous().Do(t, register, in(input{"email": "nobody", "password": "short", "username": "No", "name": "a\u0000b"}))
		a.Refused(t, "BAD_USER_INPUT", "EMAIL_INVALID")
		want := []string{"input.email EMAIL_INVALID", "input.username USERNAME_INVALID", "input.name NAME_INVALID", "input.password PASSWORD_TOO_SHORT"}
		if diff := cmp.Diff(want, fields(a)); diff != "" {
			t.Error(diff)
		}
		if a.Status != 200 || srv.Count(t, "SELECT count(*) FROM users") != 0 {
			t.Errorf("status %d", a.Status)
		}
	})
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	good := input{"email": "a@example.com", "password": "eleven trees"}
	for name, test := range map[string]struct {
		change input
		field  string
	}{
		"no address":                  {input{"email": " "}, "input.email REQUIRED"},
		"a long address":              {input{"email": strings.Repeat("a", 250) + "@example.com"}, "input.email TOO_LONG"},
		"a look-alike address":        {input{"email": "ａ@example.com"}, "input.email EMAIL_INVALID"},
		"an invisible character":      {input{"email": "a\u200b@example.com"}, "input.email EMAIL_INVALID"},
		"a NUL in the address":        {input{"email": "a\x00@example.com"}, "input.email EMAIL_INVALID"},
		"a common password":           {input{"password": "Password1"}, "input.password PASSWORD_TOO_COMMON"},
		"the address as password":     {input{"email": "long.name@example.com", "password": "Long.Name@example.com"}, "input.password PASSWORD_TOO_COMMON"},
		"the username as password":    {input{"username": "unusual.name", "password": "unusual.name"}, "input.password PASSWORD_TOO_COMMON"},
		"a password of 1,025 bytes":   {input{"password": strings.Repeat("ab", 512) + "c"}, "input.password PASSWORD_TOO_LONG"},
		"a password not Unicode":      {input{"password": "eleven trees \ufffd"}, "input.password PASSWORD_INVALID"},
		"a NUL in the username":       {input{"username": "jane\x00"}, "input.username USERNAME_INVALID"},
		"a name of 101 characters":    {input{"name": strings.Repeat("ä", 101)}, "input.name TOO_LONG"},
		"a name that turns the line":  {input{"name": "\u202egnp.exe"}, "input.name NAME_INVALID"},
		"an upper-case username":      {input{"username": "Jane"}, "input.username USERNAME_INVALID"},
		"a username like an address":  {input{"username": "jane@example.com"}, "input.username USERNAME_INVALID"},
		"a password of only 7 points": {input{"password": "äöüßéèê"}, "input.password PASSWORD_TOO_SHORT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variables := input{}
			for _, part := range []input{good, test.change} {
				for k, v := range part {
					variables[k] = v
				}
			}
			a := srv.Anonymous().Do(t, register, in(variables))
			if diff := cmp.Diff([]string{test.field}, fields(a)); diff != "" {
				t.Errorf("%s\n%s", diff, a.Body)
			}
			if password := variables["password"].(string); strings.Contains(string(a.Body), password) {
				t.Errorf("the answer repeats the password: %s", a.Body)
			}
		})
	}
}

func TestRegisterRefusesWhatIsTaken(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.Anonymous()
		if a := c.Do(t, register, in(input{"email": "Jane@example.com", "password": "eleven trees", "username": "jane"})); a.Errors != nil {
			t.Fatalf("%s", a.Body)
		}
		a := c.Do(t, register, in(input{"email": "jANE@Example.COM", "password": "another passphrase", "username": "other"}))
		a.Refused(t, "CONFLICT", "EMAIL_TAKEN")
		if diff := cmp.Diff([]string{"input.email EMAIL_TAKEN"}, fields(a)); diff != "" {
			t.Error(diff)
		}
		silentOnStorage(t, a)
		a = c.Do(t, register, in(input{"email": "other@example.com", "password": "another passphrase", "username": "jane"}))
		a.Refused(t, "CONFLICT", "USERNAME_TAKEN")
		if diff := cmp.Diff([]string{"input.username USERNAME_TAKEN"}, fields(a)); diff != "" {
			t.Error(diff)
		}
		silentOnStorage(t, a)
		if n := srv.Count(t, "SELECT count(*) FROM users") + srv.Count(t, "SELECT count(*) FROM sessions"); n != 2 {
			t.Errorf("%d rows, want a user and a session", n)
		}
		// The first registration still holds: nothing of the second came through.
		if a := c.Do(t, login, in(input{"email": "jane@example.com", "password": "eleven trees"})); a.Errors != nil {
			t.Errorf("%s", a.Body)
		}
	})
}

// silentOnStorage checks that an answer says nothing of the database below.
func silentOnStorage(t *testing.T, a *apptest.Answer) {
	t.Helper()
	for _, word := range []string{"constraint", "UNIQUE", "users", "email_key", "pq:", "SQL", "duplicate"} {
		if strings.Contains(strings.ToLower(string(a.Body)), strings.ToLower(word)) {
			t.Errorf("the answer says %q: %s", word, a.Body)
		}
	}
}

func TestOneOfTwentyRegistrationsOfOneAddressWins(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		var (
			group errgroup.Group
			mu    sync.Mutex
			won   int
		)
		for i := range 20 {
			group.Go(func() error {
				// Half of them spell it in another case.
				email := []string{"jane@example.com", "JANE@example.com"}[i%2]
				a := srv.Anonymous().Do(t, register, in(input{"email": email, "password": "eleven trees"}))
				mu.Lock()
				defer mu.Unlock()
				if len(a.Errors) == 0 {
					won++
				} else if a.Errors[0].Extensions.Reason != "EMAIL_TAKEN" {
					return fmt.Errorf("%s", a.Body)
				} else {
					silentOnStorage(t, a) // a token can say anything
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			t.Error(err)
		}
		if users, sessions := srv.Count(t, "SELECT count(*) FROM users"), srv.Count(t, "SELECT count(*) FROM sessions"); won != 1 || users != 1 || sessions != 1 {
			t.Errorf("%d won, %d users, %d sessions: want one of each", won, users, sessions)
		}
	})
}

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
				srv.Anonymous().Do(t, register, in(input{"email": first, "password": password})).Into(t, &out)
				u, err := srv.App.Accounts.ByID(t.Context(), out.Register.Auth.User.ID)
				if err != nil || u.Email != first {
					t.Errorf("%s is kept as %v, %v", first, u, err)
				}
				srv.Anonymous().Do(t, register, in(input{"email": second, "password": password})).Refused(t, "CONFLICT", "EMAIL_TAKEN")
				srv.Anonymous().Do(t, login, in(input{"email": second, "password": password})).Into(t, &struct{}{})
				for _, search := range []string{first, second, string([]rune(typed)[:5]), sent[:len("kim@xn--m")]} {
					page, err := srv.App.Accounts.List(t.Context(), account.Filter{Search: account.Fold(search)}, store.Window{Limit: 9})
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
func TestPastedPaddingIsNoPartOfAnAccount(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		pasted := func(s string) string { return "\u3000\u200B" + s + "\u00A0\uFEFF\u202C" }
		c := srv.Anonymous()
		var out struct{ Register struct{ Auth apptest.Auth } }
		c.Do(t, register, in(input{"email": pasted("Kim@example.com"), "username": pasted("kim"), "name": pasted("Kim Fisher"), "password": pasted(password)})).Into(t, &out)
		c.Take(out.Register.Auth)
		var got struct{ Me input }
		c.Do(t, me, nil).Into(t, &got)
		want := input{"id": string(c.UserID), "email": "Kim@example.com", "username": "kim", "name": "Kim Fisher", "roles": []any{"USER"}, "disabled": false}
		if diff := cmp.Diff(want, got.Me); diff != "" {
			t.Error(diff)
		}
		for _, name := range []input{{"email": pasted("KIM@example.com")}, {"username": pasted("Kim")}} {
			name["password"] = pasted(password)
			srv.Anonymous().Do(t, login, in(name)).Into(t, &struct{}{})
			name["password"] = password
			srv.Anonymous().Do(t, login, in(name)).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
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
		a := srv.Anonymous().Do(t, register, in(input{"email": pasted("lee.fisher@example.com"), "password": "lee.fisher@example.com"}))
		a.Refused(t, "BAD_USER_INPUT", "PASSWORD_TOO_COMMON")
	})
}

func TestReauthenticateProvesAnew(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		// The sign-in was ten minutes ago; the next refresh says so in the token.
		srv.Update(t, "UPDATE sessions SET auth_time = auth_time - $2 WHERE id = $1", c.SessionID, (10 * time.Minute).Microseconds())
		c.Refresh(t)
		before, err := srv.App.Verifier.Verify(c.AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		a := c.Do(t, deleteAccount, in(input{"confirmEmail": c.Email}))
		a.Refused(t, "FORBIDDEN", "STEP_UP_REQUIRED")
		if a.Status != 403 || a.Errors[0].Extensions.Requires.MaxAge != 300 {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		a = c.Do(t, reauthenticate, in(input{"password": "wrong"}))
		a.Refused(t, "BAD_USER_INPUT", "INVALID_CREDENTIALS")
		if diff := cmp.Diff([]string{"input.password INVALID_CREDENTIALS"}, fields(a)); diff != "" {
			t.Error(diff)
		}
		c.Do(t, deleteAccount, in(input{"confirmEmail": c.Email})).Refused(t, "FORBIDDEN", "STEP_UP_REQUIRED")

		session := c.SessionID
		var out struct{ Reauthenticate apptest.Auth }
		c.Do(t, reauthenticate, in(input{"password": apptest.Password})).Into(t, &out)
		c.Take(out.Reauthenticate)
		after, err := srv.App.Verifier.Verify(c.AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		if c.SessionID != session || after.SessionID != session {
			t.Errorf("another session: %s", c.SessionID)
		}
		if after.Generation != before.Generation+1 {
			t.Errorf("generation %d after %d", after.Generation, before.Generation)
		}
		if d := after.AuthTime.Sub(before.AuthTime); d < 9*time.Minute {
			t.Errorf("auth_time moved by %s", d)
		}
		if !slices.Contains(recorded(t, srv, c.UserID), audit.AuthnReauthenticated) {
			t.Error("not in the audit log")
		}
		c.Do(t, deleteAccount, in(input{"confirmEmail": "somebody@example.com"})).Refused(t, "BAD_USER_INPUT", "MALFORMED")
		c.Do(t, deleteAccount, in(input{"confirmEmail": strings.ToUpper(c.Email)})).Into(t, &struct{}{})
	})
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
		c.Do(t, login, in(input{"email": c.Email, "password": apptest.Password})).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
		bystander.Do(t, me, nil).Into(t, &struct{}{})
		if n := srv.Count(t, "SELECT count(*) FROM sessions WHERE user_id = $1", c.UserID); n != 0 {
			t.Errorf("%d sessions left", n)
		}
		if !slices.Contains(recorded(t, srv, c.UserID), audit.UserDeleted) {
			t.Error("the audit log does not outlive the account")
		}
		// The address is free again, for somebody new.
		var again struct{ Register struct{ Auth apptest.Auth } }
		srv.Anonymous().Do(t, register, in(input{"email": c.Email, "password": apptest.Password})).Into(t, &again)
		if again.Register.Auth.User.ID == c.UserID {
			t.Error("the id was used again")
		}
	})
}

func TestUpdateProfileChangesWhatIsGiven(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c, other := srv.As(t), srv.As(t)
		for _, step := range []struct{ change, want input }{
			{input{"username": "jane"}, input{"username": "jane", "name": ""}},
			{input{"name": "  Jane Doe "}, input{"username": "jane", "name": "Jane Doe"}},
			{input{}, input{"username": "jane", "name": "Jane Doe"}},
			{input{"username": "jane"}, input{"username": "jane", "name": "Jane Doe"}}, // one's own is not taken
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
		if n := srv.Count(t, "SELECT sum(count) FROM audit_log WHERE user_id = '"+string(c.UserID)+"'"); n != 5 { // one registration, four changes
			t.Errorf("%d events in the audit log", n)
		}
	})
}

func TestDisabledAccountsAreShutOutAtOnce(t *testing.T) {
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
		c.Do(t, login, in(input{"email": c.Email, "password": apptest.Password})).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
		set(false)
		c.Do(t, me, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_REVOKED") // enabling brings no session back
		c.Login(t).Do(t, me, nil).Into(t, &struct{}{})
		want := []audit.Action{audit.UserCreated, audit.UserDisabled, audit.AuthnLoginFail, audit.UserEnabled, audit.AuthnLoginSuccess}
		if diff := cmp.Diff(want, recorded(t, srv, c.UserID)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAnInterruptedImportStops(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		ctx, cancel := context.WithCancel(t.Context())
		created, problems, err := srv.App.Accounts.Import(ctx, userfile.NewReader(io.MultiReader(strings.NewReader(`{"email": "a@example.com"}`),
			interruption(cancel), strings.NewReader("\n{\"email\": \"b@example.com\"} {\"email\": \"c@example.com\"}")), userfile.Options{}), apptest.Operator)
		if created != 1 || problems != nil || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%d created, %v, %v", created, problems, err)
		}
	})
}

// interruption is a place in a text that calls a function when it is read.
type interruption func()

func (i interruption) Read([]byte) (int, error) {
	i()
	return 0, io.EOF
}
