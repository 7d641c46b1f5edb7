package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

// migrateVariable makes this test binary only migrate the database whose URL is its value.
const migrateVariable = "STORE_TEST_MIGRATE"

const applied = `SELECT count(*) FROM goose_db_version WHERE version_id > 0 AND is_applied`

func migrateOnly(url string) (code int) {
	ctx := context.Background()
	db, err := store.Open(ctx, store.Options{URL: url})
	if err == nil {
		err = errors.Join(db.Migrate(ctx), db.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func TestMigrationsAreStatementBlocks(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		if !strings.HasPrefix(text, "-- +goose Up\n-- +goose StatementBegin\n") ||
			!strings.HasSuffix(text, ";\n-- +goose StatementEnd\n") {
			t.Errorf("%s is not one statement block", file)
		}
	}
}

func TestMigrateIsIdempotent(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		before := count(t, db, applied)
		if err := db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if after := count(t, db, applied); before == 0 || after != before {
			t.Errorf("%d migrations, then %d", before, after)
		}
	})
}

func TestEightProcessesMigrateConcurrently(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		var group errgroup.Group
		for range 8 {
			group.Go(func() error {
				cmd := exec.CommandContext(t.Context(), os.Args[0])
				cmd.Env = append(os.Environ(), migrateVariable+"="+url)
				if out, err := cmd.CombinedOutput(); err != nil {
					return fmt.Errorf("%w: %s", err, out)
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		db := storetest.Open(t, url)
		distinct := `SELECT count(DISTINCT version_id) FROM goose_db_version WHERE version_id > 0 AND is_applied`
		if all, once := count(t, db, applied), count(t, db, distinct); all == 0 || all != once {
			t.Errorf("%d migrations applied, %d of them distinct", all, once)
		}
	})
}

func TestMigrateRestoresTheTimeLimits(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		if db.Dialect() != store.Postgres {
			return // SQLite has no such limits
		}
		db.Writer().SetMaxOpenConns(1) // use the connection that migrated
		var limit string
		if err := db.Get(t.Context(), &limit, "SELECT current_setting('statement_timeout')"); err != nil {
			t.Fatal(err)
		}
		if limit != "8s" {
			t.Errorf("statement_timeout is %s", limit)
		}
	})
}

// Both spellings of a domain give one key. If an address had two accounts, the verified one keeps the key, or else the
// older one. The other account keeps everything else.
func TestMigrateGivesInternationalAddressesOneKey(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		db, err := store.Open(t.Context(), store.Options{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.MigrateTo(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
		insert := func(id, key string, verified bool, created int) {
			t.Helper()
			run(t, db, fmt.Sprintf(`INSERT INTO users
				(id, email, email_key, email_verified, name, roles, version, created_at, updated_at)
				VALUES ('%s', '%s', '%s', %t, '', 'USER', 1, %d, 0)`, id, key, key, verified, created),
				fmt.Sprintf(`INSERT INTO user_terms (term, user_id) VALUES (':%s', '%s'), ('disabled:%s', '%s')`, key, id, key, id))
		}
		insert("alone", "joe@bücher.example", false, 1)
		insert("older", "kim@bücher.example", false, 2)
		insert("newer", "kim@xn--bcher-kva.example", false, 3)
		insert("unverified", "lee@bücher.example", false, 4)
		insert("verified", "lee@xn--bcher-kva.example", true, 5)
		insert("impossible", "kim@xn--bücher.example", true, 6)
		insert("ascii", "żółw@example.com", false, 7)
		if state, err := db.State(t.Context()); err != nil || state != store.Outdated {
			t.Errorf("state %d, %v", state, err)
		}
		if err := db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		for id, want := range map[string]string{
			"alone":      "joe@xn--bcher-kva.example",
			"older":      "kim@xn--bcher-kva.example",
			"newer":      "kim@xn--bcher-kva.example newer",
			"verified":   "lee@xn--bcher-kva.example",
			"unverified": "lee@xn--bcher-kva.example unverified",
			"impossible": "kim@xn--bücher.example",
			"ascii":      "żółw@example.com",
		} {
			var got string
			if err := db.Get(t.Context(), &got, "SELECT email_key FROM users WHERE id = $1", id); err != nil || got != want {
				t.Errorf("%s has the key %q, %v; want %q", id, got, err, want)
			}
		}
		var displaced []string
		err = db.Select(t.Context(), &displaced, "SELECT user_id || ': ' || detail FROM audit_log ORDER BY user_id")
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"newer: its address is also that of older, who keeps it for signing in",
			"unverified: its address is also that of verified, who keeps it for signing in"}
		if diff := cmp.Diff(want, displaced); diff != "" {
			t.Error(diff)
		}
		for _, term := range []string{
			":joe@bücher.example", ":joe@xn--bcher-kva.example", "disabled:joe@xn--bcher-kva.example", ":lee@bücher.example",
		} {
			query := "SELECT count(*) FROM user_terms WHERE term = $1 AND user_id IN ('alone', 'verified')"
			if n := count(t, db, query, term); n != 1 {
				t.Errorf("%d users are found by %s", n, term)
			}
		}
	})
}

func TestMigrateEndsWithItsContext(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		db, err := store.Open(t.Context(), store.Options{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := db.Migrate(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
}

func TestStateReportsWhetherMigrateIsNeeded(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		db, err := store.Open(t.Context(), store.Options{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		team := store.Migrations{Table: "team_migrations", Files: fstest.MapFS{}}
		state := func(when string, want store.State) {
			t.Helper()
			got, err := db.State(t.Context(), team)
			if err != nil || got != want {
				t.Errorf("%s: state %d, %v; want %d", when, got, err, want)
			}
		}
		migrate := func() {
			t.Helper()
			if err := db.Migrate(t.Context(), team); err != nil {
				t.Fatal(err)
			}
		}
		state("an empty database", store.Empty)
		var n int
		if err := db.Get(t.Context(), &n, "SELECT count(*) FROM goose_db_version"); err == nil {
			t.Error("State created a table")
		}
		migrate()
		state("migrated", store.Current)
		for version := range 2 {
			team.Files.(fstest.MapFS)[fmt.Sprintf("0000%d_more.sql", version+1)] = &fstest.MapFile{
				Data: fmt.Appendf(nil, "-- +goose Up\nCREATE TABLE more%d (id BIGINT);\n", version)}
			state("with a new migration", store.Outdated)
			migrate()
			state("after it has run", store.Current)
		}
	})
}

func TestNowReadsTheDatabaseClock(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T, db *store.DB) {
		before := store.TimeOf(time.Now())
		now, err := db.Now(t.Context())
		if after := store.TimeOf(time.Now()); err != nil || now < before || now > after {
			t.Errorf("%d is not from %d to %d, %v", now, before, after, err)
		}
	})
}
