package account_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/userfile"
)

const password = "eleven trees"

// jane registers an account with both names.
func jane(t *testing.T, srv *apptest.Server) *apptest.Client {
	t.Helper()
	return registered(t, srv, input{"email": "Jane.Doe@Example.com", "username": "jane", "password": password})
}

func registered(t *testing.T, srv *apptest.Server, fields input) *apptest.Client {
	t.Helper()
	c := srv.Anonymous()
	c.Email = fields["email"].(string)
	var out struct{ Register struct{ Auth apptest.Auth } }
	c.Do(t, register, in(fields)).Into(t, &out)
	c.Take(out.Register.Auth)
	return c
}

func TestLoginTakesEitherName(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := jane(t, srv)
		for _, name := range []input{
			{"email": "Jane.Doe@Example.com"}, {"email": "JANE.DOE@EXAMPLE.COM"}, {"email": " jane.doe@example.com "},
			{"username": "jane"}, {"username": "JANE"}, {"email": nil, "username": "jane"},
		} {
			name["password"] = password
			var out struct{ Login apptest.Auth }
			srv.Anonymous().Do(t, login, in(name)).Into(t, &out)
			if out.Login.User.ID != c.UserID || out.Login.Session.ID == c.SessionID {
				t.Errorf("%v: user %s, session %s", name, out.Login.User.ID, out.Login.Session.ID)
			}
		}
		for _, names := range []input{{}, {"email": "jane.doe@example.com", "username": "jane"}, {"email": nil}} {
			names["password"] = password
			a := srv.Anonymous().Do(t, login, in(names))
			a.Refused(t, "BAD_USER_INPUT", "EXACTLY_ONE_REQUIRED")
		}
		// Neither name reaches the other's column.
		srv.Anonymous().Do(t, login, in(input{"email": "jane", "password": password})).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
		srv.Anonymous().Do(t, login, in(input{"username": "jane.doe@example.com", "password": password})).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
	})
}

// refusal is an answer without what differs between any two.
func refusal(a *apptest.Answer) string {
	header := a.Header.Clone()
	header.Del("Date")
	header.Del("X-Request-Id")
	body := string(a.Body)
	if len(a.Errors) == 1 {
		body = strings.ReplaceAll(body, a.Errors[0].Extensions.RequestID, "")
	}
	return fmt.Sprint(a.Status, header, body)
}

// What goes wrong at a login must not show, neither in the answer nor in the work that it took: a
// stranger would learn which addresses have accounts.
func TestFailedLoginsAreAllAlike(t *testing.T) {
	t.Parallel()
	const cost, lower = 6, 4
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		jane(t, srv)
		gone := registered(t, srv, input{"email": "gone@example.com", "username": "gone", "password": password})
		if _, err := srv.App.Accounts.SetDisabled(t.Context(), gone.UserID, true, apptest.Operator); err != nil {
			t.Fatal(err)
		}
		importUser(t, srv, "imported@example.com", lower, password)
		importUser(t, srv, "stronger@example.com", cost, password)
		srv.Update(t, "INSERT INTO users (id, email, email_key, email_verified, name, roles, version, created_at, updated_at) VALUES ('x', $1, $1, FALSE, '', 'USER', 1, 0, 0)", "unset@example.com")

		var want string
		for _, test := range []struct {
			name, field, value, password string
		}{
			{"wrong password", "email", "jane.doe@example.com", "wrong"},
			{"unknown address", "email", "nobody@example.com", password},
			{"unknown username", "username", "nobody", password},
			{"wrong password by username", "username", "jane", "wrong"},
			{"disabled, right password", "email", "gone@example.com", password},
			{"disabled, wrong password", "username", "gone", "wrong"},
			{"no password set", "email", "unset@example.com", password},
			{"no password set, none given", "email", "unset@example.com", ""},
			{"blank password", "email", "jane.doe@example.com", ""},
			{"password of 1,025 bytes", "email", "jane.doe@example.com", strings.Repeat("a", 1025)},
			{"password of 1,025 bytes, unknown address", "email", "nobody@example.com", strings.Repeat("a", 1025)},
			{"password that starts right", "email", "jane.doe@example.com", password + strings.Repeat("\x00", 1025)},
			{"password not Unicode", "email", "jane.doe@example.com", "\ufffd"},
			{"imported hash of lower cost", "email", "imported@example.com", "wrong"},
			{"imported hash, over 72 bytes", "email", "imported@example.com", strings.Repeat("a", 73)},
			{"imported hash of equal cost", "email", "stronger@example.com", "wrong"},
			{"imported hash, repeated around a NUL", "email", "imported@example.com", password + "\x00" + password},
			{"address that cannot be", "email", "no address", password},
			{"blank address", "email", "", password},
			{"address with a NUL", "email", "jane.doe@example.com\x00", password},
			{"long address", "email", strings.Repeat("a", 10_000) + "@example.com", password},
			{"username that cannot be", "username", "Robert'); DROP TABLE users;--", password},
			{"blank username", "username", "", password},
		} {
			before := srv.App.Hasher.Rounds()
			a := srv.Anonymous().Do(t, login, in(input{test.field: test.value, "password": test.password}))
			a.Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
			if rounds := srv.App.Hasher.Rounds() - before; rounds != 1<<cost {
				t.Errorf("%s: %d rounds of bcrypt, want %d", test.name, rounds, 1<<cost)
			}
			if want == "" {
				want = refusal(a)
			}
			if diff := cmp.Diff(want, refusal(a)); diff != "" {
				t.Errorf("%s is told from a wrong password: %s", test.name, diff)
			}
			if a.Status != http.StatusUnauthorized {
				t.Errorf("%s: status %d", test.name, a.Status)
			}
		}
	}, func(o *apptest.Options) { o.Config.BcryptCost = cost })
}

