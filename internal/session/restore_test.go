package session_test

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"modernc.org/sqlite"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

// backUp copies a server's database and returns what brings the copy back while the server runs.
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
		webtest.Eventually(tb, "no other connection is in the way of the copy", func() bool {
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

// backUpRows does it table by table, users before what refers to them.
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

// version is a user's authorization version.
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

// A token issued after the backup carries a version that the restored database knows nothing of. What is revoked
// from then on is above it all the same, also where another process revokes that has never seen the token.
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
			c.Do(t, `mutation($id: ID!) { enableUser(input: {id: $id}) { id } }`, map[string]any{"id": c.UserID}).Refused(t, "UNAUTHENTICATED", one.reason)
		}
	})
}

// The clock of the database went back together with its rows; this machine's did not, or the token's version is
// known here.
func TestVersionsRiseWhereTheClockWentBackToo(t *testing.T) {
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
			t.Errorf("raised to %d, and tokens of %d are out there", raised, lost)
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

// What was revoked after the backup, a running replica still knows. It refuses what it knows to be revoked, tells
// the database, and otherwise goes on with versions above what it knows.
func TestARunningReplicaKnowsWhatARestoredDatabaseForgot(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		ended, everywhere, changed, disabled := srv.As(t), srv.As(t), srv.As(t), srv.As(t)
		restore := backUp(t, srv)
		logout(t, ended, "CURRENT", "")
		logout(t, everywhere, "ALL", "")
		if _, err := srv.App.Accounts.SetDisabled(t.Context(), disabled.UserID, true, apptest.Operator); err != nil {
			t.Fatal(err)
		}
		if _, err := srv.App.Accounts.ChangeRoles(t.Context(), changed.UserID, []token.Role{account.RoleAdmin}, nil, apptest.Operator); err != nil {
			t.Fatal(err)
		}
		restore()
		for name, c := range map[string]*apptest.Client{"logout": ended, "logout of all": everywhere, "disabling": disabled} {
			t.Run(name, func(t *testing.T) {
				wantDead(t, srv, c.AccessToken, c.RefreshToken)
				if !stateOf(t, srv, c.SessionID).IsRevoked {
					t.Error("the database was not told")
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
