package config_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/config"
	"github.com/graphwarden/graphwarden/internal/secret"
)

// parse parses a command line like the binary.
func parse(t *testing.T, args ...string) *config.Config {
	t.Helper()
	var c config.Config
	parser, err := kong.New(&c, kong.DefaultEnvars("GRAPHWARDEN"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(args); err != nil {
		t.Fatal(err)
	}
	return &c
}

func isAdmin(role string) bool { return role == "ADMIN" }

func TestDefaultsWork(t *testing.T) {
	t.Parallel()
	c := parse(t)
	if problems := c.Complete(isAdmin); problems != nil {
		t.Error(problems)
	}
	for name, pair := range map[string][2]string{
		"public URL":    {c.PublicURL, "http://127.0.0.1:8080"},
		"issuer":        {c.Issuer, c.PublicURL},
		"audience":      {c.Audience, c.PublicURL},
		"introspection": {c.Introspection, "public"},
		"database":      {c.Database, "sqlite:data/graphwarden.db"},
		"algorithm":     {c.Algorithm, "ES256"},
		"keep-alive":    {c.KeepAlive.String(), "2m0s"},
		"stop delay":    {c.StopDelay.String(), "1s"},
		"path prefix":   {c.PathPrefix, ""},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, want %q", name, pair[0], pair[1])
		}
	}
}

func TestDefaultsDependOnOtherSettings(t *testing.T) {
	t.Parallel()
	c := parse(t, "--public-url=https://api.example.com/", "--audience=https://other.example.com", "--production",
		"--secret", strings.Repeat("s", 32))
	if problems := c.Complete(isAdmin); problems != nil {
		t.Error(problems)
	}
	if c.Issuer != "https://api.example.com" || c.Audience != "https://other.example.com" || c.Introspection != "off" {
		t.Errorf("issuer %s, audience %s, introspection %s", c.Issuer, c.Audience, c.Introspection)
	}
}

func TestThePathPrefixFollowsThePublicURL(t *testing.T) {
	t.Parallel()
	for args, want := range map[string][2]string{
		"--public-url=https://api.example.com":                        {"https://api.example.com", ""},
		"--public-url=https://api.example.com/team/api/":              {"https://api.example.com/team/api", "/team/api"},
		"--public-url=https://api.example.com/api --path-prefix=/gw/": {"https://api.example.com/api", "/gw"},
		"--path-prefix=/gw": {"http://127.0.0.1:8080/gw", "/gw"},
	} {
		c := parse(t, strings.Fields(args)...)
		if problems := c.Complete(isAdmin); problems != nil || c.PublicURL != want[0] || c.PathPrefix != want[1] {
			t.Errorf("%s: public URL %s, prefix %s, %q", args, c.PublicURL, c.PathPrefix, problems)
		}
	}
}

// The test sets the environment, so it cannot be parallel.
func TestVariablesAndFlags(t *testing.T) {
	t.Setenv("GRAPHWARDEN_PUBLIC_URL", "https://env.example.com")
	t.Setenv("GRAPHWARDEN_DATABASE_CONNS", "7")
	t.Setenv("GRAPHWARDEN_ACCEPT_SECRET", strings.Repeat("a", 32)+",with a comma\n"+strings.Repeat("b", 32))
	c := parse(t, "--database-conns=8")
	if c.PublicURL != "https://env.example.com" {
		t.Errorf("public URL %q", c.PublicURL)
	}
	if c.DatabaseConns != 8 {
		t.Errorf("%d connections, want the flag to override the variable", c.DatabaseConns)
	}
	want := config.Lines{strings.Repeat("a", 32) + ",with a comma", strings.Repeat("b", 32)}
	if diff := cmp.Diff(want, c.AcceptSecret); diff != "" {
		t.Error(diff)
	}
}

func TestProblemsNameTheSetting(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("s", 32)
	for args, flag := range map[string]string{
		"--database=mysql://localhost/x":        "--database ",
		"--database-conns=2":                    "--database-conns",
		"--secret=" + long[1:]:                  "--secret",
		"--accept-secret=" + long[1:]:           "--accept-secret",
		"--database=postgres://localhost/x":     "--secret",
		"--access-life=0s":                      "--access-life",
		"--access-life=61m":                     "--access-life",
		"--key-overlap=59s":                     "--key-overlap",
		"--key-life=1h59m":                      "--key-life",
		"--refresh-grace=1s":                    "--refresh-grace",
		"--refresh-grace=61s":                   "--refresh-grace",
		"--clock-skew=4s":                       "--clock-skew",
		"--clock-skew=13h":                      "--clock-skew",
		"--session-idle=59s":                    "--session-idle",
		"--session-life=719h":                   "--session-life",
		"--bcrypt-cost=3":                       "--bcrypt-cost",
		"--bcrypt-cost=17":                      "--bcrypt-cost",
		"--password-min=0":                      "--password-min",
		"--password-min=129":                    "--password-min",
		"--password-pepper=" + long:             "--password-pepper",
		"--password-pepper=p1:" + long[1:]:      "--password-pepper",
		"--password-pepper=p$1:" + long:         "--password-pepper",
		"--old-pepper=:" + long:                 "--old-pepper",
		"--listen=8080":                         "--listen",
		"--metrics-listen=9090":                 "--metrics-listen",
		"--public-url=ftp://example.com":        "--public-url",
		"--public-url=https://example.com/?x=1": "--public-url",
		"--public-url=https://":                 "--public-url",
		"--introspection=OWNER":                 "--introspection",
		"--require-mfa=ADMIN,OWNER":             "--require-mfa",
		"--totp-issuer=a:b":                     "--totp-issuer",
		"--max-body=1023":                       "--max-body",
		"--max-body=67108865":                   "--max-body",
		"--streams-per-address=0":               "--streams-per-address",
		"--streams-per-user=0":                  "--streams-per-user",
		"--operations-per-socket=0":             "--operations-per-socket",
		"--operation-timeout=99ms":              "--operation-timeout",
		"--drain-timeout=0s":                    "--drain-timeout",
		"--batch=101":                           "--batch",
		"--keep-alive=0s":                       "--keep-alive",
		"--stop-delay=-1s":                      "--stop-delay",
		"--public-url=https://h.example/a%20b":  "--public-url",
		"--public-url=https://h.example/../b":   "--public-url",
		"--path-prefix=api":                     "--path-prefix",
		"--path-prefix=/a//b":                   "--path-prefix",
		"--path-prefix=/a?b":                    "--path-prefix",
		"--allowed-headers=X-Team:":             "--allowed-headers",
		"--idle-poll=1ms":                       "--idle-poll",
		"--idle-poll=-1m":                       "--idle-poll",
		"--tls-cert=cert.pem":                   "--tls-key",
		"--tls-key=key.pem":                     "--tls-cert",
	} {
		problems := parse(t, strings.Fields(args)...).Complete(isAdmin)
		if len(problems) != 1 || !strings.Contains(problems[0], flag) {
			t.Errorf("%s: %q, want one problem about %s", args, problems, flag)
		}
		if text := strings.Join(problems, " "); strings.Contains(text, "sssss") {
			t.Errorf("%s: the problem contains a secret: %s", args, text)
		}
	}
}

func TestLimitsAreInclusive(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("s", 32)
	for _, args := range []string{
		"--access-life=1h --refresh-grace=2s --key-overlap=1m --key-life=2m --session-idle=1m --session-life=1m " +
			"--bcrypt-cost=4 --password-min=1 --max-body=1024 --operation-timeout=100ms",
		"--access-life=1s --refresh-grace=1m --bcrypt-cost=16 --password-min=128 --max-body=67108864 --database-conns=3",
		"--database=postgres://localhost/x --secret=" + long + " --accept-secret=" + long,
		"--password-pepper=p1:" + long + " --old-pepper=p0:" + long + ":with:colons --introspection=ADMIN " +
			"--listen=:0 --metrics-listen=:0 --streams-per-address=1 --streams-per-user=1 --operations-per-socket=1",
		"--tls-cert=cert.pem --tls-key=key.pem --trusted-proxies=10.0.0.0/8,::1",
	} {
		if problems := parse(t, strings.Fields(args)...).Complete(isAdmin); problems != nil {
			t.Errorf("%s: %q", args, problems)
		}
	}
}

func TestQueryLimits(t *testing.T) {
	t.Parallel()
	names := []string{
		"tokens", "depth", "fields", "aliases", "repeats", "repeat-pairs", "root-fields", "directives",
		"element-directives", "list-items", "input-depth", "variable-bytes", "variable-values", "introspection-depth",
		"introspection-aliases", "document-bytes",
	}
	if n := reflect.TypeFor[config.Queries]().NumField(); n != len(names) {
		t.Errorf("%d limits, but %d tested", n, len(names))
	}
	for _, name := range names {
		flag := "--max-" + name
		for _, value := range []string{"=1", "=1000000"} {
			if problems := parse(t, flag+value).Complete(isAdmin); problems != nil {
				t.Errorf("%s%s: %q", flag, value, problems)
			}
		}
		for _, value := range []string{"=0", "=-1", "=67108865"} {
			problems := parse(t, flag+value).Complete(isAdmin)
			if len(problems) != 1 || !strings.Contains(problems[0], flag+" ") {
				t.Errorf("%s%s: %q", flag, value, problems)
			}
		}
	}
}

func TestThePublicURLFollowsTheCertificate(t *testing.T) {
	t.Parallel()
	c := parse(t, "--tls-cert=cert.pem", "--tls-key=key.pem")
	if problems := c.Complete(isAdmin); problems != nil {
		t.Error(problems)
	}
	if c.PublicURL != "https://127.0.0.1:8080" || !c.IsHTTPS() || c.Scheme() != "https" {
		t.Errorf("%s, served by %s", c.PublicURL, c.Scheme())
	}
	c = parse(t, "--public-url=https://api.example.com")
	if !c.IsHTTPS() || c.Scheme() != "http" {
		t.Errorf("behind a proxy: HTTPS %t, served by %s", c.IsHTTPS(), c.Scheme())
	}
}

func TestPeppers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("s", 32)
	c := parse(t, "--password-pepper=p2:"+long+":2", "--old-pepper=p1:"+long+",1", "--old-pepper=p0:"+long)
	if id, key, err := c.Pepper(); id != "p2" || key != long+":2" || err != nil {
		t.Errorf("%q %q %v", id, key, err)
	}
	old, err := c.OldPeppers()
	if diff := cmp.Diff(map[string]string{"p1": long + ",1", "p0": long}, old); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// A variable read from a file ends with a line break.
func TestLineBreaksAroundSecretsAreTrimmed(t *testing.T) {
	t.Parallel()
	long, other := strings.Repeat("s", 32), strings.Repeat("t", 32)
	want, err := secret.New(long, other)
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range []string{"\n", "\r", "\r\n", " \n\n"} {
		c := parse(t, "--secret="+long+end, "--accept-secret="+other+end, "--password-pepper=p2:"+long+end,
			"--old-pepper=p1:"+other+end+"p0:"+long+end)
		if problems := c.Complete(isAdmin); problems != nil {
			t.Errorf("%q: %q", end, problems)
			continue
		}
		got, err := c.LoadSecret(false)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.Keys("test"), got.Keys("test")[:2]); diff != "" {
			t.Errorf("%q: %s", end, diff)
		}
		if id, key, err := c.Pepper(); id != "p2" || key != long || err != nil {
			t.Errorf("%q: %q %q %v", end, id, key, err)
		}
		untrimmed, err := c.UntrimmedPeppers()
		if err != nil || untrimmed["p2"] != long+end {
			t.Errorf("%q: %q, %v", end, untrimmed, err)
		}
		if strings.Contains(end, "\n") { // a separator of list values
			old, err := c.OldPeppers()
			if diff := cmp.Diff(map[string]string{"p1": other, "p0": long}, old); diff != "" || err != nil {
				t.Errorf("%q: %s, %v", end, diff, err)
			}
		}
	}
	c := parse(t, "--password-pepper=p2:"+long)
	if untrimmed, err := c.UntrimmedPeppers(); untrimmed != nil || err != nil {
		t.Errorf("without a line break: %q, %v", untrimmed, err)
	}
	for _, blank := range []string{"--secret=\n", "--secret=" + long[1:] + "\n", "--accept-secret=" + long[1:] + "\n"} {
		if problems := parse(t, blank).Complete(isAdmin); len(problems) != 1 {
			t.Errorf("%q: %q", blank, problems)
		}
	}
}

func TestTheSecretFileIsCreatedOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	storage := config.Storage{Database: "sqlite:" + path}
	_, err := storage.LoadSecret(false)
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), path+".secret") ||
		!strings.Contains(err.Error(), "--secret") {
		t.Errorf("a lost secret: %v", err)
	}
	if _, err := os.Stat(path + ".secret"); err == nil {
		t.Error("a new secret replaced a lost one")
	}
	first, err := storage.LoadSecret(true)
	if err != nil {
		t.Fatal(err)
	}
	again, err := storage.LoadSecret(true)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first.Key("test"), again.Key("test")); diff != "" {
		t.Error("the second start uses another secret")
	}
	info, err := os.Stat(path + ".secret")
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(path+".secret", []byte("too short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = storage.LoadSecret(true)
	if err == nil || strings.Contains(err.Error(), "too short\n") || !strings.Contains(err.Error(), path+".secret") {
		t.Errorf("a short secret: %v", err)
	}
}

func TestSecretFileErrorsNameTheFlag(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(file, "test.db"), filepath.Join(file, "below", "test.db")} {
		storage := config.Storage{Database: "sqlite:" + path}
		if _, err := storage.LoadSecret(true); err == nil || !strings.Contains(err.Error(), "--secret") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestRates(t *testing.T) {
	t.Parallel()
	c := parse(t, "--login-pair-limit=3/90s", "--verify-invalid-limit=0/1m", "--refresh-limit=1000001/1m")
	if want := (config.Rate{Burst: 3, Per: 90 * time.Second}); c.LoginPairLimit != want {
		t.Errorf("got %v, want %v", c.LoginPairLimit, want)
	}
	want := []string{
		"--refresh-limit must be from 1 to 1000000",
		"--verify-invalid-limit must be from 1 to 1000000",
	}
	if diff := cmp.Diff(want, c.Complete(isAdmin)); diff != "" {
		t.Error(diff)
	}
	for _, text := range []string{"20", "", "/15m", "20/", "20/0s", "20/999ms", "20/-1m", "a/1m", "1.5/1m", "20/15"} {
		var r config.Rate
		if err := r.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), "20/15m") {
			t.Errorf("%q: %v, %v", text, r, err)
		}
	}
}

