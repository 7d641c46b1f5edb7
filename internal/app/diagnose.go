package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/graphwarden/graphwarden/internal/config"
	"github.com/graphwarden/graphwarden/internal/explorer"
	"github.com/graphwarden/graphwarden/internal/guard"
	"github.com/graphwarden/graphwarden/internal/password"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/team"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/web"
)

// expiresSoon is the remaining life by which a certificate should have been renewed: certificates of 90 days are
// renewed 30 days before their end.
const expiresSoon = 14 * 24 * time.Hour

// Diagnose runs Checks and those that need files and the database. It creates no file and changes nothing in the
// database.
func Diagnose(ctx context.Context, c *config.Config, sdl *ast.Schema, now func() time.Time) []Check {
	return slices.Concat(Checks(c), []Check{
		schemaCheck(c, sdl), certificateCheck(c, now), breachedCheck(c), {
			Name: "client address", OK: !c.IsHTTPS() || c.TLSCert != "" || len(c.TrustedProxies) > 0, Advice: true,
			Good: "it is read from where it can be known",
			Bad:  "TLS ends elsewhere, so that all requests seem to come from one address, and share its limits",
			Fix:  "name the proxy with --trusted-proxies",
		},
		explorerCheck(c), {
			Name: "production", OK: c.Production, Advice: true,
			Good: "the server does not start with settings that fail here",
			Bad:  "the server starts even if checks fail",
			Fix:  "set --production",
		}}, reachCheck(ctx, c), databaseChecks(ctx, c, now))
}

func schemaCheck(c *config.Config, sdl *ast.Schema) Check {
	_, err := guard.NewPolicy(sdl, c.Introspection)
	return Check{Name: "schema", OK: err == nil, Good: "every field has an access rule or is @public", Bad: message(err)}
}

func certificateCheck(c *config.Config, now func() time.Time) Check {
	check := Check{Name: "TLS", OK: true, Good: "it is left to a proxy"}
	if c.TLSCert == "" {
		return check
	}
	certificate, err := web.OpenCertificate(c.TLSCert, c.TLSKey, now, slog.New(slog.DiscardHandler))
	if err != nil {
		check.OK, check.Bad = false, err.Error()
		return check
	}
	left := certificate.NotAfter().Sub(now())
	check.OK, check.Advice = left > expiresSoon, true
	check.Good = "the certificate is good for " + days(left)
	check.Bad = "the certificate expires in " + days(left)
	if left <= 0 {
		check.Bad = "the certificate has expired"
	}
	check.Fix = "renew the files of --tls-cert and --tls-key; a running server reads them again"
	return check
}

func breachedCheck(c *config.Config) Check {
	check := Check{Name: "breach list", OK: c.BreachedPasswords != "", Advice: true,
		Good: "new passwords are compared with a list of them",
		Bad:  "passwords that attackers know from other systems are accepted",
		Fix:  "build a list with graphwarden breached build, and name it with --breached-passwords"}
	list, err := password.OpenBreached(c.BreachedPasswords, slog.New(slog.DiscardHandler))
	if err != nil {
		check.OK, check.Advice, check.Bad = false, false, "--breached-passwords: "+err.Error()
		return check
	}
	_ = list.Close() // it was only read
	return check
}

func explorerCheck(c *config.Config) Check {
	check := Check{Name: "GraphiQL files", OK: true, Advice: true, Good: "none are served",
		Fix: "run `make assets` and build again"}
	if !servesExplorer(c) {
		return check
	}
	embedded, err := explorer.IsEmbedded(explorer.Assets())
	check.OK, check.Good, check.Bad = embedded && err == nil, "they are embedded", "they come from a CDN"
	return check
}