// importUser adds an account with a plain bcrypt hash, as another system would have made it.
func importUser(t *testing.T, srv *apptest.Server, email string, cost int, password string) {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		t.Fatal(err)
	}
	line := fmt.Sprintf(`{"email": %q, "passwordHash": %q}`, email, hash)
	created, problems, err := srv.App.Accounts.Import(t.Context(), userfile.NewReader(strings.NewReader(line), userfile.Options{}), apptest.Operator)
	if created != 1 || problems != nil || err != nil {
		t.Fatalf("imported %d: %v %v", created, problems, err)
	}
}

func storedHash(t *testing.T, srv *apptest.Server, email string) (hash string) {
	t.Helper()
	if err := srv.App.DB.Get(t.Context(), &hash, "SELECT password_hash FROM users WHERE email_key = $1", email); err != nil {
		t.Fatal(err)
	}
	return hash
}

func TestLoginUpgradesImportedHashes(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		importUser(t, srv, "imported@example.com", 4, password)
		imported := storedHash(t, srv, "imported@example.com")
		srv.Anonymous().Do(t, login, in(input{"email": "imported@example.com", "password": "wrong"}))
		if got := storedHash(t, srv, "imported@example.com"); got != imported {
			t.Errorf("a wrong password changed the hash to %s", got)
		}
		srv.Anonymous().Do(t, login, in(input{"email": "imported@example.com", "password": password})).Into(t, &struct{}{})
		upgraded := storedHash(t, srv, "imported@example.com")
		if !strings.HasPrefix(upgraded, "gw1$") {
			t.Errorf("the hash is still %s", upgraded)
		}
		srv.Anonymous().Do(t, login, in(input{"email": "imported@example.com", "password": password})).Into(t, &struct{}{})
		if got := storedHash(t, srv, "imported@example.com"); got != upgraded {
			t.Error("a hash of our own was upgraded once more")
		}
	})
}

// Of logins that come at once, such as a form sent twice, only one finds the hash that all of them compared with.
func TestLoginsAtOnceUpgradeAnImportedHashTogether(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		importUser(t, srv, "imported@example.com", 4, password)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				a, err := srv.Anonymous().Call(t.Context(), login, in(input{"email": "imported@example.com", "password": password}))
				if err != nil || len(a.Errors) > 0 {
					t.Errorf("the right password: %v %s", err, a.Body)
				}
			})
		}
		group.Wait()
	})
}

// A payload that signs someone in is judged by its own session, whatever bearer came with the request.
func TestLoginReadsItsOwnPayload(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		user, stranger := jane(t, srv), srv.As(t)
		expired := stranger.AccessToken
		srv.Advance(t, 16*time.Minute)
		stranger = stranger.Login(t)
		for name, bearer := range map[string]string{"none": "", "expired": expired, "garbage": "garbage", "somebody else's": stranger.AccessToken} {
			c := srv.Anonymous()
			c.AccessToken = bearer
			var out struct {
				Login struct {
					AccessToken string
					User        struct {
						Email string
						Roles []string
					}
					Session struct {
						ID      token.SessionID
						Current bool
					}
				}
			}
			c.Do(t, `mutation($in: LoginInput!) { login(input: $in) { accessToken user { email roles } session { id current } } }`,
				in(input{"username": "jane", "password": password})).Into(t, &out)
			claims, err := srv.App.Verifier.Verify(out.Login.AccessToken)
			if err != nil {
				t.Fatal(err)
			}
			if out.Login.User.Email != user.Email || out.Login.Session.ID != claims.SessionID || claims.UserID != user.UserID || !out.Login.Session.Current {
				t.Errorf("bearer %s: %+v", name, out)
			}
		}
	})
}

