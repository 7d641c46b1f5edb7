package app_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/app"
	"github.com/graphwarden/graphwarden/internal/config"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/web/tlstest"
	"github.com/graphwarden/graphwarden/schema"
)

const longSecret = "hunter2, a secret for tests of more than 32 bytes"

// settings parses a command line as the program does. A later flag overrides an earlier one.
func settings(t *testing.T, args ...string) *config.Config {
	t.Helper()
	var c config.Config
	parser, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Fatal(err)
	}
	if problems := c.Complete(func(string) bool { return false }); problems != nil {
		t.Fatal(problems)
	}
	return &c
}

// production is a command line that --production accepts.
func production(t *testing.T, more ...string) []string {
	t.Helper()
	return append(
		[]string{
			"--production",
			"--secret=" + longSecret,
			"--public-url=https://api.example.com",
			"--trusted-proxies=10.0.0.1",
			"--database=sqlite:" + filepath.Join(t.TempDir(), "test.db"),
		},
		more...)
}

// failing returns the names of the checks that --production refuses.
func failing(checks []app.Check) (names []string) {
	for _, c := range checks {
		if c.Fails() {
			names = append(names, c.Name)
		}
	}
	return names
}

func TestProductionAcceptsSafeSettings(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		nil,
		{"--introspection=authenticated", "--bcrypt-cost=13", "--allowed-origins=https://app.example.com"},
		{"--database=postgres://u:hunter2@db.example.com/x"},
		{"--database=postgres://u:hunter2@db.example.com/x?sslmode=verify-full"},
		{"--database=postgres://u:hunter2@localhost/x?sslmode=disable"},
		{"--database=postgres:///x?host=/run/postgresql"},
	} {
		if got := app.Refusals(app.Checks(settings(t, production(t, args...)...))); got != nil {
			t.Errorf("%q: %q", args, got)
		}
	}
}

func TestProductionRefusesEachUnsafeSettingUnlessItIsAccepted(t *testing.T) {
	t.Parallel()
	remote := "postgres://u:hunter2@db.example.com/x?sslmode="
	for _, test := range []struct{ check, args, fix, accept string }{
		{"secret", "--secret=", "--secret", "--insecure-secret-file"},
		{"https", "--public-url=http://api.example.com", "--public-url", "--insecure-http"},
		{"origins", "--allowed-origins=*", "name each origin", ""},
		{"origins", "--allowed-origins=https://*.com", "name each origin", ""},
		{
			"plain origins", "--allowed-origins=https://a.example.com,http://b.example.com", "by https://", "--insecure-origins",
		},
		{"plain origins", "--allowed-origins=http://localhost:5173", "by https://", "--insecure-origins"},
		{"origins", "--allowed-origins=https://app.example.com/", "write https://app.example.com", ""},
		{"origins", "--public-url=https://127.1", "--public-url: its origin", ""},
		{"proxies", "--trusted-proxies=0.0.0.0/0", "name the proxies", ""},
		{"proxies", "--trusted-proxies=0.0.0.0/1,128.0.0.0/1", "name the proxies", ""},
		{"proxies", "--trusted-proxies=::ffff:0:0/96", "name the proxies", ""},
		{"introspection", "--introspection=public", "--introspection", "--insecure-introspection"},
		{"GraphiQL", "--explorer", "--explorer", "--insecure-explorer"},
		{"bcrypt cost", "--bcrypt-cost=11", "--bcrypt-cost", "--insecure-bcrypt-cost"},
		{"database TLS", "--database=" + remote + "disable", "verify-full", "--insecure-database"},
		{"database TLS", "--database=" + remote + "allow", "verify-full", "--insecure-database"},
		{"database TLS", "--database=" + remote + "prefer", "verify-full", "--insecure-database"},
		{
			"database TLS", "--database=postgres://localhost/x?host=db.example.com&sslmode=prefer", "verify-full",
			"--insecure-database",
		},
	} {
		args := production(t, test.args)
		checks := app.Checks(settings(t, args...))
		if diff := cmp.Diff([]string{test.check}, failing(checks)); diff != "" {
			t.Errorf("%s: %s", test.args, diff)
		}
		refusals := app.Refusals(checks)
		if len(refusals) != 1 || !strings.Contains(refusals[0], test.fix) || !strings.Contains(refusals[0], test.accept) ||
			strings.Contains(refusals[0], "hunter2") {
			t.Errorf("%s: %q, want %q and %q in it", test.args, refusals, test.fix, test.accept)
		}
		if test.accept == "" {
			continue
		}
		if got := app.Refusals(app.Checks(settings(t, append(args, test.accept)...))); got != nil {
			t.Errorf("%s %s: %q", test.args, test.accept, got)
		}
	}
}

