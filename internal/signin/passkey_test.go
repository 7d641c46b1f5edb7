package signin_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"golang.org/x/sync/errgroup"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/passkey"
	"github.com/graphwarden/graphwarden/internal/token"
)

const (
	beginPasskey  = `mutation { ceremony: beginPasskeyRegistration { challenge options } }`
	finishPasskey = `mutation($in: FinishPasskeyRegistrationInput!) {
		finishPasskeyRegistration(input: $in) { id name backedUp } }`
	renamePasskey    = `mutation($in: RenamePasskeyInput!) { renamePasskey(input: $in) { name } }`
	deletePasskey    = `mutation($in: DeletePasskeyInput!) { deletePasskey(input: $in) { passkeys { id } } }`
	removePassword   = `mutation { removePassword { id } }`
	beginLogin       = `mutation { ceremony: beginPasskeyLogin { challenge options } }`
	loginWithPasskey = `mutation($in: LoginWithPasskeyInput!) { loginWithPasskey(input: $in) ` + apptest.AuthFields + ` }`
	beginProof       = `mutation { ceremony: beginPasskeyReauthentication { challenge options } }`
	beginRegister    = `mutation($in: BeginRegisterWithPasskeyInput!) {
		ceremony: beginRegisterWithPasskey(input: $in) { challenge options } }`
	registerWithPasskey = `mutation($in: RegisterWithPasskeyInput!) {
		registerWithPasskey(input: $in) { auth ` + apptest.AuthFields + ` } }`
	passkeys = `{ me { passkeys { id name provider backedUp lastUsedAt } } }`
)

// ceremony is a PasskeyCeremony.
type ceremony struct {
	Challenge string
	Options   json.RawMessage
}

func ceremonyFor(t *testing.T, c *apptest.Client, query string, variables input) (out ceremony) {
	t.Helper()
	var data struct{ Ceremony ceremony }
	c.Do(t, query, variables).Into(t, &data)
	return data.Ceremony
}

// device is an authenticator with one passkey, in a browser that shows a page of a site.
type device struct {
	virtualwebauthn.Authenticator
	key  virtualwebauthn.Credential
	page virtualwebauthn.RelyingParty
}

// newDevice returns a device that verifies its user, counts signatures, and keeps its passkey.
func newDevice() *device {
	d := &device{Authenticator: virtualwebauthn.NewAuthenticator(),
		page: virtualwebauthn.RelyingParty{ID: "localhost", Name: "localhost", Origin: "http://localhost:0"}}
	// The library drops leading zeros of coordinates, which makes one public key in 128 invalid: draw again.
	const complete = 77
	for d.key.Key == nil || len(d.key.Key.AttestationData()) < complete {
		d.key = virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	}
	d.key.Counter = 1
	return d
}

// create answers the options of a registration.
func (d *device) create(t *testing.T, c ceremony) input {
	t.Helper()
	options, err := virtualwebauthn.ParseAttestationOptions(string(c.Options))
	if err != nil {
		t.Fatal(err)
	}
	d.Options.UserHandle = []byte(options.UserID)
	return response(t, c, virtualwebauthn.CreateAttestationResponse(d.page, d.Authenticator, d.key, *options))
}

// sign answers the options of a sign-in.
func (d *device) sign(t *testing.T, c ceremony) input {
	t.Helper()
	options, err := virtualwebauthn.ParseAssertionOptions(string(c.Options))
	if err != nil {
		t.Fatal(err)
	}
	return response(t, c, virtualwebauthn.CreateAssertionResponse(d.page, d.Authenticator, d.key, *options))
}

// response returns the input that carries the response to a ceremony.
func response(t *testing.T, c ceremony, text string) input {
	t.Helper()
	var decoded input
	if err := json.Unmarshal([]byte(text), &decoded); err != nil {
		t.Fatal(err)
	}
	return input{"challenge": c.Challenge, "response": decoded}
}

// addPasskey gives c's user a passkey on d.
func addPasskey(t *testing.T, c *apptest.Client, d *device) (id string) {
	t.Helper()
	var out struct{ FinishPasskeyRegistration struct{ ID string } }
	c.Do(t, finishPasskey, in(d.create(t, ceremonyFor(t, c, beginPasskey, nil)))).Into(t, &out)
	return out.FinishPasskeyRegistration.ID
}