// databaseChecks stops at the first check that the others depend on.
func databaseChecks(ctx context.Context, c *config.Config, now func() time.Time) []Check {
	if path := c.SQLitePath(); path != "" {
		if _, err := os.Stat(path); os.IsNotExist(err) {
			err = writable(filepath.Dir(path))
			return []Check{{
				Name: "database", OK: err == nil,
				Good: "the first start creates it", Bad: message(err),
				Fix: "make that folder writable for this user, or name another file with --database",
			}}
		}
	}
	db, err := store.Open(ctx, store.Options{URL: c.Database, Pooler: c.DatabasePooler, MaxConns: c.DatabaseConns})
	if err != nil {
		return []Check{{Name: "database", Bad: err.Error()}}
	}
	defer func() { _ = db.Close() }() // nothing was written
	checks := []Check{{Name: "database", OK: true, Good: "it answers, and can be written"}}
	if db.Dialect() == store.Postgres {
		checks = append(checks, Check{Name: "notifications", OK: db.Notifies(), Advice: true,
			Good: "replicas learn of each other's revocations at once",
			Bad:  "LISTEN is missing here: changes by other replicas are found by polling alone",
			Fix:  "name Postgres itself in --database, without a pooler, if a second is too long"})
	}
	migrations := migrationCheck(ctx, db)
	checks = append(checks, migrations)
	if !migrations.OK {
		return checks
	}
	return append(checks, clockCheck(ctx, db, now), keyCheck(ctx, c, db, now), strayCheck(ctx, c, db))
}

func migrationCheck(ctx context.Context, db *store.DB) Check {
	check := Check{Name: "migrations", Good: "the tables are up to date"}
	state, err := db.State(ctx, team.Migrations())
	if err == nil && state != store.Current {
		err = db.MayMigrate(ctx)
		check.Bad, check.Advice = "the tables are not up to date", true
		check.Fix = "run graphwarden migrate; the next start does the same"
	}
	if err != nil {
		check.Bad, check.Fix, check.Advice = err.Error(), "", false
	}
	check.OK = err == nil && state == store.Current
	return check
}

// writable returns an error unless a file can be created in folder, or in its nearest existing parent.
func writable(folder string) error {
	for {
		file, err := os.CreateTemp(folder, ".doctor-*")
		if err == nil {
			_ = file.Close()
			return os.Remove(file.Name())
		}
		if above := filepath.Dir(folder); os.IsNotExist(err) && above != folder {
			folder = above
			continue
		}
		return fmt.Errorf("no file can be created in %s: %w", folder, unwrapped(err))
	}
}

// unwrapped drops the random name from an error of a file.
func unwrapped(err error) error {
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err
	}
	return err
}

// clockCheck compares the clock that tokens are judged by with the one that sessions are.
func clockCheck(ctx context.Context, db *store.DB, now func() time.Time) Check {
	before := now()
	there, err := db.Now(ctx)
	apart := there.Skew(before, now()).Abs()
	check := Check{Name: "clock", OK: err == nil && apart < token.Leeway/2, Advice: err == nil,
		Good: "this machine and the database agree on the time",
		Bad:  fmt.Sprintf("this machine and the database are %s apart", apart.Round(time.Second)),
		Fix: fmt.Sprintf("keep both on time, with NTP; replicas refuse the tokens of a machine that is more than %s ahead",
			token.Leeway)}
	if err != nil {
		check.Bad, check.Fix = err.Error(), ""
	}
	return check
}

// keyCheck checks that the secret fits the database and that the keys are being rotated.
func keyCheck(ctx context.Context, c *config.Config, db *store.DB, now func() time.Time) Check {
	check := Check{Name: "signing key", Good: "the first start makes it"}
	hasKeys, err := token.HasKeys(ctx, db)
	if err != nil {
		check.Bad = err.Error()
		return check
	}
	key, err := c.LoadSecret(false)
	if !hasKeys && errors.Is(err, fs.ErrNotExist) {
		check.OK = true
		return check
	}
	if err != nil {
		check.Bad = err.Error()
		return check
	}
	keys, err := token.Inspect(ctx, db, key)
	if err != nil {
		check.Bad = err.Error()
		return check
	}
	check.OK = true
	for _, k := range keys {
		if k.State == token.Active {
			age := now().Sub(k.ActivatedAt.Std())
			check.OK, check.Advice = age < c.KeyLife+2*c.KeyOverlap, true
			check.Good = fmt.Sprintf("it has signed for %s, and will until it is %s old", days(age), days(c.KeyLife))
			check.Bad = fmt.Sprintf("it has signed for %s, and should have been replaced at %s", days(age), days(c.KeyLife))
			check.Fix = "a running server replaces it: see that one runs, and what it logs"
		}
	}
	return check
}

// days writes a duration in whole days.
func days(d time.Duration) string {
	switch n := int(d.Hours() / 24); {
	case n < 1:
		return "less than a day"
	case n == 1:
		return "1 day"
	default:
		return fmt.Sprintf("%d days", n)
	}
}
