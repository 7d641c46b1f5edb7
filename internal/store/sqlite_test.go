package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

func openSQLite(t *testing.T) *store.DB {
	t.Helper()
	return storetest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db"))
}

// SQLite ignores unknown settings silently, and its defaults would lose data.
func TestSQLiteSettingsTakeEffect(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	settings := map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000", "query_only": "0",
	}
	for name, want := range settings {
		var got string
		if err := db.Writer().Get(&got, "PRAGMA "+name); err != nil || got != want {
			t.Errorf("writer: %s is %q, %v; want %q", name, got, err, want)
		}
	}
	settings["query_only"] = "1"
	for name, want := range settings {
		var got string
		if err := db.Reader().Get(&got, "PRAGMA "+name); err != nil || got != want {
			t.Errorf("reader: %s is %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestSQLiteReadsCannotWrite(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	run(t, db, createNumbers)
	var n []int
	if err := db.Select(t.Context(), &n, `INSERT INTO numbers VALUES ($1) RETURNING n`, 1); err == nil {
		t.Error("a read inserted a row")
	}
	if n := count(t, db, countNumbers); n != 0 {
		t.Errorf("%d rows", n)
	}
}

func TestSQLitePathsWithSpecialCharacters(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b", "50%?mode=ro#ü.db")
	storetest.Open(t, "sqlite:"+path)
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestSQLiteFilesArePrivateToTheirOwner(t *testing.T) {
	t.Parallel()
	open := t.TempDir()
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(open, "data")
	inside, beside := filepath.Join(folder, "test.db"), filepath.Join(open, "test.db")
	for _, path := range []string{inside, beside} {
		run(t, storetest.Open(t, "sqlite:"+path), createNumbers)
	}
	for path, want := range map[string]os.FileMode{
		folder: 0o700, inside: 0o600, beside: 0o600, beside + "-wal": 0o600, beside + "-shm": 0o600,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
	}
}

// serverOn opens the database at path like a server.
func serverOn(t *testing.T, path string) (*store.DB, error) {
	t.Helper()
	return store.Open(t.Context(), store.Options{URL: "sqlite:" + path, Exclusive: true})
}

func TestASecondServerOnAnSQLiteFileIsRejected(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	first, err := serverOn(t, path)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	run(t, storetest.Open(t, "sqlite:"+path), createNumbers) // like a command beside a server
	if _, err := serverOn(t, path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want an error that names the file", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := serverOn(t, path)
	if err != nil {
		t.Fatalf("after the first server ended: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

// All names lead to the file that the first server has open. The first server opens it by a dangling link.
func TestASecondSQLiteServerIsRejectedUnderEveryNameOfTheFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "data", "test.db")
	link := func(make func(string, string) error, target, name string) string {
		t.Helper()
		name = filepath.Join(folder, name)
		if err := make(target, name); err != nil {
			t.Fatal(err)
		}
		return name
	}
	dangling := link(os.Symlink, "data/test.db", "dangling.db")
	first, err := serverOn(t, dangling)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("through a link to a file that did not exist: %v, %v", info, err)
	}
	names := map[string]string{
		"the same path":            path,
		"a path with dots":         filepath.Join(folder, "data") + "/../data/./test.db",
		"a symbolic link":          link(os.Symlink, path, "link.db"),
		"a link to the link":       link(os.Symlink, "link.db", "second.db"),
		"a symbolic link's folder": filepath.Join(link(os.Symlink, "data", "elsewhere"), "test.db"),
		"a URL":                    "//" + path,
		"a hard link":              link(os.Link, path, "hard.db"),
	}
	working, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if names["a relative path"], err = filepath.Rel(working, path); err != nil {
		t.Fatal(err)
	}
	for name, path := range names {
		if second, err := serverOn(t, path); err == nil {
			_ = second.Close()
			t.Errorf("%s: a second server opened it", name)
		}
	}
}

func TestMigrateRefusesToChangeARunningSQLiteServer(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	first, err := serverOn(t, path)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	later := store.Migrations{Table: "team_migrations", Files: fstest.MapFS{
		"00001_later.sql": &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE later (id BIGINT);\n")}}}
	other := storetest.Open(t, "sqlite:"+path)
	err = other.Migrate(t.Context(), later)
	if err == nil || !strings.Contains(err.Error(), "another server is running") {
		t.Errorf("beside a server: %v", err)
	}
	if state, err := other.State(t.Context(), later); err != nil || state != store.Outdated {
		t.Errorf("state %d, %v", state, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := other.Migrate(t.Context(), later); err != nil {
		t.Errorf("without a server: %v", err)
	}
}

func TestReadOnlySQLiteRejectsWrites(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data", "test.db")
	readOnly := store.Options{URL: "sqlite:" + path, ReadOnly: true}
	if _, err := store.Open(t.Context(), readOnly); err == nil || !strings.Contains(err.Error(), "graphwarden migrate") {
		t.Errorf("without a file: %v", err)
	}
	if _, err := os.Stat(filepath.Dir(path)); !os.IsNotExist(err) {
		t.Errorf("a folder was created: %v", err)
	}
	run(t, storetest.Open(t, "sqlite:"+path), createNumbers)
	db, err := store.Open(t.Context(), readOnly)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if n := count(t, db, countNumbers); n != 0 {
		t.Errorf("%d rows", n)
	}
	if err := db.Tx(t.Context(), func(tx *store.Tx) error { return insert(tx, 1) }); err == nil {
		t.Error("the write succeeded")
	}
}

func TestSQLiteLockedByAnotherWriterIsUnavailable(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	run(t, db, createNumbers)
	other := storetest.Open(t, "sqlite:"+db.Path())
	err := other.Tx(t.Context(), func(tx *store.Tx) error { // holds the write lock until this function returns
		if err := insert(tx, 1); err != nil {
			return err
		}
		wantUnavailable(t, db.Tx(t.Context(), func(tx *store.Tx) error { return insert(tx, 2) }))
		if n := count(t, db, countNumbers); n != 0 {
			t.Errorf("a reader sees %d uncommitted rows", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, db, `INSERT INTO numbers VALUES (3)`)
	if n := count(t, db, countNumbers); n != 2 {
		t.Errorf("%d rows, want the other writer's and the later one", n)
	}
}

func TestOpenRejectsFilesThatAreNotDatabases(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notes.txt")
	text := strings.Repeat("Dear diary, ", 500)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + path})
	if err == nil {
		_ = db.Close()
		t.Error("Open succeeded")
	}
	if got, err := os.ReadFile(path); err != nil || cmp.Diff(text, string(got)) != "" {
		t.Errorf("the file was changed (%v)", err)
	}
}

func TestOpenRejectsSQLitePathsThatAreNotFiles(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantRefusedPath(t, filepath.Join(file, "test.db"))
	wantRefusedPath(t, filepath.Dir(file)) // a folder
}

func wantRefusedPath(t *testing.T, path string) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + path})
	if err == nil {
		_ = db.Close()
		t.Fatal("Open succeeded")
	}
	if !strings.Contains(err.Error(), "--database") {
		t.Errorf("got %q, want an error that names --database", err)
	}
}

// SQLite answers SQLITE_BUSY at once, without the busy timeout, to all but one of the connections that put a new file
// into WAL mode at the same time.
func TestProcessesOpenANewFileConcurrently(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	var group errgroup.Group
	for i := range 400 {
		group.Go(func() error {
			url := fmt.Sprintf("sqlite:%s/%d.db", folder, i/8)
			db, err := store.Open(t.Context(), store.Options{URL: url})
			if err != nil {
				return err
			}
			return db.Close()
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenWaitsForAMigration(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "test.db")
	migration := flock.New(file + ".migrate.lock")
	if err := migration.Lock(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for _, exclusive := range []bool{false, true} {
		_, err := store.Open(ctx, store.Options{URL: "sqlite:" + file, Exclusive: exclusive})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("exclusive %t: opened during a migration: %v", exclusive, err)
		}
	}
	if err := migration.Unlock(); err != nil {
		t.Fatal(err)
	}
	storetest.Open(t, "sqlite:"+file)
}