// tryPasskey signs in with d.
func tryPasskey(t *testing.T, srv *apptest.Server, d *device) *apptest.Answer {
	t.Helper()
	d.key.Counter++
	return do(t, srv, loginWithPasskey, d.sign(t, ceremonyFor(t, srv.Anonymous(), beginLogin, nil)))
}

// claims returns the claims of the session that a answers with.
func claims(t *testing.T, srv *apptest.Server, a *apptest.Answer) *token.Claims {
	t.Helper()
	var out map[string]apptest.Auth
	a.Into(t, &out)
	for _, auth := range out {
		claims, err := srv.App.Verifier.Verify(auth.AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		return claims
	}
	t.Fatal("no session")
	return nil
}

func TestLoginWithPasskey(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c, d := jane(t, srv), newDevice()
		id := addPasskey(t, c, d)
		login := claims(t, srv, tryPasskey(t, srv, d))
		if login.UserID != c.UserID || strings.Join(login.Methods, " ") != "hwk user mfa" {
			t.Errorf("%+v", login)
		}
		var out struct {
			Me struct {
				Passkeys []struct {
					ID, Name, Provider string
					LastUsedAt         *string
					BackedUp           bool
				}
			}
		}
		c.Do(t, passkeys, nil).Into(t, &out)
		if got := out.Me.Passkeys; len(got) != 1 || got[0].ID != id || got[0].Name != "Passkey" ||
			got[0].Provider != "" || got[0].LastUsedAt == nil || got[0].BackedUp {
			t.Errorf("%+v", got)
		}
		if n := srv.Count(t, "SELECT count(*) FROM mail WHERE kind = $1", mail.PasskeyAdded); n != 1 {
			t.Errorf("%d notices", n)
		}
		if got := recorded(t, srv, c.UserID); !slices.Contains(got, audit.PasskeyAdded) {
			t.Error(got)
		}
	})
}

func TestAPasskeyThatSynchronizesIsSoftware(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	c, d := jane(t, srv), newDevice()
	d.Options.BackupEligible, d.Options.BackupState = true, true
	d.Aaguid = [16]byte{0xba, 0xda, 0x55, 0x66, 0xa7, 0xaa, 0x40, 0x1f, 0xbd, 0x96, 0x45, 0x61, 0x9a, 0x55, 0x12, 0x0d}
	addPasskey(t, c, d)
	if got := claims(t, srv, tryPasskey(t, srv, d)).Methods; !slices.Equal(got, []string{"swk", "user", "mfa"}) {
		t.Error(got)
	}
	var out struct {
		Me struct {
			Passkeys []struct {
				Name, Provider string
				BackedUp       bool
			}
		}
	}
	c.Do(t, passkeys, nil).Into(t, &out)
	if got := out.Me.Passkeys[0]; got.Name != "1Password" || got.Provider != "1Password" || !got.BackedUp {
		t.Errorf("%+v", got)
	}
	d.Options.BackupState = false // the user has turned the backup off
	accepted(t, tryPasskey(t, srv, d))
	c.Do(t, passkeys, nil).Into(t, &out)
	if out.Me.Passkeys[0].BackedUp {
		t.Error("the state of the backup is not updated")
	}
}

// Each change makes a response that a thief or a phishing page could have.
func TestPasskeysOfOtherPagesAndDevicesAreRefused(t *testing.T) {
	t.Parallel()
	changes := map[string]func(*device){
		"a page of another origin": func(d *device) { d.page.Origin = "https://evil.example.com" },
		"another port":             func(d *device) { d.page.Origin = "http://localhost:1" },
		"another site":             func(d *device) { d.page.ID = "evil.example.com" },
		"no verification":          func(d *device) { d.Options.UserNotVerified = true },
		"no presence":              func(d *device) { d.Options.UserNotPresent = true },
		"a backup that cannot be":  func(d *device) { d.Options.BackupState = true },
	}
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := jane(t, srv)
		for name, change := range changes {
			d := newDevice()
			change(d)
			a := c.Do(t, finishPasskey, in(d.create(t, ceremonyFor(t, c, beginPasskey, nil))))
			if len(a.Errors) != 1 || a.Errors[0].Extensions.Reason != "MALFORMED" {
				t.Errorf("creation with %s: %s", name, a.Body)
			}
		}
		changes := maps.Clone(changes)
		changes["another key"] = func(d *device) { d.key.Key = newDevice().key.Key }
		changes["another user"] = func(d *device) { d.Options.UserHandle = []byte(srv.As(t).UserID) }
		changes["no user"] = func(d *device) { d.Options.UserHandle = nil }
		for name, change := range changes {
			d := newDevice()
			addPasskey(t, c, d)
			change(d)
			a := tryPasskey(t, srv, d)
			if len(a.Errors) != 1 || a.Errors[0].Extensions.Reason != "INVALID_CREDENTIALS" {
				t.Errorf("sign-in with %s: %s", name, a.Body)
			}
		}
		tryPasskey(t, srv, newDevice()).Refused(t, "UNAUTHENTICATED", "PASSKEY_UNKNOWN")
		if got := recorded(t, srv, c.UserID); !slices.Contains(got, audit.AuthnLoginFail) {
			t.Error(got)
		}
		if n := srv.Count(t, "SELECT count(*) FROM passkeys WHERE last_used_at IS NOT NULL"); n != 0 {
			t.Errorf("%d passkeys were used", n)
		}
	})
}

