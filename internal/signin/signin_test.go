package signin_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/signin"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/token"
)

// Another login can replace the hash that was compared, even by that of another password.
func TestALoginThatLosesTheUpgradeProvesItsPasswordAgain(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		srv := apptest.Start(t, apptest.Database(url))
		c := srv.As(t)
		stored, err := srv.App.Accounts.CredentialsByID(t.Context(), c.UserID)
		if err != nil {
			t.Fatal(err)
		}
		prove := srv.App.SignIn.ProveAgain
		if hash, err := prove(t.Context(), c.UserID, apptest.Password); err != nil || hash != stored.PasswordHash {
			t.Errorf("the right password: %q, %v", hash, err)
		}
		for name, user := range map[string]token.UserID{
			"another password": c.UserID,
			"no such user":     "01890000-0000-7000-8000-000000000000",
		} {
			if _, err := prove(t.Context(), user, "the former password"); !fault.Is(err, fault.InvalidCredentials) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// amr lists every method that the session was ever proved with.
func TestMethodsOfASessionAreUnited(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		srv := apptest.Start(t, apptest.Database(url))
		c := srv.As(t)
		err := srv.App.DB.Tx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Exec("UPDATE sessions SET amr = 'otp' WHERE id = $1", c.SessionID)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		caller, err := srv.App.Verifier.Verify(c.AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		secret := apptest.Password
		grant, err := srv.App.SignIn.Reauthenticate(t.Context(), signin.Reauthentication{Password: &secret},
			audit.Actor{Claims: *caller})
		if err != nil {
			t.Fatal(err)
		}
		claims, err := srv.App.Verifier.Verify(grant.AccessToken)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"otp", "pwd"}, claims.Methods); diff != "" {
			t.Error(diff)
		}
	})
}
