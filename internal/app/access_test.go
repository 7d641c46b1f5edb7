package app_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/graphwarden/graphwarden/internal/store"
)

const (
	serversSecret = "--secret=the secret of the servers, of 32 bytes and more"
	othersSecret  = "--secret=hunter2, the secret of another, of more than 32 bytes"
	acceptServers = "--accept-secret=the secret of the servers, of 32 bytes and more"
)

// stored returns the contents of the default SQLite database in a folder, with its journal.
func stored(t *testing.T, dir string) []byte {
	t.Helper()
	var all []byte
	for _, name := range []string{"graphwarden.db", "graphwarden.db-wal"} {
		content, err := os.ReadFile(filepath.Join(dir, "data", name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		all = append(all, content...)
	}
	return all
}

func TestARefusedSecondServerChangesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := serve(t, dir, serversSecret)
	command(t, dir, serversSecret, "user", "add", "jane@example.com")
	if err := os.Symlink("data/graphwarden.db", filepath.Join(dir, "link.db")); err != nil {
		t.Fatal(err)
	}
	before := stored(t, dir)
	for _, database := range []string{
		"data/graphwarden.db", "./data/../data/graphwarden.db", "link.db", "//" + dir + "/link.db",
	} {
		refused(t, dir, []string{
			othersSecret, acceptServers, "--algorithm=EdDSA", "--listen=127.0.0.1:0", "--database=sqlite:" + database,
		},
			"another server is running on", "--database")
	}
	if !bytes.Equal(before, stored(t, dir)) {
		t.Error("the database was changed")
	}
	first.stop(t)
	serve(t, dir, serversSecret).stop(t)
}

// verbs are the commands that open the database, and whether they change it. KID stands for the id of the active key.
var verbs = map[string]struct {
	args    string
	changes bool
}{
	"migrate":            {"migrate", false}, // no migration is pending
	"user add":           {"user add added@example.com", true},
	"user import":        {"user import", true},
	"user list":          {"user list", false},
	"user disable":       {"user disable jane@example.com", true},
	"user enable":        {"user enable jane@example.com", false}, // already enabled
	"user role":          {"user role jane@example.com --add=ADMIN", true},
	"user export":        {"user export jane@example.com", true}, // recorded
	"user delete":        {"user delete jane@example.com", true},
	"user factors":       {"user factors jane@example.com", false},
	"user reset-factors": {"user reset-factors jane@example.com", false}, // there are none
	"key list":           {"key list", false},
	"key rotate":         {"key rotate", true},
	"key revoke":         {"key revoke KID", true},
	"mail list":          {"mail list", false},
}

// elsewhere are the commands that need a mail, a mail server or no database. internal/cli tests them.
var elsewhere = []string{"mail show", "mail retry", "mail test", "user invite", "health"}

func TestCommandsHaveTheirAccess(t *testing.T) {
	t.Parallel()
	help := run(t, t.TempDir(), "--help")
	commands := help[strings.Index(help, "Commands:"):]
	for _, found := range regexp.MustCompile(`(?m)^  (\w+(?: [\w-]+)?) .*`).FindAllStringSubmatch(commands, -1) {
		words := strings.Fields(found[0])
		verb := words[0]
		if verb == "user" || verb == "key" || verb == "mail" {
			verb += " " + words[1]
		}
		if _, listed := verbs[verb]; !listed && verb != "serve" && verb != "doctor" && verb != "help" && verb != "schema" &&
			verb != "breached" && verb != "Run" && !slices.Contains(elsewhere, verb) {
			t.Errorf("%s is in no list of this test: %s", verb, found[0])
		}
	}
}

// All commands work beside a server, and none seals a key with another secret, so that the server can start again.
func TestCommandsWorkBesideAServer(t *testing.T) {
	t.Parallel()
	for verb, test := range verbs {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			command(t, dir, serversSecret, "user", "add", "jane@example.com")
			command(t, dir, serversSecret, "user", "add", "john@example.com", "--role=ADMIN")
			first := serve(t, dir, serversSecret)
			publish(t, dir)
			before := stored(t, dir)
			args := strings.Fields(strings.ReplaceAll(test.args, "KID", activeKey(t, dir)))
			if out, err := command(t, dir, append([]string{serversSecret}, args...)...); err != nil {
				t.Errorf("%v, %s", err, out)
			}
			if changed := !bytes.Equal(before, stored(t, dir)); changed != test.changes {
				t.Errorf("it changed the database: %t", changed)
			}
			before = stored(t, dir)
			_, _ = command(t, dir, append([]string{othersSecret, acceptServers}, args...)...) // must do no harm, refused or not
			if !test.changes && !bytes.Equal(before, stored(t, dir)) {
				t.Error("with another secret it changed the database")
			}
			first.stop(t)
			serve(t, dir, serversSecret).stop(t)
		})
	}
}