func TestMalformedResponsesOfPasskeys(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	c, d := jane(t, srv), newDevice()
	addPasskey(t, c, d)
	for name, change := range map[string]func(input) any{
		"an empty object":    func(input) any { return input{} },
		"a long text":        func(r input) any { r["id"] = strings.Repeat("a", 40_000); return r },
		"an id of another":   func(r input) any { r["id"] = "AAAA"; return r },
		"a number as answer": func(r input) any { r["response"] = 1; return r },
		"no client data":     func(r input) any { delete(r["response"].(input), "clientDataJSON"); return r },
	} {
		creation := newDevice().create(t, ceremonyFor(t, c, beginPasskey, nil))
		use := d.sign(t, ceremonyFor(t, srv.Anonymous(), beginLogin, nil))
		for _, in := range []input{creation, use} {
			in["response"] = change(in["response"].(input))
		}
		for query, fields := range map[string]input{finishPasskey: creation, loginWithPasskey: use} {
			if a := c.Do(t, query, in(fields)); len(a.Errors) != 1 || a.Errors[0].Extensions.Reason != "MALFORMED" {
				t.Errorf("%s: %s", name, a.Body)
			}
		}
	}
	for _, value := range []any{"text", 1, []any{}, true} {
		in := input{"in": input{"challenge": "", "response": value}}
		srv.Anonymous().Do(t, loginWithPasskey, in).Refused(t, "BAD_USER_INPUT", "MALFORMED")
	}
}

func TestAResponseOfAPasskeyWorksOnce(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c, d := jane(t, srv), newDevice()
		d.key.Counter = 0 // most passkeys do not count, so that only the challenge stops a replay
		creation := d.create(t, ceremonyFor(t, c, beginPasskey, nil))
		other := srv.As(t)
		other.Do(t, finishPasskey, in(creation)).Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		once(t, c, finishPasskey, creation)
		use := d.sign(t, ceremonyFor(t, srv.Anonymous(), beginLogin, nil))
		once(t, srv.Anonymous(), loginWithPasskey, use)
		// A response is bound to its own challenge, and a challenge to its kind.
		use["challenge"] = ceremonyFor(t, srv.Anonymous(), beginLogin, nil).Challenge
		do(t, srv, loginWithPasskey, use).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
		use["challenge"] = ceremonyFor(t, c, beginPasskey, nil).Challenge
		do(t, srv, loginWithPasskey, use).Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
	})
}

