package signin_test

import (
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/config"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/social/socialtest"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/token"
)

const (
	completeSignIn = `mutation($in: CompleteSignInInput!) { completeSignIn(input: $in) ` + apptest.AuthFields + ` }`
	linkIdentity   = `mutation($in: LinkIdentityInput!) { linkIdentity(input: $in) { identities { id } } }`
	unlinkIdentity = `mutation($in: UnlinkIdentityInput!) { unlinkIdentity(input: $in) { identities { id } } }`
	identities     = `{ me { identities { id provider label email } } }`
	home           = "https://app.example.com/"
)

// federation is a server with the provider acme, whose user is Jane.
type federation struct {
	*apptest.Server
	provider *socialtest.Provider
}

// onBoth runs f with a provider on both databases.
func onBoth(t *testing.T, f func(t *testing.T, srv federation), change ...func(*apptest.Options)) {
	t.Helper()
	onBothWith(t, "", f, change...)
}

func onBothWith(
	t *testing.T, settings string, f func(t *testing.T, srv federation), change ...func(*apptest.Options),
) {
	t.Helper()
	storetest.URLs(t, func(t *testing.T, url string) {
		p := socialtest.NewProvider(t)
		srv := apptest.Start(t, append([]func(*apptest.Options){apptest.Database(url), func(o *apptest.Options) {
			o.Config.AllowedOrigins = []string{"https://app.example.com"}
			o.Config.Provider = []config.Provider{config.Provider(p.Settings("acme", "label=Acme "+settings))}
			o.Config.Register, o.Config.EmailVerification = "open", "optional"
		}}, change...)...)
		f(t, federation{srv, p})
	})
}

// code visits the provider and returns the code for the page.
func (f federation) code(t *testing.T) string {
	t.Helper()
	return socialtest.Code(t, socialtest.NewBrowser(f.URL).SignIn(t, "acme", home))
}

func (f federation) complete(t *testing.T) *apptest.Answer {
	t.Helper()
	return do(t, f.Server, completeSignIn, input{"code": f.code(t), "verifier": socialtest.Verifier})
}

// signIn signs the provider's user in.
func (f federation) signIn(t *testing.T) *apptest.Client {
	t.Helper()
	var out struct{ CompleteSignIn apptest.Auth }
	f.complete(t).Into(t, &out)
	c := f.Anonymous()
	c.Take(out.CompleteSignIn)
	return c
}

// identities returns the ids of the caller's identities.
func identityIDs(t *testing.T, c *apptest.Client) (ids []string) {
	t.Helper()
	var out struct {
		Me struct{ Identities []struct{ ID string } }
	}
	c.Do(t, identities, nil).Into(t, &out)
	for _, one := range out.Me.Identities {
		ids = append(ids, one.ID)
	}
	return ids
}

func link(t *testing.T, f federation, c *apptest.Client) *apptest.Answer {
	t.Helper()
	return c.Do(t, linkIdentity, in(input{"code": f.code(t), "verifier": socialtest.Verifier}))
}

func unlink(t *testing.T, c *apptest.Client, id string) *apptest.Answer {
	t.Helper()
	return c.Do(t, unlinkIdentity, in(input{"id": id}))
}

