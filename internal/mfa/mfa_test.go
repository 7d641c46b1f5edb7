package mfa_test

import (
	"fmt"
	"image/color"
	"strings"
	"testing"
	"time"

	"github.com/boombuler/barcode/qr"
	"github.com/pquerna/otp/totp"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/mfa"
	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/token"
)

func TestMain(m *testing.M) { storetest.Main(m) }

const jane = token.UserID("jane")

func service(t *testing.T, db *store.DB, now func() time.Time, secrets ...string) *mfa.Service {
	t.Helper()
	for i := range secrets {
		secrets[i] = strings.Repeat(secrets[i], secret.MinLength)
	}
	s, err := secret.New(secrets[0], secrets[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	return mfa.New(db, s, nil, "Example", now)
}

func within(t *testing.T, db *store.DB, f func(tx *store.Tx) error) {
	t.Helper()
	if err := db.Tx(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func addJane(t *testing.T, db *store.DB) {
	t.Helper()
	within(t, db, func(tx *store.Tx) error {
		_, err := tx.Exec(`INSERT INTO users (id, email, email_key, email_verified, name, roles, version, created_at,
			updated_at) VALUES ($1, 'a', 'a', FALSE, '', 'USER', 1, 0, 0)`, jane)
		return err
	})
}

// A deployment secret is replaced in two steps: the new one is accepted, then the old one is not accepted any more.
func TestAnAuthenticatorSurvivesANewDeploymentSecret(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		addJane(t, db)
		at := time.Now()
		now := func() time.Time { return at }
		next := func(key string) *string {
			t.Helper()
			at = at.Add(time.Minute)
			code, err := totp.GenerateCode(key, at)
			if err != nil {
				t.Fatal(err)
			}
			return &code
		}
		var setup *mfa.Setup
		within(t, db, func(tx *store.Tx) (err error) {
			setup, err = service(t, db, now, "a").Begin(tx, jane, "jane@example.com")
			return err
		})
		within(t, db, func(tx *store.Tx) error {
			_, err := service(t, db, now, "a").Confirm(tx, jane, *next(setup.Secret))
			return err
		})
		prove := func(s *mfa.Service) error {
			return db.Tx(t.Context(), func(tx *store.Tx) error {
				return s.Prove(tx, jane, mfa.Answer{Code: next(setup.Secret)})
			})
		}
		if err := prove(service(t, db, now, "b")); err == nil || fault.As(err) != nil {
			t.Errorf("without the secret: %v", err)
		}
		// A server with an unknown secret leaves the row alone.
		for _, secrets := range [][]string{{"c"}, {"b", "a"}} {
			if err := service(t, db, now, secrets...).Reseal(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := prove(service(t, db, now, "b")); err != nil {
			t.Error(err)
		}
		if err := prove(service(t, db, now, "a")); err == nil {
			t.Error("the old secret still unseals it")
		}
	})
}

func TestTheSetupIsUsableByAnApp(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		addJane(t, db)
		var setup *mfa.Setup
		within(t, db, func(tx *store.Tx) (err error) {
			setup, err = service(t, db, time.Now, "a").Begin(tx, jane, "jane@example.com")
			return err
		})
		want := "otpauth://totp/Example:jane@example.com?algorithm=SHA1&digits=6&issuer=Example&period=30&secret=" +
			setup.Secret
		if setup.URI != want || len(setup.Secret) != 32 {
			t.Errorf("URI %s", setup.URI)
		}
		code, err := qr.Encode(setup.URI, qr.M, qr.Auto)
		if err != nil {
			t.Fatal(err)
		}
		// Draw the path.
		dark := map[[2]int]bool{}
		_, path, _ := strings.Cut(setup.QR, `<path d="`)
		path, _, _ = strings.Cut(path, `"`)
		for _, run := range strings.Split(path, "M")[1:] {
			var x, y, width, back int
			if _, err := fmt.Sscanf(run, "%d %dh%dv1h-%dz", &x, &y, &width, &back); err != nil || width != back {
				t.Fatalf("run %q: %v", run, err)
			}
			for i := range width {
				dark[[2]int{x + i - 4, y - 4}] = true
			}
		}
		size := code.Bounds().Dx()
		for y := range size {
			for x := range size {
				if (code.At(x, y) == color.Black) != dark[[2]int{x, y}] {
					t.Fatalf("module %d, %d", x, y)
				}
			}
		}
	})
}