// once makes 32 requests at once, one of which must succeed.
func once(t *testing.T, c *apptest.Client, query string, fields input) {
	t.Helper()
	var won atomic.Int64
	var group errgroup.Group
	for range 32 {
		group.Go(func() error {
			a, err := c.Call(t.Context(), query, in(fields))
			switch {
			case err != nil:
				return err
			case len(a.Errors) == 0:
				won.Add(1)
			case a.Errors[0].Extensions.Reason != "CHALLENGE_INVALID":
				return fmt.Errorf("%s", a.Body)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil || won.Load() != 1 {
		t.Errorf("%d succeeded: %v", won.Load(), err)
	}
}

func TestACeremonyOfAPasskeyExpires(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c, d := jane(t, srv), newDevice()
		addPasskey(t, c, d)
		creation := newDevice().create(t, ceremonyFor(t, c, beginPasskey, nil))
		use := d.sign(t, ceremonyFor(t, srv.Anonymous(), beginLogin, nil))
		srv.Update(t, "UPDATE challenges SET expires_at = expires_at - $1", (5 * time.Minute).Microseconds())
		c.Do(t, finishPasskey, in(creation)).Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		do(t, srv, loginWithPasskey, use).Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
	})
}

func TestACopiedPasskeyIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*device){
		"the counter stays":             func(d *device) { d.key.Counter-- },
		"the counter goes back":         func(d *device) { d.key.Counter -= 2 },
		"the counter starts again":      func(d *device) { d.key.Counter = 1<<32 - 1 },
		"it stops being one that syncs": func(d *device) { d.Options.BackupEligible = false },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
				c, d := jane(t, srv), newDevice()
				d.Options.BackupEligible, d.key.Counter = true, 1<<31 // of 32 bits without a sign
				addPasskey(t, c, d)
				accepted(t, tryPasskey(t, srv, d))
				change(d)
				tryPasskey(t, srv, d).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
				if got := recorded(t, srv, c.UserID); got[len(got)-1] != audit.PasskeyCopySuspected {
					t.Error(got)
				}
			})
		})
	}
}

// Devices learned to synchronize keys that they had made before.
func TestAPasskeyMayLearnToSynchronize(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c, d := jane(t, srv), newDevice()
		addPasskey(t, c, d)
		d.Options.BackupEligible = true
		if got := claims(t, srv, tryPasskey(t, srv, d)).Methods; got[0] != "swk" {
			t.Error(got)
		}
		d.Options.BackupEligible = false
		tryPasskey(t, srv, d).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
	})
}

func TestAPasskeyBelongsToOneAccountAndIsCapped(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c, d := jane(t, srv), newDevice()
		addPasskey(t, c, d)
		// The browser keeps a device from a second passkey, and the server refuses one that it has.
		again := ceremonyFor(t, c, beginPasskey, nil)
		options, err := virtualwebauthn.ParseAttestationOptions(string(again.Options))
		if err != nil || !d.key.IsExcludedForAttestation(*options) {
			t.Errorf("not excluded: %s %v", again.Options, err)
		}
		other := srv.As(t)
		other.Do(t, finishPasskey, in(d.create(t, ceremonyFor(t, other, beginPasskey, nil)))).
			Refused(t, "CONFLICT", "PASSKEY_TAKEN")
		late := newDevice().create(t, ceremonyFor(t, c, beginPasskey, nil))
		for range passkey.MaxPerUser - 1 {
			addPasskey(t, c, newDevice())
		}
		c.Do(t, finishPasskey, in(late)).Refused(t, "CONFLICT", "TOO_MANY_PASSKEYS")
		c.Do(t, beginPasskey, nil).Refused(t, "CONFLICT", "TOO_MANY_PASSKEYS")
	})
}

func TestUsersManageTheirOwnPasskeys(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c, other, d := jane(t, srv), srv.As(t), newDevice()
		id := addPasskey(t, c, d)
		for _, foreign := range []string{id, "", "x", "\x00"} {
			other.Do(t, renamePasskey, in(input{"id": foreign, "name": "x"})).Refused(t, "NOT_FOUND", "PASSKEY_NOT_FOUND")
			other.Do(t, deletePasskey, in(input{"id": foreign})).Refused(t, "NOT_FOUND", "PASSKEY_NOT_FOUND")
		}
		c.Do(t, renamePasskey, in(input{"id": id, "name": " "})).Refused(t, "BAD_USER_INPUT", "REQUIRED")
		c.Do(t, renamePasskey, in(input{"id": id, "name": "a\nb"})).Refused(t, "BAD_USER_INPUT", "NAME_INVALID")
		accepted(t, c.Do(t, renamePasskey, in(input{"id": id, "name": " My key "})))
		if srv.Count(t, "SELECT count(*) FROM passkeys WHERE name = 'My key'") != 1 {
			t.Error("not renamed")
		}
		accepted(t, c.Do(t, deletePasskey, in(input{"id": id})))
		tryPasskey(t, srv, d).Refused(t, "UNAUTHENTICATED", "PASSKEY_UNKNOWN")
		if n := srv.Count(t, "SELECT count(*) FROM mail WHERE kind = $1", mail.PasskeyRemoved); n != 1 {
			t.Errorf("%d notices", n)
		}
		got := recorded(t, srv, c.UserID)
		if !slices.Contains(got, audit.PasskeyRenamed) || !slices.Contains(got, audit.PasskeyRemoved) {
			t.Error(got)
		}
	})
}