func TestAcceptingOneCheckAcceptsNoOther(t *testing.T) {
	t.Parallel()
	unsafe := []string{
		"--production", "--explorer", "--introspection=public", "--bcrypt-cost=4", "--allowed-origins=http://a.example.com",
	}
	all := []string{"secret", "https", "plain origins", "introspection", "GraphiQL", "bcrypt cost"}
	if diff := cmp.Diff(all, failing(app.Checks(settings(t, unsafe...)))); diff != "" {
		t.Error(diff)
	}
	for i, flag := range []string{
		"--insecure-secret-file", "--insecure-http", "--insecure-origins", "--insecure-introspection", "--insecure-explorer",
		"--insecure-bcrypt-cost", "--insecure-database", "--insecure-storage",
	} {
		want := slices.Clone(all)
		if i < len(want) {
			want = slices.Delete(want, i, i+1)
		}
		if diff := cmp.Diff(want, failing(app.Checks(settings(t, append(unsafe, flag)...)))); diff != "" {
			t.Errorf("%s: %s", flag, diff)
		}
	}
}

func TestANetworkFileSystemIsRefused(t *testing.T) {
	t.Parallel()
	if c := app.OnLocalDisk("", false); c.Fails() {
		t.Errorf("a local one: %+v", c)
	}
	if c := app.OnLocalDisk("NFS", false); !c.Fails() || !strings.Contains(c.Bad, "NFS") ||
		c.Flag != "--insecure-storage" {
		t.Errorf("%+v", c)
	}
	if c := app.OnLocalDisk("NFS", true); c.Fails() {
		t.Errorf("accepted: %+v", c)
	}
}

func TestASecretThatOthersCanReadIsRefused(t *testing.T) {
	t.Parallel()
	c := settings(t, production(t, "--secret=", "--insecure-secret-file")...)
	for mode, want := range map[os.FileMode][]string{
		0o600: nil,
		0o400: nil,
		0o640: {"secret file"},
		0o604: {"secret file"},
	} {
		if err := os.WriteFile(c.SecretFile(), []byte(longSecret), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(c.SecretFile(), mode); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, failing(app.Checks(c))); diff != "" {
			t.Errorf("%o: %s", mode, diff)
		}
		given := *c
		given.Secret = longSecret
		if got := failing(app.Checks(&given)); got != nil {
			t.Errorf("mode %o, but the secret is not read from the file: %q", mode, got)
		}
		if err := os.Remove(c.SecretFile()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAWorldReadableDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	c := settings(t, production(t)...)
	for mode, want := range map[os.FileMode][]string{
		0o600: nil,
		0o660: nil,
		0o644: {"database file"},
		0o602: {"database file"},
	} {
		if err := os.WriteFile(c.SQLitePath(), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(c.SQLitePath(), mode); err != nil {
			t.Fatal(err)
		}
		checks := app.Checks(c)
		if diff := cmp.Diff(want, failing(checks)); diff != "" {
			t.Errorf("%o: %s", mode, diff)
		}
		if want != nil && !strings.Contains(app.Refusals(checks)[0], "chmod o-rwx "+c.SQLitePath()) {
			t.Errorf("%o: %q", mode, app.Refusals(checks))
		}
	}
}

// diagnosed returns the check with the given name.
func diagnosed(t *testing.T, c *config.Config, now func() time.Time, name string) app.Check {
	t.Helper()
	sdl, err := schema.Load()
	if err != nil {
		t.Fatal(err)
	}
	checks := app.Diagnose(t.Context(), c, sdl, now)
	i := slices.IndexFunc(checks, func(c app.Check) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("no check %s in %+v", name, checks)
	}
	return checks[i]
}

func TestTheDatabaseIsDiagnosed(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		dir := t.TempDir()
		c := settings(t, production(t, "--database="+url)...)
		if check := diagnosed(t, c, time.Now, "database"); !check.OK {
			t.Errorf("before the first start: %+v", check)
		}
		if path := c.SQLitePath(); path != "" {
			if _, err := os.Stat(path); !os.IsNotExist(err) {
				t.Errorf("a diagnosis made the database: %v", err)
			}
		} else if check := diagnosed(t, c, time.Now, "migrations"); check.OK || check.Fails() {
			t.Errorf("before the first start: %+v", check)
		}
		run(t, dir, "--database="+url, "--secret="+longSecret, "migrate")
		for _, name := range []string{"database", "migrations", "clock", "signing key"} {
			if check := diagnosed(t, c, time.Now, name); !check.OK {
				t.Errorf("%+v", check)
			}
		}
		for _, off := range []time.Duration{-time.Minute, time.Minute} {
			check := diagnosed(t, c, func() time.Time { return time.Now().Add(off) }, "clock")
			if check.OK || check.Fails() || !strings.Contains(check.Bad, "1m0s") {
				t.Errorf("%s off: %+v", off, check)
			}
		}
		old := func() time.Time { return time.Now().Add(c.KeyLife + 3*c.KeyOverlap) }
		if check := diagnosed(t, c, old, "signing key"); check.OK || check.Fails() ||
			!strings.Contains(check.Bad, "90 days") {
			t.Errorf("an old key: %+v", check)
		}
		c.Secret = strings.ToUpper(c.Secret)
		if check := diagnosed(t, c, time.Now, "signing key"); !check.Fails() ||
			!strings.Contains(check.Bad, "another secret") {
			t.Errorf("another secret: %+v", check)
		}
	})
}

func TestAnUnusableDatabaseIsDiagnosed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("not a database, whatever its name says"), 0o600); err != nil {
		t.Fatal(err)
	}
	for database, says := range map[string]string{
		"sqlite:" + file: "cannot write the database",
		"sqlite:" + filepath.Join(file, "test.db"):          "not a directory",
		"postgres://u:hunter2@localhost:1/x":                "cannot reach Postgres at localhost:1",
		"postgres://u:p@localhost/x?sslnegotiation=hunter2": "refuses the value of sslnegotiation",
	} {
		c := settings(t, production(t, "--database="+database)...)
		if check := diagnosed(t, c, time.Now, "database"); !check.Fails() || !strings.Contains(check.Bad, says) ||
			strings.Contains(check.Bad, "hunter2") {
			t.Errorf("%s: %+v", database, check)
		}
	}
}

