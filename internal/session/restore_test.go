package session_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"modernc.org/sqlite"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

// backUp copies a server's database. restore copies it back while the server runs.
func backUp(tb testing.TB, srv *apptest.Server) (restore func()) {
	tb.Helper()
	if srv.App.DB.Dialect() == store.Postgres {
		return backUpRows(tb, srv)
	}
	file := filepath.Join(tb.TempDir(), "backup.db")
	beside, err := sql.Open("sqlite", "file:"+srv.App.DB.Path()+"?_busy_timeout=5000")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = beside.Close() })
	if _, err := beside.ExecContext(tb.Context(), "VACUUM INTO $1", file); err != nil {
		tb.Fatal(err)
	}
	return func() {
		tb.Helper()
		conn, err := beside.Conn(tb.Context())
		if err != nil {
			tb.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		webtest.Eventually(tb, "no other connection blocks the copy", func() bool {
			return conn.Raw(func(driver any) error {
				copying, err := driver.(interface {
					NewRestore(string) (*sqlite.Backup, error)
				}).NewRestore(file)
				if err != nil {
					return err
				}
				_, err = copying.Step(-1)
				if finished := copying.Finish(); err == nil {
					err = finished
				}
				return err
			}) == nil
		})
	}
}

// backUpRows copies the tables one by one, users before the tables that refer to it.
func backUpRows(tb testing.TB, srv *apptest.Server) (restore func()) {
	tb.Helper()
	tables := []string{"users", "sessions", "revocations", "user_terms", "known_addresses", "throttle", "audit_log"}
	for _, table := range tables {
		srv.Exec(tb, "CREATE TABLE saved_"+table+" AS TABLE "+table)
	}
	return func() {
		tb.Helper()
		inTx(tb, srv, func(tx *store.Tx) error {
			for _, table := range tables {
				if _, err := tx.Exec("TRUNCATE " + table + " CASCADE"); err != nil {
					return err
				}
			}
			for _, table := range tables {
				if _, err := tx.Exec("INSERT INTO " + table + " SELECT * FROM saved_" + table); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// version returns a user's authorization version.
func version(tb testing.TB, srv *apptest.Server, id token.UserID) int64 {
	tb.Helper()
	return int64(srv.Count(tb, "SELECT version FROM users WHERE id = $1", id))
}

// renew gives c a token of a higher version, as a change of roles does.
func renew(tb testing.TB, srv *apptest.Server, c *apptest.Client) {
	tb.Helper()
	inTx(tb, srv, func(tx *store.Tx) error { return srv.App.Sessions.MarkStale(tx, c.UserID) })
	c.Refresh(tb)
}

// A token issued after the backup carries a version that the restored database does not know. A later revocation must
// have a higher version, even if another process makes it that has never seen the token.
func TestRevocationsAfterARestoreReachTokensFromBefore(t *testing.T) {
	onTwo(t, func(t *testing.T, srv, other *apptest.Server) {
		root := verified(t, srv, srv.As(t, "ADMIN"))
		ends := map[string]struct {
			end    func(t *testing.T, c *apptest.Client) error
			reason string
		}{
			"disabling": {func(t *testing.T, c *apptest.Client) error {
				_, err := other.App.Accounts.SetDisabled(t.Context(), c.UserID, true, apptest.Operator)
				return err
			}, "TOKEN_REVOKED"},
			"end of all sessions": {func(t *testing.T, c *apptest.Client) error {
				_, err := other.App.Accounts.RevokeSessions(t.Context(), c.UserID, audit.Actor{Claims: root})
				return err
			}, "TOKEN_REVOKED"},
			"deletion": {func(t *testing.T, c *apptest.Client) error {
				return other.App.Accounts.Remove(t.Context(), c.UserID, audit.Actor{Claims: root})
			}, "TOKEN_REVOKED"},
			"change of roles": {func(t *testing.T, c *apptest.Client) error {
				_, err := other.App.Accounts.ChangeRoles(t.Context(), c.UserID, nil, []token.Role{"ADMIN"}, apptest.Operator)
				return err
			}, "TOKEN_STALE"},
		}
		var clients []*apptest.Client
		for range ends {
			clients = append(clients, srv.As(t, "ADMIN"))
		}
		restore := backUp(t, srv)
		for _, c := range clients {
			for range 3 {
				renew(t, srv, c)
			}
		}
		restore()
		for name, one := range ends {
			c := clients[0]
			clients = clients[1:]
			c.Do(t, meQuery, nil).Into(t, &struct{}{})
			if err := one.end(t, c); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			poll(t, srv.App.View)
			c.Do(t, meQuery, nil).Refused(t, "UNAUTHENTICATED", one.reason)
			const enable = `mutation($id: ID!) { enableUser(input: {id: $id}) { id } }`
			c.Do(t, enable, map[string]any{"id": c.UserID}).Refused(t, "UNAUTHENTICATED", one.reason)
		}
	})
}

// The clock of the database went back together with its rows. Either this machine's clock did not, or this replica
// knows the version of the token.
func TestVersionsRiseAfterTheClockWentBack(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		restore := backUp(t, srv)
		renew(t, srv, c)
		lost := version(t, srv, c.UserID)
		restore()
		srv.ShiftDatabase(t, -2*time.Hour)
		inTx(t, srv, func(tx *store.Tx) error {
			_, err := srv.App.Sessions.EndAll(tx, c.UserID, "")
			return err
		})
		if raised := version(t, srv, c.UserID); raised <= lost {
			t.Errorf("raised to %d, but tokens of %d exist", raised, lost)
		}
		for range 2 {
			before := version(t, srv, c.UserID)
			inTx(t, srv, func(tx *store.Tx) error { return srv.App.Sessions.MarkStale(tx, c.UserID) })
			if after := version(t, srv, c.UserID); after <= before {
				t.Errorf("raised from %d to %d", before, after)
			}
		}
	})
}

// A running replica remembers revocations that were made after the backup. It refuses the tokens, repeats the
// revocations in the database, and raises later versions above those it knows.
func TestARunningReplicaRepeatsRevocationsLostByARestore(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		ended, everywhere, changed, disabled := srv.As(t), srv.As(t), srv.As(t), srv.As(t)
		restore := backUp(t, srv)
		logout(t, ended, "CURRENT", "")
		logout(t, everywhere, "ALL", "")
		if _, err := srv.App.Accounts.SetDisabled(t.Context(), disabled.UserID, true, apptest.Operator); err != nil {
			t.Fatal(err)
		}
		promote(t, srv, changed.UserID)
		restore()
		lost := map[string]*apptest.Client{"logout": ended, "logout of all": everywhere, "disabling": disabled}
		for name, c := range lost {
			t.Run(name, func(t *testing.T) {
				wantDead(t, srv, c.AccessToken, c.RefreshToken)
				if !stateOf(t, srv, c.SessionID).IsRevoked {
					t.Error("the database does not have the revocation")
				}
				if n := audited(t, srv, "authn_token_revoked", c.SessionID); n != 1 {
					t.Errorf("audited %d times, want once", n)
				}
				again := c.Login(t)
				wantAlive(t, srv, again.AccessToken, again.RefreshToken)
			})
		}
		t.Run("change of roles", func(t *testing.T) {
			changed.Do(t, meQuery, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_STALE")
			changed.Refresh(t)
			changed.Do(t, meQuery, nil).Into(t, &struct{}{})
			again := changed.Login(t)
			wantAlive(t, srv, again.AccessToken, again.RefreshToken)
		})
	})
}