// A stolen session alone must not suffice to add a way in or to remove one.
func TestChangesOfPasskeysNeedARecentProof(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	c, d := jane(t, srv), newDevice()
	id := addPasskey(t, c, d)
	creation := newDevice().create(t, ceremonyFor(t, c, beginPasskey, nil))
	srv.Update(t, "UPDATE sessions SET auth_time = auth_time - $1", (6 * time.Minute).Microseconds())
	c.Refresh(t)
	for query, fields := range map[string]input{
		beginPasskey: nil, finishPasskey: in(creation), deletePasskey: in(input{"id": id}), removePassword: nil,
	} {
		c.Do(t, query, fields).Refused(t, "FORBIDDEN", "STEP_UP_REQUIRED")
	}
}

func TestTheLastWayInCannotBeRemoved(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c, d := jane(t, srv), newDevice()
		c.Do(t, removePassword, nil).Refused(t, "CONFLICT", "LAST_CREDENTIAL")
		accepted(t, tryLogin(t, srv, input{"email": c.Email, "password": password}))
		id := addPasskey(t, c, d)
		accepted(t, c.Do(t, removePassword, nil))
		accepted(t, c.Do(t, removePassword, nil)) // does nothing
		c.Do(t, deletePasskey, in(input{"id": id})).Refused(t, "CONFLICT", "LAST_CREDENTIAL")
		accepted(t, tryPasskey(t, srv, d))
		second := addPasskey(t, c, newDevice())
		accepted(t, c.Do(t, deletePasskey, in(input{"id": id})))
		c.Refresh(t)
		c.Do(t, deletePasskey, in(input{"id": second})).Refused(t, "CONFLICT", "LAST_CREDENTIAL")
		if n := srv.Count(t, "SELECT count(*) FROM mail WHERE kind = $1", mail.PasswordRemoved); n != 1 {
			t.Errorf("%d notices", n)
		}
	})
}

func TestACodeByMailIsAWayIn(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, settings("open", "optional", "code"))
	c := jane(t, srv)
	accepted(t, c.Do(t, removePassword, nil))
	accepted(t, do(t, srv, loginWithCode, codeFor(t, srv, c.Email)))
}

// A passkey of another RP ID cannot be used, so it is no way in.
func TestAPasskeyOfAFormerSiteIsNoWayIn(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	c := jane(t, srv)
	addPasskey(t, c, newDevice())
	srv.Update(t, "UPDATE passkeys SET site = 'former.example.com'")
	c.Do(t, removePassword, nil).Refused(t, "CONFLICT", "LAST_CREDENTIAL")
}

func TestOneOfTwoConcurrentRemovalsOfTheLastWaysInIsRefused(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		for range 5 {
			c := srv.As(t)
			id := passkey.ID(addPasskey(t, c, newDevice()))
			// As an operator: a removal makes the access token of the other stale, which would refuse it for that reason.
			by := audit.Actor{Claims: token.Claims{UserID: c.UserID}, Operator: true}
			var removed, refused atomic.Int64
			var group errgroup.Group
			count := func(err error) error {
				switch {
				case err == nil:
					removed.Add(1)
				case fault.Is(err, fault.LastCredential):
					refused.Add(1)
				default:
					return err
				}
				return nil
			}
			group.Go(func() error {
				_, err := srv.App.Accounts.RemovePassword(t.Context(), by)
				return count(err)
			})
			group.Go(func() error {
				_, err := srv.App.Accounts.RemovePasskey(t.Context(), id, by)
				return count(err)
			})
			if err := group.Wait(); err != nil || removed.Load() != 1 || refused.Load() != 1 {
				t.Fatalf("%d removed, %d refused: %v", removed.Load(), refused.Load(), err)
			}
		}
	})
}