// Only a starting server, and migrate without a running server, change tables of another version.
func TestCommandsRefuseTablesOfAnotherVersion(t *testing.T) {
	t.Parallel()
	for verb, test := range verbs {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			first := serve(t, dir, serversSecret)
			kid := activeKey(t, dir)
			inDatabase(t, dir, "DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)")
			before := stored(t, dir)
			args := append([]string{serversSecret}, strings.Fields(strings.ReplaceAll(test.args, "KID", kid))...)
			says := "run graphwarden migrate"
			if verb == "migrate" {
				says = "another server is running"
			}
			if out, err := command(t, dir, args...); err == nil || !strings.Contains(out, says) {
				t.Errorf("%v, %s", err, out)
			}
			if !bytes.Equal(before, stored(t, dir)) {
				t.Error("the database was changed")
			}
			first.stop(t)
		})
	}
}

// command runs a command line with a password or accounts as its input, and returns the output.
func command(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := program(t, dir, nil, append(args, "--bcrypt-cost=4")...)
	cmd.Stdin = strings.NewReader("correct horse battery\n")
	if slices.Contains(args, "import") {
		cmd.Stdin = strings.NewReader(`{"email":"imported@example.com"}`)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// publish makes the next key old enough for a rotation.
func publish(t *testing.T, dir string) {
	t.Helper()
	inDatabase(t, dir, "UPDATE signing_keys SET created_at = created_at - 7200000000")
}

func inDatabase(t *testing.T, dir, statement string) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + filepath.Join(dir, "data", "graphwarden.db")})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Tx(context.WithoutCancel(t.Context()), func(tx *store.Tx) error {
		_, err := tx.Exec(statement)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func activeKey(t *testing.T, dir string) string {
	t.Helper()
	for line := range strings.Lines(run(t, dir, serversSecret, "key", "list")) {
		if words := strings.Fields(line); len(words) > 2 && words[2] == "active" {
			return words[0]
		}
	}
	t.Fatal("no key is active")
	return ""
}

// The marks are in the password, or where part of an unencoded password would be.
func TestMalformedURLsAreNotPrinted(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connected := make(chan struct{}, 100)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			connected <- struct{}{}
			_ = conn.Close()
		}
	}()
	defer func() { _ = l.Close() }()
	const mark = "hunterxyzzy"
	// net/url takes the address of the listener for the host.
	for _, url := range []string{
		"postgres://u:p@" + l.Addr().String() + "/" + mark + "@db.invalid/x",
		"postgres://" + l.Addr().String() + "/" + mark + "@db.invalid/x",
		"postgres://" + l.Addr().String() + "?" + mark + "@db.invalid/x",
		"postgres://" + l.Addr().String() + "#" + mark + "@db.invalid/x",
		"postgres://u:" + mark + "@x@" + l.Addr().String() + "/x",
		"postgres://u:" + mark + "%@" + l.Addr().String() + "/x",
	} {
		for _, verb := range []string{
			"serve", "doctor", "migrate", "user list", "--production serve", "--log-level=debug serve",
		} {
			args := append([]string{serversSecret, "--database=" + url}, strings.Fields(verb)...)
			out, err := program(t, t.TempDir(), nil, args...).CombinedOutput()
			if err == nil || strings.Contains(string(out), mark) || strings.Contains(string(out), l.Addr().String()) ||
				!strings.Contains(string(out), "percent-encode") {
				t.Errorf("%s with %s: %v, %s", verb, url, err, out)
			}
		}
	}
	if len(connected) > 0 {
		t.Errorf("%d connections were made", len(connected))
	}
}