func TestTheFirstSignInWithAProviderRegisters(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, srv federation) {
		c := srv.signIn(t)
		var out struct {
			Me struct {
				Email, Name   string
				EmailVerified bool
				Roles         []string
				Identities    []struct{ Provider, Label, Email string }
			}
		}
		c.Do(t, `{ me { email name emailVerified roles identities { provider label email } } }`, nil).Into(t, &out)
		got := out.Me
		if got.Email != "jane@example.com" || got.Name != "Jane" || !got.EmailVerified ||
			!slices.Equal(got.Roles, []string{"USER"}) || len(got.Identities) != 1 ||
			got.Identities[0] != struct{ Provider, Label, Email string }{"acme", "Acme", "jane@example.com"} {
			t.Errorf("%+v", got)
		}
		claims, err := srv.App.Verifier.Verify(c.AccessToken)
		if err != nil || !slices.Equal(claims.Methods, []string{"fed"}) || !claims.EmailVerified {
			t.Errorf("%+v %v", claims, err)
		}
		want := []audit.Action{audit.UserCreated, audit.EmailVerified, audit.AuthnLoginSuccess}
		if diff := cmp.Diff(want, recorded(t, srv.Server, c.UserID)); diff != "" {
			t.Error(diff)
		}
		// The user is known by the subject: the address may change.
		srv.provider.Claim(map[string]any{"email": "jane@example.org"})
		if again := srv.signIn(t); again.UserID != c.UserID || srv.Count(t, "SELECT count(*) FROM users") != 1 {
			t.Errorf("another account: %s", again.UserID)
		}
		if n := srv.Count(t, "SELECT count(*) FROM identities WHERE email = 'jane@example.org'"); n != 1 {
			t.Error("the identity has the old address")
		}
		tryLogin(t, srv.Server, input{"email": "jane@example.com", "password": ""}).
			Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
	})
}

func TestACodeOfAProviderIsForThePageThatBegan(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, srv federation) {
		code := srv.code(t)
		for _, verifier := range []string{"", "another verifier", socialtest.Challenge} {
			do(t, srv.Server, completeSignIn, input{"code": code, "verifier": verifier}).
				Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		}
		do(t, srv.Server, completeSignIn, input{"code": "a code", "verifier": socialtest.Verifier}).
			Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		if n := srv.Count(t, "SELECT count(*) FROM users"); n != 0 {
			t.Fatalf("%d users", n)
		}
		by := input{"code": code, "verifier": socialtest.Verifier}
		accepted(t, do(t, srv.Server, completeSignIn, by))
		do(t, srv.Server, completeSignIn, by).Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		srv.As(t).Do(t, linkIdentity, in(by)).Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
	})
}

func TestACodeOfAProviderLivesForAMinute(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, srv federation) {
		code := srv.code(t)
		srv.ShiftDatabase(t, 61*time.Second)
		do(t, srv.Server, completeSignIn, input{"code": code, "verifier": socialtest.Verifier}).
			Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
	})
}

func TestACodeOfAProviderSignsInOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, srv federation) {
		var done atomic.Int64
		code := srv.code(t)
		var group errgroup.Group
		for range 8 {
			group.Go(func() error {
				a, err := srv.Anonymous().Call(t.Context(), completeSignIn,
					in(input{"code": code, "verifier": socialtest.Verifier}))
				if err == nil && len(a.Errors) == 0 {
					done.Add(1)
				}
				return err
			})
		}
		if err := group.Wait(); err != nil || done.Load() != 1 {
			t.Errorf("%d sign-ins, %v", done.Load(), err)
		}
	})
}

func TestConcurrentFirstSignInsRegisterOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, srv federation) {
		var group errgroup.Group
		for range 6 {
			code := srv.code(t)
			group.Go(func() error {
				a, err := srv.Anonymous().Call(t.Context(), completeSignIn,
					in(input{"code": code, "verifier": socialtest.Verifier}))
				if err == nil && len(a.Errors) > 0 {
					t.Errorf("%s", a.Body)
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if n := srv.Count(t, "SELECT count(*) FROM users"); n != 1 {
			t.Errorf("%d users", n)
		}
	})
}

func TestAnAddressThatTheProviderHasNotVerified(t *testing.T) {
	t.Parallel()
	unverified := func(srv federation) { srv.provider.Claim(map[string]any{"email_verified": "false"}) }
	t.Run("gets an account of its own if registrations are open", func(t *testing.T) {
		t.Parallel()
		onBoth(t, func(t *testing.T, srv federation) {
			unverified(srv)
			srv.signIn(t)
			if isVerified(t, srv.Server) || len(srv.Secrets(t, mail.VerifyEmail)) != 1 {
				t.Error("the address counts as verified, or has no mail")
			}
		})
	})
	t.Run("never leads to an existing account", func(t *testing.T) {
		t.Parallel()
		onBoth(t, func(t *testing.T, srv federation) {
			unverified(srv)
			registered(t, srv.Server, input{"email": "Jane@example.com", "password": password})
			srv.complete(t).Refused(t, "CONFLICT", "LINK_REQUIRED")
		})
	})
	for name, register := range map[string][2]string{"silent": {"silent", "optional"}, "closed": {"closed", "off"},
		"verified first": {"open", "required"}} {
		t.Run("is refused with registrations that are "+name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, srv federation) {
				unverified(srv)
				free := srv.complete(t)
				free.Refused(t, "UNAUTHENTICATED", "EMAIL_NOT_VERIFIED")
				importUser(t, srv.Server, "jane@example.com", 4, password)
				srv.complete(t).Refused(t, "UNAUTHENTICATED", "EMAIL_NOT_VERIFIED") // it must not show
			}, settings(register[0], register[1]))
		})
	}
}

func TestAProviderWithoutAnAddressRegistersNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, srv federation) {
		srv.provider.UserInfo(map[string]any{"sub": "jane"})
		for _, email := range []any{nil, "not an address", "jane@example.com\x00"} {
			srv.provider.Claim(map[string]any{"email": email, "email_verified": true})
			srv.complete(t).Refused(t, "UNAUTHENTICATED", "EMAIL_INVALID")
		}
		// A name that cannot be displayed does no harm.
		srv.provider.Claim(map[string]any{"email": "jane@example.com", "name": "J\u202Eane"})
		srv.signIn(t)
		if n := srv.Count(t, "SELECT count(*) FROM users WHERE name = ''"); n != 1 {
			t.Error("the name was stored")
		}
	})
}

func TestClosedRegistrationsAreClosedToProvidersToo(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, srv federation) {
		srv.complete(t).Refused(t, "FORBIDDEN", "NOT_OFFERED")
		importUser(t, srv.Server, "jane@example.com", 4, password)
		srv.signIn(t)
	}, settings("closed", "off"))
}

func TestAVerifiedAddressJoinsItsAccount(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, srv federation) {
		c := registered(t, srv.Server, input{"email": "Jane@Example.com", "password": password})
		accepted(t, c.Do(t, verifyEmail, in(input{"token": srv.Secret(t, mail.VerifyEmail)})))
		joined := srv.signIn(t)
		if joined.UserID != c.UserID {
			t.Fatal("another account")
		}
		accepted(t, tryLogin(t, srv.Server, input{"email": "jane@example.com", "password": password}))
		if got := recorded(t, srv.Server, c.UserID); !slices.Contains(got, audit.IdentityLinked) {
			t.Error(got)
		}
		if n := srv.Count(t, "SELECT count(*) FROM mail WHERE kind = $1", mail.IdentityLinked); n != 1 {
			t.Errorf("%d mails", n)
		}
	})
}

// A stranger who registers an address, or links a provider of their own to it, must not keep a way in.
func TestAProviderDropsWhatStrangersHaveSetUp(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, srv federation) {
		stranger := registered(t, srv.Server, input{"email": "jane@example.com", "password": password})
		srv.provider.Claim(map[string]any{"sub": "stranger", "email": "stranger@example.com"})
		accepted(t, link(t, srv, stranger))
		srv.provider.Claim(map[string]any{"sub": "jane", "email": "jane@example.com"})
		c := srv.signIn(t)
		if c.UserID != stranger.UserID {
			t.Fatal("another account")
		}
		tryLogin(t, srv.Server, input{"email": "jane@example.com", "password": password}).
			Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
		stranger.Redeem(t, stranger.RefreshToken).Refused(t, "UNAUTHENTICATED", "SESSION_REVOKED")
		if ids := identityIDs(t, c); len(ids) != 1 {
			t.Errorf("%d identities", len(ids))
		}
		srv.provider.Claim(map[string]any{"sub": "stranger", "email": "stranger@example.com"})
		if other := srv.signIn(t); other.UserID == c.UserID {
			t.Error("the stranger still gets in")
		}
		if got := recorded(t, srv.Server, c.UserID); !slices.Contains(got, audit.UnprovedCredentialsRemoved) {
			t.Error(got)
		}
	})
}