func TestAnAccountWithoutAPassword(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c, d := jane(t, srv), newDevice()
		addPasskey(t, c, d)
		accepted(t, c.Do(t, removePassword, nil))
		for _, password := range []string{password, "", "wrong"} {
			tryLogin(t, srv, input{"email": c.Email, "password": password}).
				Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
			c.Do(t, reauthenticate, in(input{"password": password})).Refused(t, "BAD_USER_INPUT", "INVALID_CREDENTIALS")
			c.Do(t, changePassword, in(input{"currentPassword": password, "newPassword": newPassword})).
				Refused(t, "BAD_USER_INPUT", "INVALID_CREDENTIALS")
		}
		// A reset by mail sets a password, and leaves the passkey alone if the address was verified before.
		srv.Update(t, "UPDATE users SET email_verified = TRUE")
		accepted(t, do(t, srv, requestReset, input{"email": c.Email}))
		accepted(t, do(t, srv, resetPassword,
			input{"token": srv.Secret(t, mail.ResetPassword), "newPassword": newPassword}))
		accepted(t, tryLogin(t, srv, input{"email": c.Email, "password": newPassword}))
		var signedIn struct{ LoginWithPasskey apptest.Auth }
		tryPasskey(t, srv, d).Into(t, &signedIn)
		c.Take(signedIn.LoginWithPasskey)
		accepted(t, c.Do(t, removePassword, nil))
		accepted(t, c.Do(t, deleteAccount, in(input{"confirmEmail": c.Email})))
		tryPasskey(t, srv, d).Refused(t, "UNAUTHENTICATED", "PASSKEY_UNKNOWN")
		if n := srv.Count(t, "SELECT count(*) FROM passkeys"); n != 0 {
			t.Errorf("%d passkeys of a deleted account", n)
		}
	}, settings("open", "off"))
}

func TestAPasskeyObeysTheStateOfTheAccount(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		by := input{"email": "jane@example.com", "password": password}
		accepted(t, tryRegister(t, srv, by))
		srv.Update(t, "UPDATE users SET email_verified = TRUE")
		var signedIn struct{ Login apptest.Auth }
		tryLogin(t, srv, by).Into(t, &signedIn)
		c, d := srv.Anonymous(), newDevice()
		c.Take(signedIn.Login)
		addPasskey(t, c, d)
		srv.Update(t, "UPDATE users SET email_verified = FALSE")
		tryPasskey(t, srv, d).Refused(t, "UNAUTHENTICATED", "EMAIL_NOT_VERIFIED")
		srv.Update(t, "UPDATE users SET email_verified = TRUE")
		if _, err := srv.App.Accounts.RequirePasswordChange(t.Context(), c.UserID, apptest.Operator); err != nil {
			t.Fatal(err)
		}
		accepted(t, tryPasskey(t, srv, d)) // only the password is in question
		if _, err := srv.App.Accounts.SetDisabled(t.Context(), c.UserID, true, apptest.Operator); err != nil {
			t.Fatal(err)
		}
		tryPasskey(t, srv, d).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
	}, settings("open", "required"))
}

func TestBeginningASignInWithAPasskeyIsLimitedAndRevealsNothing(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, func(o *apptest.Options) { o.Config.PasskeyBeginLimit.Burst = 3 })
	d := newDevice()
	addPasskey(t, jane(t, srv), d)
	for range 3 {
		if c := ceremonyFor(t, srv.Anonymous(), beginLogin, nil); strings.Contains(string(c.Options), "allowCredentials") {
			t.Errorf("%s", c.Options)
		}
	}
	do(t, srv, beginLogin, nil).Refused(t, "RATE_LIMITED", "TOO_MANY_ATTEMPTS")
}

func TestPasskeysAreOffWithoutADomain(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, func(o *apptest.Options) { o.Config.PublicURL = "http://192.168.1.20:8080" })
	c := jane(t, srv)
	c.Do(t, beginPasskey, nil).Refused(t, "FORBIDDEN", "NOT_OFFERED")
	for query, fields := range map[string]input{
		beginLogin:       nil,
		loginWithPasskey: in(input{"challenge": "", "response": input{}}),
		finishPasskey:    in(input{"challenge": "", "response": input{}}),
	} {
		c.Do(t, query, fields).Refused(t, "FORBIDDEN", "NOT_OFFERED")
	}
}

