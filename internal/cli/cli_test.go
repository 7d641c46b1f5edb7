package cli_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/cli"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

var update = flag.Bool("update", false, "update the golden files")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"graphwarden": func() {
		os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}})
}

func TestCommands(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   exits,
			"kid":     kid,
			"secret":  secretOf,
			"without": without,
		},
	})
}

// exits checks the exit code of a command: exits CODE COMMAND...
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%v exits with %d, want %d", args[1:], got, want)
	}
}

// kid sets KID to the id of the key in a state: kid STATE.
func kid(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("graphwarden", "key", "list"))
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		if words := strings.Fields(line); len(words) > 2 && words[2] == args[0] {
			ts.Setenv("KID", words[0])
			return
		}
	}
	ts.Fatalf("no key is %s", args[0])
}

// secretOf sets SECRET to the trimmed text of a file, and LF and CR to line breaks: secret FILE.
func secretOf(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv("SECRET", strings.TrimSpace(ts.ReadFile(args[0])))
	ts.Setenv("LF", "\n")
	ts.Setenv("CR", "\r")
}

// without copies the lines that no regexp matches: without REGEXP FROM TO.
func without(ts *testscript.TestScript, _ bool, args []string) {
	drop, err := regexp.Compile(args[0])
	ts.Check(err)
	var kept strings.Builder
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		if !drop.MatchString(line) {
			kept.WriteString(line)
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(kept.String()), 0o600))
}

// run runs a command line and returns its output.
func run(t *testing.T, in string, args ...string) string {
	t.Helper()
	var out, stderr bytes.Buffer
	if code := cli.Main(t.Context(), args, strings.NewReader(in), &out, &stderr); code != 0 {
		t.Fatalf("%v: exit code %d, %s", args, code, &stderr)
	}
	return out.String()
}

func TestEveryFlagHasItsVariable(t *testing.T) {
	t.Parallel()
	flag := regexp.MustCompile(`--([a-z-]+)`)
	for _, command := range [][]string{
		nil, {"serve"}, {"doctor"}, {"migrate"}, {"user", "add"}, {"user", "import"}, {"user", "list"}, {"user", "role"},
		{"key", "revoke"}, {"schema", "policy"},
	} {
		help := run(t, "", append(command, "--help")...)
		_, flags, _ := strings.Cut(help, "\nFlags:\n")
		entries := regexp.MustCompile(`(?m)^ {2,}(-., )?--`).FindAllStringIndex(flags, -1)
		if len(entries) < 20 {
			t.Fatalf("%v: %d flags in %s", command, len(entries), help)
		}
		for i, entry := range entries {
			end := len(flags)
			if i+1 < len(entries) {
				end = entries[i+1][0]
			}
			text := strings.Join(strings.Fields(flags[entry[0]:end]), " ")
			name := flag.FindStringSubmatch(text)[1]
			variable := "$GRAPHWARDEN_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
			if name != "help" && name != "version" && !strings.Contains(text, variable) {
				t.Errorf("%v: the help of --%s lacks %s: %s", command, name, variable, text)
			}
		}
	}
}

func TestImportedUsersSignIn(t *testing.T) {
	t.Parallel()
	const secret = "a secret for tests, of more than 32 bytes"
	database := "sqlite:" + filepath.Join(t.TempDir(), "imported.db")
	run(
		t,
		`{"email":"johndoe@example.com","username":"johndoe","name":"John Doe",
			"passwordHash":"$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW"}`,
		"--database",
		database,
		"--secret",
		secret,
		"user",
		"import",
	)
	srv := apptest.Start(t, apptest.Database(database), func(o *apptest.Options) { o.Config.Secret = secret })
	stored := func() (hash string) {
		t.Helper()
		if err := srv.App.DB.Get(t.Context(), &hash, "SELECT password_hash FROM users"); err != nil {
			t.Fatal(err)
		}
		return hash
	}
	login := func(field, name, password string) *apptest.Answer {
		return srv.Anonymous().
			Do(t, `mutation($name: String!, $password: String!) {
				login(input: {`+field+`: $name, password: $password}) { user { name } }
			}`,
				map[string]any{"name": name, "password": password})
	}
	login("username", "johndoe", "secreT").Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
	if hash := stored(); !strings.HasPrefix(hash, "$2b$12$") {
		t.Errorf("a wrong password changed the hash to %s", hash)
	}
	for field, name := range map[string]string{"email": "JohnDoe@example.com", "username": "johndoe"} {
		var out struct {
			Login struct{ User struct{ Name string } }
		}
		login(field, name, "secret").Into(t, &out)
		if out.Login.User.Name != "John Doe" {
			t.Errorf("signed in by %s: %+v", field, out)
		}
		if hash := stored(); !strings.HasPrefix(hash, "gw1$") {
			t.Errorf("the hash is still %s", hash)
		}
	}
}

func TestWhatIsDoneToKeysIsInTheAuditLog(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	admin := srv.As(t, "ADMIN")
	key := func(args ...string) {
		t.Helper()
		run(
			t, "", append([]string{"--database", srv.App.Config.Database, "--secret", srv.App.Config.Secret, "key"}, args...)...,
		)
	}
	err := srv.App.DB.Tx(t.Context(), func(tx *store.Tx) error { // the next key has been published for long enough
		_, err := tx.Exec("UPDATE signing_keys SET created_at = created_at - $1", (2 * time.Hour).Microseconds())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	before, err := srv.App.Keys.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first, second := before[0].KeyID, before[1].KeyID
	if before[0].State != token.Active {
		first, second = second, first
	}
	key("rotate")
	key("revoke", first)
	key("revoke", first) // changes nothing
	// The server must not learn between two of the queries that the key of the administrator's token is revoked.
	if err := srv.App.Keys.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	admin.Refresh(t)
	type entry struct{ Action, Outcome, ActorID, Detail string }
	var got []entry
	for _, action := range []string{"SIGNING_KEY_ROTATED", "SIGNING_KEY_REVOKED"} {
		var out struct{ AuditLog struct{ Nodes []entry } }
		admin.Do(t, `query($action: AuditAction) {
			auditLog(filter: {action: $action}) { nodes { action outcome actorId detail } }
		}`,
			map[string]any{"action": action}).
			Into(t, &out)
		got = append(got, out.AuditLog.Nodes...)
	}
	want := []entry{
		{"SIGNING_KEY_ROTATED", "DONE", "", first + " → " + second}, {"SIGNING_KEY_REVOKED", "DONE", "", first},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