func TestALostSecretFileIsDiagnosed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := settings(t, "--database=sqlite:"+filepath.Join(dir, "test.db"))
	run(t, dir, "--database="+c.Database, "migrate")
	if check := diagnosed(t, c, time.Now, "signing key"); !check.OK {
		t.Errorf("%+v", check)
	}
	if err := os.Remove(c.SecretFile()); err != nil {
		t.Fatal(err)
	}
	if check := diagnosed(t, c, time.Now, "signing key"); !check.Fails() || !strings.Contains(check.Bad, c.SecretFile()) {
		t.Errorf("%+v", check)
	}
	refused(
		t, dir, []string{"--database=" + c.Database}, "the secret of this database is gone", c.SecretFile(),
		"put the file back",
	)
	if _, err := os.Stat(c.SecretFile()); err == nil {
		t.Error("a new secret file was created")
	}
	// After the loss of the secret, OPERATIONS.md tells operators to delete the signing keys.
	db := storetest.Open(t, c.Database)
	err := db.Tx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Exec("DELETE FROM signing_keys")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if check := diagnosed(t, c, time.Now, "signing key"); !check.OK {
		t.Errorf("without keys: %+v", check)
	}
	run(t, dir, "--database="+c.Database, "migrate")
	if _, err := os.Stat(c.SecretFile()); err != nil {
		t.Error(err)
	}
}

func TestTheCertificateIsDiagnosed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	c := settings(t, production(t, "--tls-cert="+cert, "--tls-key="+key)...)
	if check := diagnosed(t, c, time.Now, "TLS"); !check.Fails() || !strings.Contains(check.Bad, cert) {
		t.Errorf("no files: %+v", check)
	}
	tlstest.Write(t, cert, key, "test", time.Now().Add(20*24*time.Hour))
	for later, want := range map[time.Duration]struct {
		ok   bool
		says string
	}{
		0:                   {true, "19 days"},
		10 * 24 * time.Hour: {false, "expires in 9 days"},
		21 * 24 * time.Hour: {false, "has expired"},
	} {
		check := diagnosed(t, c, func() time.Time { return time.Now().Add(later) }, "TLS")
		if check.OK != want.ok || check.Fails() || !strings.Contains(check.Good+check.Bad, want.says) {
			t.Errorf("after %s: %+v", later, check)
		}
	}
}

func TestAdviceOnProxiesAndTheDatabasesName(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, args string
		ok         bool
	}{
		{"client address", "--trusted-proxies=10.0.0.1", true},
		{"client address", "--public-url=http://api.example.com", true},
		{"database name", "--database=postgres://u:p@db.invalid/x?sslmode=verify-full", true},
		{"database name", "--database=postgres://u:p@db.invalid/x", false},
		{"database name", "--database=postgres://u:p@localhost:1/x", true},
		{"production", "--production", true},
		{"production", "--production=false", false},
		{"schema", "--production", true},
		{"GraphiQL files", "--production", true},
	} {
		if check := diagnosed(t, settings(t, production(t, test.args)...), time.Now, test.name); check.OK != test.ok ||
			check.Fails() {
			t.Errorf("%s: %+v", test.args, check)
		}
	}
	c := settings(t, production(t)...)
	c.TrustedProxies = nil
	if check := diagnosed(t, c, time.Now, "client address"); check.OK || check.Fails() {
		t.Errorf("no proxies: %+v", check)
	}
}