func TestReauthenticateWithPasskey(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c, other, d := jane(t, srv), srv.As(t), newDevice()
		c.Do(t, beginProof, nil).Refused(t, "NOT_FOUND", "PASSKEY_NOT_FOUND")
		addPasskey(t, c, d)
		otherDevice := newDevice()
		addPasskey(t, other, otherDevice)
		accepted(t, c.Do(t, removePassword, nil))
		srv.Update(t, "UPDATE sessions SET auth_time = auth_time - $1", (6 * time.Minute).Microseconds())
		c.Refresh(t)
		c.Do(t, beginPasskey, nil).Refused(t, "FORBIDDEN", "STEP_UP_REQUIRED")
		prove := func(c *apptest.Client, d *device, query string) input {
			d.key.Counter++
			return in(input{"passkey": d.sign(t, ceremonyFor(t, c, query, nil))})
		}
		for name, proof := range map[string]input{
			"another's passkey":    prove(c, otherDevice, beginProof),
			"another's ceremony":   prove(other, otherDevice, beginProof),
			"another's challenge":  prove(other, d, beginProof),
			"a sign-in":            prove(c, d, beginLogin),
			"a passkey and a code": in(input{"passkey": prove(c, d, beginProof)["in"].(input)["passkey"], "code": "000000"}),
		} {
			if a := c.Do(t, reauthenticate, proof); len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "BAD_USER_INPUT" {
				t.Errorf("%s: %s", name, a.Body)
			}
		}
		var out struct{ Reauthenticate apptest.Auth }
		proof := prove(c, d, beginProof)
		c.Do(t, reauthenticate, proof).Into(t, &out)
		if out.Reauthenticate.Session.ID != c.SessionID {
			t.Error("a step-up must not start a session")
		}
		c.Take(out.Reauthenticate)
		c.Do(t, reauthenticate, proof).Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		accepted(t, c.Do(t, beginPasskey, nil))
		if got := methods(t, srv, c.AccessToken); got != "pwd hwk user mfa" {
			t.Error(got)
		}
		d.key.Counter -= 3
		c.Do(t, reauthenticate, prove(c, d, beginProof)).Refused(t, "BAD_USER_INPUT", "INVALID_CREDENTIALS")
		if got := recorded(t, srv, c.UserID); got[len(got)-1] != audit.PasskeyCopySuspected {
			t.Error(got)
		}
	})
}

func TestDeletingAPasskeyLowersSessions(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c, d, thief := jane(t, srv), newDevice(), srv.Anonymous()
		id := addPasskey(t, c, d)
		var in1 struct{ LoginWithPasskey apptest.Auth }
		tryPasskey(t, srv, d).Into(t, &in1)
		thief.Take(in1.LoginWithPasskey)
		accepted(t, c.Do(t, deletePasskey, in(input{"id": id})))
		thief.Do(t, me, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_STALE")
		thief.Refresh(t)
		if got := methods(t, srv, thief.AccessToken); got != "" {
			t.Error(got)
		}
		c.Refresh(t)
		if got := methods(t, srv, c.AccessToken); got != "pwd" {
			t.Error(got)
		}
	})
}

func registration(t *testing.T, srv *apptest.Server, d *device, fields input) input {
	t.Helper()
	return d.create(t, ceremonyFor(t, srv.Anonymous(), beginRegister, in(fields)))
}

func TestRegisterWithPasskey(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		d := newDevice()
		a := do(t, srv, beginRegister, input{"email": "x", "username": "?", "name": "a\nb"})
		if got := fields(a); !slices.Equal(got, []string{"input.email EMAIL_INVALID", "input.username USERNAME_INVALID",
			"input.name NAME_INVALID"}) {
			t.Error(got)
		}
		created := registration(t, srv, d, input{"email": "Jane@example.com", "username": "jane", "name": "Jane"})
		late := registration(t, srv, newDevice(), input{"email": "jane@example.com"})
		var out struct{ RegisterWithPasskey struct{ Auth apptest.Auth } }
		do(t, srv, registerWithPasskey, created).Into(t, &out)
		do(t, srv, registerWithPasskey, created).Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
		do(t, srv, registerWithPasskey, late).Refused(t, "CONFLICT", "EMAIL_TAKEN")
		c := srv.Anonymous()
		c.Take(out.RegisterWithPasskey.Auth)
		if got := claims(t, srv, tryPasskey(t, srv, d)); got.UserID != c.UserID || methods(t, srv, c.AccessToken) != "hwk user mfa" {
			t.Errorf("%+v", got)
		}
		tryLogin(t, srv, input{"username": "jane", "password": ""}).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
		// Only the owner's passkey verifies the address.
		link := srv.Secret(t, mail.VerifyEmail)
		do(t, srv, verifyEmail, input{"token": link}).Refused(t, "BAD_USER_INPUT", "REQUIRED")
		verifiesBy(t, srv, d, link)
	}, settings("open", "optional"))
}