// The owner of a mailbox who proves it by a code drops a stranger's provider too.
func TestProvingAnAddressByMailDropsLinkedProviders(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, srv federation) {
		stranger := registered(t, srv.Server, input{"email": "joe@example.com", "password": password})
		accepted(t, link(t, srv, stranger))
		accepted(t, do(t, srv.Server, requestReset, input{"email": "joe@example.com"}))
		accepted(t, do(t, srv.Server, resetPassword,
			input{"token": srv.Secret(t, mail.ResetPassword), "newPassword": newPassword}))
		if n := srv.Count(t, "SELECT count(*) FROM identities"); n != 0 {
			t.Errorf("%d identities", n)
		}
	})
}

func TestADisabledAccountDoesNotSignInWithAProvider(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, srv federation) {
		c := srv.signIn(t)
		if _, err := srv.App.Accounts.SetDisabled(t.Context(), c.UserID, true, apptest.Operator); err != nil {
			t.Fatal(err)
		}
		srv.complete(t).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
	})
}

func TestADeletedAccountCanBeRegisteredAgain(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, srv federation) {
		c := srv.signIn(t)
		if err := srv.App.Accounts.Remove(t.Context(), c.UserID, apptest.Operator); err != nil {
			t.Fatal(err)
		}
		if again := srv.signIn(t); again.UserID == c.UserID {
			t.Error("the deleted account")
		}
	})
}

func TestRolesFollowTheProvider(t *testing.T) {
	t.Parallel()
	onBothWith(t, "roles=groups=staff:ADMIN", func(t *testing.T, srv federation) {
		roles := func() token.Roles {
			t.Helper()
			claims, err := srv.App.Verifier.Verify(srv.signIn(t).AccessToken)
			if err != nil {
				t.Fatal(err)
			}
			return claims.Roles
		}
		srv.provider.Claim(map[string]any{"roles": []string{"ADMIN"}, "role": "ADMIN", "groups": "Staff"})
		if got := roles(); !slices.Equal(got, token.NewRoles("USER")) {
			t.Errorf("not mapped: %s", got)
		}
		srv.provider.Claim(map[string]any{"groups": []string{"all", "staff"}})
		if got := roles(); !slices.Equal(got, token.NewRoles("ADMIN", "USER")) {
			t.Errorf("granted: %s", got)
		}
		srv.provider.Claim(map[string]any{"groups": []string{"all"}})
		srv.complete(t).Refused(t, "CONFLICT", "LAST_ADMIN")
		srv.As(t, "ADMIN")
		if got := roles(); !slices.Equal(got, token.NewRoles("USER")) {
			t.Errorf("withdrawn: %s", got)
		}
	})
}

func TestRolesWithoutAMappingStay(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, srv federation) {
		c := srv.signIn(t)
		_, err := srv.App.Accounts.ChangeRoles(t.Context(), c.UserID, []token.Role{"ADMIN"}, nil, apptest.Operator)
		if err != nil {
			t.Fatal(err)
		}
		claims, err := srv.App.Verifier.Verify(srv.signIn(t).AccessToken)
		if err != nil || !claims.Roles.Has("ADMIN") {
			t.Errorf("%+v %v", claims, err)
		}
	})
}