// The setting of a bucket's rate has the name of the bucket.
func TestRatesAreNamedAfterTheirSettings(t *testing.T) {
	t.Parallel()
	c := parse(t)
	parser, err := kong.New(c)
	if err != nil {
		t.Fatal(err)
	}
	rates := map[string]config.Rate{}
	for _, flag := range parser.Model.Flags {
		if rate, ok := flag.Target.Interface().(config.Rate); ok {
			rates[strings.TrimSuffix(flag.Name, "-limit")] = rate
		}
	}
	if diff := cmp.Diff(rates, c.Rates()); diff != "" || len(rates) == 0 {
		t.Error(diff)
	}
}

func TestHelpShowsRanges(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&config.Config{}, kong.DefaultEnvars("GRAPHWARDEN"))
	if err != nil {
		t.Fatal(err)
	}
	help := map[string]string{}
	for _, flag := range parser.Model.Flags {
		help[flag.Name] = config.Help(flag.Value)
	}
	for name, want := range map[string]string{
		"access-life":    "Lifetime of an access token (1s to 1h) ($GRAPHWARDEN_ACCESS_LIFE).",
		"database-conns": "Maximum number of connections to the database (at least 3) ($GRAPHWARDEN_DATABASE_CONNS).",
		"listen":         "Address to listen on, HOST:PORT ($GRAPHWARDEN_LISTEN).",
	} {
		if help[name] != want {
			t.Errorf("--%s: %q, want %q", name, help[name], want)
		}
	}
}

// A setting that is never read has no effect.
func TestEverySettingHasAReader(t *testing.T) {
	t.Parallel()
	read := map[string]bool{}
	for _, folder := range []string{".", "../app", "../cli"} {
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			isProgram := strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go")
			if err != nil || entry.IsDir() || !isProgram {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, declaration := range file.Decls {
				f, ok := declaration.(*ast.FuncDecl)
				if ok && slices.Contains([]string{"Complete", "problems"}, f.Name.Name) {
					continue // validation is not use
				}
				ast.Inspect(declaration, func(node ast.Node) bool {
					if selector, ok := node.(*ast.SelectorExpr); ok {
						read[selector.Sel.Name] = true
					}
					return true
				})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	names := 0
	for _, part := range []any{
		config.Storage{}, config.Tokens{}, config.Limits{}, config.Server{}, config.Network{}, config.Insecure{},
	} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(part)) {
			names++
			if !read[field.Name] {
				t.Errorf("%s has no reader", field.Name)
			}
			if field.Tag.Get("help") == "" {
				t.Errorf("%s has no help", field.Name)
			}
		}
	}
	if names < 20 {
		t.Errorf("only %d settings", names)
	}
}