// verifiesBy verifies an address by the passkey of d, and by no other.
func verifiesBy(t *testing.T, srv *apptest.Server, d *device, link string) {
	t.Helper()
	other := newDevice()
	other.Options.UserHandle = d.Options.UserHandle
	foreign := other.sign(t, ceremonyFor(t, srv.Anonymous(), beginLogin, nil))
	do(t, srv, verifyEmail, input{"token": link, "passkey": foreign}).Refused(t, "BAD_USER_INPUT", "PASSKEY_UNKNOWN")
	d.key.Counter++
	own := d.sign(t, ceremonyFor(t, srv.Anonymous(), beginLogin, nil))
	do(t, srv, verifyEmail, input{"token": link, "passkey": own, "password": password}).
		Refused(t, "BAD_USER_INPUT", "EXACTLY_ONE_REQUIRED")
	accepted(t, do(t, srv, verifyEmail, input{"token": link, "passkey": own}))
	if !isVerified(t, srv) {
		t.Error("not verified")
	}
	do(t, srv, loginWithPasskey, own).Refused(t, "BAD_USER_INPUT", "CHALLENGE_INVALID")
	accepted(t, tryPasskey(t, srv, d))
}

func TestASilentRegistrationWithPasskeyDoesNotRevealAccounts(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		d := newDevice()
		free := do(t, srv, registerWithPasskey, registration(t, srv, d, input{"email": "jane@example.com"}))
		accepted(t, free)
		if srv.Count(t, "SELECT count(*) FROM users") != 0 {
			t.Error("an account exists before its address is verified")
		}
		tryPasskey(t, srv, d).Refused(t, "UNAUTHENTICATED", "PASSKEY_UNKNOWN")
		link := srv.Secret(t, mail.VerifyEmail)
		do(t, srv, verifyEmail, input{"token": link, "password": ""}).
			Refused(t, "BAD_USER_INPUT", "INVALID_CREDENTIALS")
		verifiesBy(t, srv, d, link)
		taken := do(t, srv, registerWithPasskey, registration(t, srv, newDevice(), input{"email": "jane@example.com"}))
		if string(taken.Body) != string(free.Body) || srv.Count(t, "SELECT count(*) FROM passkeys") != 1 {
			t.Errorf("%s", taken.Body)
		}
		if n := srv.Count(t, "SELECT count(*) FROM mail WHERE kind = $1", mail.AlreadyRegistered); n != 1 {
			t.Errorf("%d notices", n)
		}
	}, settings("silent", "optional"))
}

func TestRegisteringWithAPasskeyObeysTheSettings(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, settings("closed", "off"))
	do(t, srv, beginRegister, input{"email": "jane@example.com"}).Refused(t, "FORBIDDEN", "NOT_OFFERED")
	srv = apptest.Start(t, settings("open", "required"))
	d := newDevice()
	a := do(t, srv, registerWithPasskey, registration(t, srv, d, input{"email": "jane@example.com"}))
	if string(a.Data) != `{"registerWithPasskey":{"auth":null}}` {
		t.Errorf("%s", a.Body)
	}
	tryPasskey(t, srv, d).Refused(t, "UNAUTHENTICATED", "EMAIL_NOT_VERIFIED")
}

// A passkey is two factors by itself. A code that was proved beside it stays when the passkey is deleted.
func TestAPasskeyNeedsNoSecondFactor(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c, d := srv.As(t), newDevice()
		enroll(t, srv, c)
		id := addPasskey(t, c, d)
		a := tryPasskey(t, srv, d)
		if got := claims(t, srv, a); strings.Join(got.Methods, " ") != "hwk user mfa" {
			t.Errorf("%+v", got)
		}
		accepted(t, c.Do(t, deletePasskey, in(input{"id": id})))
		c.Refresh(t)
		if got := methods(t, srv, c.AccessToken); got != "pwd otp mfa" {
			t.Error(got)
		}
	})
}