func TestLinkAndUnlink(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, srv federation) {
		c := registered(t, srv.Server, input{"email": "joe@example.com", "password": password})
		accepted(t, link(t, srv, c))
		if joined := srv.signIn(t); joined.UserID != c.UserID {
			t.Error("another account")
		}
		link(t, srv, c).Refused(t, "CONFLICT", "IDENTITY_TAKEN")
		other := srv.As(t)
		link(t, srv, other).Refused(t, "CONFLICT", "IDENTITY_TAKEN")
		ids := identityIDs(t, c)
		unlink(t, other, ids[0]).Refused(t, "NOT_FOUND", "IDENTITY_NOT_FOUND")
		unlink(t, c, "x").Refused(t, "NOT_FOUND", "IDENTITY_NOT_FOUND")
		accepted(t, unlink(t, c, ids[0]))
		if again := srv.signIn(t); again.UserID == c.UserID {
			t.Error("it still signs in to the account")
		}
		got := recorded(t, srv.Server, c.UserID)
		if !slices.Contains(got, audit.IdentityLinked) || !slices.Contains(got, audit.IdentityUnlinked) {
			t.Error(got)
		}
		for _, kind := range []mail.Kind{mail.IdentityLinked, mail.IdentityUnlinked} {
			if n := srv.Count(t, "SELECT count(*) FROM mail WHERE kind = $1", kind); n != 1 {
				t.Errorf("%d mails %s", n, kind)
			}
		}
	})
}

func TestLinkAndUnlinkNeedARecentProof(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, srv federation) {
		c := srv.signIn(t)
		ids := identityIDs(t, c)
		srv.ShiftDatabase(t, 301*time.Second)
		srv.Advance(t, 301*time.Second)
		link(t, srv, c).Refused(t, "FORBIDDEN", "STEP_UP_REQUIRED")
		unlink(t, c, ids[0]).Refused(t, "FORBIDDEN", "STEP_UP_REQUIRED")
	})
}

func TestTheLastWayInStays(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, srv federation) {
		c := srv.signIn(t)
		unlink(t, c, identityIDs(t, c)[0]).Refused(t, "CONFLICT", "LAST_CREDENTIAL")
		srv.provider.Claim(map[string]any{"sub": "jane at work"})
		accepted(t, link(t, srv, c))
		ids := identityIDs(t, c)
		var done atomic.Int64
		var group errgroup.Group
		for _, id := range ids {
			group.Go(func() error {
				a, err := c.Call(t.Context(), unlinkIdentity, in(input{"id": id}))
				if err == nil && len(a.Errors) == 0 {
					done.Add(1)
				}
				return err
			})
		}
		if err := group.Wait(); err != nil || done.Load() != 1 || len(identityIDs(t, c)) != 1 {
			t.Errorf("%d removed, %v", done.Load(), err)
		}
	})
}

// An identity of a provider that is no longer configured signs in no user.
func TestAProviderThatIsGoneIsNoWayIn(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, srv federation) {
		c := srv.signIn(t)
		srv.Update(t, "INSERT INTO identities (id, user_id, provider, issuer, subject, email, created_at, last_used_at) "+
			"SELECT '01890000-0000-7000-8000-000000000000', user_id, 'old', 'https://old.example.com', subject, email, "+
			"created_at, last_used_at FROM identities")
		ids := identityIDs(t, c)
		own := slices.DeleteFunc(ids, func(id string) bool { return id == "01890000-0000-7000-8000-000000000000" })
		unlink(t, c, own[0]).Refused(t, "CONFLICT", "LAST_CREDENTIAL")
		accepted(t, unlink(t, c, "01890000-0000-7000-8000-000000000000"))
	})
}

func TestAFederatedSignInCanUseACookie(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, srv federation) {
		by := input{"code": srv.code(t), "verifier": socialtest.Verifier, "delivery": "COOKIE"}
		c := srv.Anonymous()
		c.Do(t, completeSignIn, in(by)).Refused(t, "FORBIDDEN", "ORIGIN_NOT_ALLOWED")
		c.Header = http.Header{"Origin": {"https://app.example.com"}}
		a := c.Do(t, completeSignIn, in(by))
		accepted(t, a)
		if a.Header.Get("Set-Cookie") == "" {
			t.Errorf("%s", a.Body)
		}
	})
}
