package store_test

import (
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/graphwarden/graphwarden/internal/store"
)

// asRole creates a role that exists until the end of the test. It returns raw with that role as the user.
func asRole(t *testing.T, raw, grants string) (asRole, role string) {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := sql.Open("postgres", raw)
	if err != nil {
		t.Fatal(err)
	}
	schema := u.Query().Get("search_path")
	role = "r" + schema
	granted := strings.NewReplacer("SCHEMA", "SCHEMA "+schema, "ROLE", role).Replace(grants)
	if _, err := admin.ExecContext(t.Context(), "CREATE ROLE "+role+" LOGIN PASSWORD 'pw'; "+granted); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec("DROP OWNED BY " + role + "; DROP ROLE " + role); err != nil {
			t.Error(err)
		}
		_ = admin.Close()
	})
	u.User = url.UserPassword(role, "pw")
	return u.String(), role
}

func TestMigrateWithoutTheRightToCreateTablesNamesTheGrant(t *testing.T) {
	t.Parallel()
	onPostgresURL(t, func(t *testing.T, raw string) {
		limited, role := asRole(t, raw, "GRANT USAGE ON SCHEMA TO ROLE")
		db, err := store.Open(t.Context(), store.Options{URL: limited})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for name, err := range map[string]error{
			"Migrate":    db.Migrate(t.Context()),
			"MayMigrate": db.MayMigrate(t.Context()),
		} {
			text := fmt.Sprint(err)
			if !strings.Contains(text, "run GRANT CREATE ON SCHEMA ") || !strings.Contains(text, " TO "+role) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestOpenRejectsUnsuitablePostgres(t *testing.T) {
	t.Parallel()
	onPostgresURL(t, func(t *testing.T, raw string) {
		noUsage, _ := asRole(t, raw, "")
		noSchema, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		latin := *noSchema
		q := noSchema.Query()
		name := "d" + q.Get("search_path")
		q.Set("search_path", "no_such_schema")
		noSchema.RawQuery = q.Encode()
		q.Del("search_path")
		latin.Path, latin.RawQuery = "/"+name, q.Encode()
		admin, err := sql.Open("postgres", raw)
		if err != nil {
			t.Fatal(err)
		}
		create := "CREATE DATABASE " + name + " ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
		if _, err := admin.ExecContext(t.Context(), create); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if _, err := admin.Exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
				t.Error(err)
			}
			_ = admin.Close()
		})
		for url, says := range map[string]string{
			noSchema.String():          "run CREATE SCHEMA",
			noUsage:                    "run CREATE SCHEMA",
			latin.String():             "ENCODING 'UTF8'",
			raw + "&no_such_setting=1": "take that parameter out of --database",
		} {
			db, err := store.Open(t.Context(), store.Options{URL: url})
			if err == nil {
				_ = db.Close()
			}
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v, want %q", url, err, says)
			}
		}
	})
}

// PgBouncer rejects session settings in the startup message with this error.
func TestOpenRecognizesAPoolerThatRejectsSettings(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing := make(chan struct{})
	go func() {
		defer close(refusing)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := message(conn); err == nil {
				const text = "SFATAL\x00C08P01\x00Munsupported startup parameter: statement_timeout\x00\x00"
				_, _ = io.WriteString(conn, "E\x00\x00\x00"+string(rune(len(text)+4))+text)
			}
			_ = conn.Close()
		}
	}()
	defer func() {
		_ = l.Close()
		<-refusing
	}()
	_, err = store.Open(t.Context(), store.Options{URL: "postgres://u:hunter2@" + l.Addr().String() + "/x"})
	if err == nil || !strings.Contains(err.Error(), "set --database-pooler") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

func TestOpenErrorsDoNotContainUnknownParameters(t *testing.T) {
	t.Parallel()
	onPostgresURL(t, func(t *testing.T, raw string) {
		_, err := store.Open(t.Context(), store.Options{URL: raw + "&password=a&hunter2=b"})
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "percent-encode") {
			t.Errorf("got %v", err)
		}
	})
}
