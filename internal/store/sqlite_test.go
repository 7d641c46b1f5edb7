package store_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

func openSQLite(t *testing.T) *store.DB {
	t.Helper()
	return storetest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db"))
}

// A setting that the driver did not know would be silently the default, and the default loses data.
func TestSQLiteSettingsAreInForce(t *testing.T) {
	t.Parallel()
	db := openSQLite(t)
	settings := map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000", "query_only": "0"}
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

func TestSQLiteFilesAreTheirOwnersOnly(t *testing.T) {
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
	for path, want := range map[string]os.FileMode{folder: 0o700, inside: 0o600, beside: 0o600, beside + "-wal": 0o600, beside + "-shm": 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
	}
}

func TestASecondServerOnOneSQLiteFileIsRefused(t *testing.T) {
	t.Parallel()
	first := openSQLite(t)
	release, err := first.Lock()
	if err != nil {
		t.Fatal(err)
	}
	second := storetest.Open(t, "sqlite:"+first.Path()) // as a command-line verb does beside a server
	run(t, second, createNumbers)
	if _, err := second.Lock(); err == nil || !strings.Contains(err.Error(), first.Path()) {
		t.Errorf("got %v, want a refusal that names the file", err)
	}
	release()
	releaseSecond, err := second.Lock()
	if err != nil {
		t.Fatalf("after the first server ended: %v", err)
	}
	releaseSecond()
}

func TestSQLiteHeldByAnotherWriterIsUnavailable(t *testing.T) {
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

func TestSQLiteThatIsNotADatabaseIsRefusedAtStart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notes.txt")
	text := strings.Repeat("Dear diary, ", 500)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + path})
	if err == nil {
		_ = db.Close()
		t.Error("it opened")
	}
	if got, err := os.ReadFile(path); err != nil || cmp.Diff(text, string(got)) != "" {
		t.Errorf("the file was changed (%v)", err)
	}
}

func TestSQLiteUnderAFileIsRefusedAtStart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantRefusedPath(t, filepath.Join(file, "test.db"))
	wantRefusedPath(t, filepath.Dir(file)) // a folder in the place of the file
}

func wantRefusedPath(t *testing.T, path string) {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + path})
	if err == nil {
		_ = db.Close()
		t.Fatal("it opened")
	}
	if !strings.Contains(err.Error(), "--database") {
		t.Errorf("got %q, want a sentence that says what to do", err)
	}
}