func TestPublicOperationsIgnoreTheBearer(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := jane(t, srv)
		garbage := srv.Anonymous()
		garbage.AccessToken = "garbage"
		garbage.Do(t, login, in(input{"username": "jane", "password": password})).Into(t, &struct{}{})
		var out struct{ RefreshToken apptest.Auth }
		garbage.Redeem(t, c.RefreshToken).Into(t, &out)
		c.Take(out.RefreshToken)

		var info struct{ VerifyToken struct{ Active bool } }
		const verify = `query($token: String!) { verifyToken(token: $token) { active } }`
		garbage.Do(t, verify, input{"token": c.AccessToken}).Into(t, &info)
		if !info.VerifyToken.Active {
			t.Error("the token is not active")
		}
		garbage.Do(t, `mutation { logout { endedSessions } }`, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_INVALID")
		srv.Anonymous().Do(t, `mutation { logout { endedSessions } }`, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_MISSING")
		garbage.Do(t, `mutation($token: String!) { logout(input: {refreshToken: $token}) { endedSessions } }`, input{"token": c.RefreshToken}).Into(t, &struct{}{})
		garbage.Do(t, verify, input{"token": c.AccessToken}).Into(t, &info)
		if info.VerifyToken.Active {
			t.Error("the token is active after the logout")
		}
	})
}

func TestEveryByteOfAPasswordCounts(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		for i, p := range []string{
			strings.Repeat("ab1 ", 18),                    // 72 bytes, as many as bcrypt reads
			strings.Repeat("ab1 ", 18) + "c",              // 73
			strings.Repeat("0123 abc", 128),               // 1,024
			"👩‍👩‍👧‍👦 four of a family",                    // emoji with joiners
			"nul \x00 in the middle", "\x00 nul in front", // legal, and no end
			"blanks at the end  ",
		} {
			email := fmt.Sprintf("user%d@example.com", i)
			registered(t, srv, input{"email": email, "password": p})
			try := func(password string) *apptest.Answer {
				return srv.Anonymous().Do(t, login, in(input{"email": email, "password": password}))
			}
			try(p).Into(t, &struct{}{})
			for _, other := range []string{p[:len(p)-1] + "~", p[:len(p)-1], p + " ", p + "\x00", p + "\x00" + p, strings.TrimSpace(p) + "\n", strings.ReplaceAll(p, "\x00", "")} {
				if other != p {
					try(other).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
				}
			}
		}
	})
}

func TestOnePasswordInTwoNormalFormsIsOne(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	registered(t, srv, input{"email": "jane@example.com", "password": "cre\u0300me bru\u0302le\u0301e"})
	srv.Anonymous().Do(t, login, in(input{"email": "jane@example.com", "password": "crème brûlée"})).Into(t, &struct{}{})
}

func TestChangePasswordLeavesOnlyTheCaller(t *testing.T) {
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
		for weak, reason := range map[string]string{"short": "PASSWORD_TOO_SHORT", "password1": "PASSWORD_TOO_COMMON", c.Email: "PASSWORD_TOO_COMMON"} {
			a := change(apptest.Password, weak)
			a.Refused(t, "BAD_USER_INPUT", reason)
			if diff := cmp.Diff([]string{"input.newPassword " + reason}, fields(a)); diff != "" {
				t.Error(diff)
			}
		}
		other.Do(t, me, nil).Into(t, &struct{}{}) // what was refused changed nothing
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
			return srv.Anonymous().Do(t, login, in(input{"email": c.Email, "password": password}))
		}
		try(apptest.Password).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
		try("a quite new passphrase").Into(t, &struct{}{})
		if diff := cmp.Diff([]audit.Action{audit.UserCreated, audit.AuthnLoginSuccess, audit.AuthnReauthenticateFail, audit.AuthnPasswordChange, audit.AuthnLoginFail, audit.AuthnLoginSuccess}, recorded(t, srv, c.UserID)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTwoPasswordChangesAtOnceDoNotBothWin(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		answers := make(chan *apptest.Answer, 2)
		for i := range 2 {
			go func() {
				answers <- c.Do(t, changePassword, in(input{"currentPassword": apptest.Password, "newPassword": fmt.Sprintf("a passphrase no %d", i)}))
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
			t.Errorf("%d changes won", won)
		}
	})
}

func TestRoleChangesMakeTokensStale(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		srv.As(t, "ADMIN") // the last one could not be deposed
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
		if u, err = srv.App.Accounts.ChangeRoles(t.Context(), c.UserID, nil, []token.Role{"ADMIN"}, apptest.Operator); err != nil || u.Roles.String() != "USER" {
			t.Errorf("roles %q, %v", u.Roles, err)
		}
		c.Do(t, me, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_STALE")
	})
}
