package signin_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/token"
)

func TestLoginAcceptsAddressOrUsername(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := jane(t, srv)
		for _, name := range []input{
			{"email": "Jane.Doe@Example.com"}, {"email": "JANE.DOE@EXAMPLE.COM"}, {"email": " jane.doe@example.com "},
			{"username": "jane"}, {"username": "JANE"}, {"email": nil, "username": "jane"},
		} {
			name["password"] = password
			var out struct{ Login apptest.Auth }
			tryLogin(t, srv, name).Into(t, &out)
			if out.Login.User.ID != c.UserID || out.Login.Session.ID == c.SessionID {
				t.Errorf("%v: user %s, session %s", name, out.Login.User.ID, out.Login.Session.ID)
			}
		}
		for _, names := range []input{{}, {"email": "jane.doe@example.com", "username": "jane"}, {"email": nil}} {
			names["password"] = password
			a := tryLogin(t, srv, names)
			a.Refused(t, "BAD_USER_INPUT", "EXACTLY_ONE_REQUIRED")
		}
		// An address is not accepted as a username, nor a username as an address.
		tryLogin(t, srv, input{"email": "jane", "password": password}).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
		tryLogin(t, srv, input{"username": "jane.doe@example.com", "password": password}).
			Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
	})
}

// refusal returns an answer without the parts that differ between any two.
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

// No failure of a login may show, in the answer or in the work done: otherwise strangers learn which addresses have
// accounts.
func TestFailedLoginsAreIndistinguishable(t *testing.T) {
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
		srv.Update(t, `INSERT INTO users (id, email, email_key, email_verified, name, roles, version,
				created_at, updated_at)
			VALUES ('x', $1, $1, FALSE, '', 'USER', 1, 0, 0)`, "unset@example.com")

		var want string
		for _, test := range []struct {
			name, field, value, password string
		}{
			{"wrong password", "email", "jane.doe@example.com", "wrong"},
			{"unknown address", "email", "unknown@example.com", password},
			{"unknown username", "username", "unknown", password},
			{"wrong password by username", "username", "jane", "wrong"},
			{"disabled, right password", "email", "gone@example.com", password},
			{"disabled, wrong password", "username", "gone", "wrong"},
			{"no password set", "email", "unset@example.com", password},
			{"no password set, none given", "email", "unset@example.com", ""},
			{"blank password", "email", "jane.doe@example.com", ""},
			{"password of 1,025 bytes", "email", "jane.doe@example.com", strings.Repeat("a", 1025)},
			{"password of 1,025 bytes, unknown address", "email", "unknown@example.com", strings.Repeat("a", 1025)},
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
			a := tryLogin(t, srv, input{test.field: test.value, "password": test.password})
			a.Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
			if rounds := srv.App.Hasher.Rounds() - before; rounds != 1<<cost {
				t.Errorf("%s: %d rounds of bcrypt, want %d", test.name, rounds, 1<<cost)
			}
			if want == "" {
				want = refusal(a)
			}
			if diff := cmp.Diff(want, refusal(a)); diff != "" {
				t.Errorf("%s is distinguishable from a wrong password: %s", test.name, diff)
			}
			if a.Status != http.StatusUnauthorized {
				t.Errorf("%s: status %d", test.name, a.Status)
			}
		}
	}, func(o *apptest.Options) { o.Config.BcryptCost = cost })
}

func TestLoginUpgradesImportedHashes(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		importUser(t, srv, "imported@example.com", 4, password)
		imported := storedHash(t, srv, "imported@example.com")
		tryLogin(t, srv, input{"email": "imported@example.com", "password": "wrong"})
		if got := storedHash(t, srv, "imported@example.com"); got != imported {
			t.Errorf("a wrong password changed the hash to %s", got)
		}
		tryLogin(t, srv, input{"email": "imported@example.com", "password": password}).Into(t, &struct{}{})
		upgraded := storedHash(t, srv, "imported@example.com")
		if !strings.HasPrefix(upgraded, "gw1$") {
			t.Errorf("the hash is still %s", upgraded)
		}
		tryLogin(t, srv, input{"email": "imported@example.com", "password": password}).Into(t, &struct{}{})
		if got := storedHash(t, srv, "imported@example.com"); got != upgraded {
			t.Error("a hash in our format was upgraded again")
		}
	})
}

// Of concurrent logins, for example of a form sent twice, only one still finds the hash that all of them compared.
func TestConcurrentLoginsUpgradeAnImportedHash(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		importUser(t, srv, "imported@example.com", 4, password)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				a, err := srv.Anonymous().Call(t.Context(), login, in(input{"email": "imported@example.com", "password": password}))
				if err != nil {
					t.Error(err)
				} else if len(a.Errors) > 0 {
					t.Errorf("the right password is refused: %s", a.Body)
				}
			})
		}
		group.Wait()
	})
}

// The fields of a login's payload are judged by the new session, not by the request's bearer token.
func TestLoginPayloadIsJudgedByItsOwnSession(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		user, stranger := jane(t, srv), srv.As(t)
		expired := stranger.AccessToken
		srv.Advance(t, 16*time.Minute)
		stranger = stranger.Login(t)
		bearers := map[string]string{
			"none": "", "expired": expired, "garbage": "garbage", "another user's": stranger.AccessToken,
		}
		for name, bearer := range bearers {
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
			c.Do(t, `mutation($in: LoginInput!) {
					login(input: $in) { accessToken user { email roles } session { id current } } }`,
				in(input{"username": "jane", "password": password})).Into(t, &out)
			claims, err := srv.App.Verifier.Verify(out.Login.AccessToken)
			if err != nil {
				t.Fatal(err)
			}
			got := out.Login
			if got.User.Email != user.Email || got.Session.ID != claims.SessionID || claims.UserID != user.UserID ||
				!got.Session.Current {
				t.Errorf("bearer %s: %+v", name, out)
			}
		}
	})
}

func TestPublicOperationsIgnoreTheBearerToken(t *testing.T) {
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
		const logout = `mutation($token: String!) { logout(input: {refreshToken: $token}) { endedSessions } }`
		garbage.Do(t, logout, input{"token": c.RefreshToken}).Into(t, &struct{}{})
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
			strings.Repeat("ab1 ", 18),                    // 72 bytes, the maximum of bcrypt
			strings.Repeat("ab1 ", 18) + "c",              // 73
			strings.Repeat("0123 abc", 128),               // 1,024
			"👩‍👩‍👧‍👦 four of a family",                    // emoji with joiners
			"nul \x00 in the middle", "\x00 nul in front", // NUL is allowed, and does not end a password
			"blanks at the end  ",
		} {
			email := fmt.Sprintf("user%d@example.com", i)
			registered(t, srv, input{"email": email, "password": p})
			try := func(password string) *apptest.Answer {
				return tryLogin(t, srv, input{"email": email, "password": password})
			}
			try(p).Into(t, &struct{}{})
			others := []string{p[:len(p)-1] + "~", p[:len(p)-1], p + " ", p + "\x00", p + "\x00" + p,
				strings.TrimSpace(p) + "\n", strings.ReplaceAll(p, "\x00", "")}
			for _, other := range others {
				if other != p {
					try(other).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
				}
			}
		}
	})
}

func TestPasswordsMatchInAllNormalForms(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	registered(t, srv, input{"email": "jane@example.com", "password": "cre\u0300me bru\u0302le\u0301e"})
	tryLogin(t, srv, input{"email": "jane@example.com", "password": "crème brûlée"}).Into(t, &struct{}{})
}
