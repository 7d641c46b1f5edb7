package account_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/store"
)

const exportAccount = `mutation { exportAccount { at document } }`

type exported struct {
	At       time.Time
	Document struct {
		Account                     struct{ ID, Email, Name string }
		Sessions, SecurityLog, Acts []struct{ ID, Action, IP, UserAgent, RevokedAt string }
		KnownAddresses              []time.Time
		Mails                       []struct{ Kind string }
		Application                 map[string]any
	}
}

func TestAnExportContainsWhatIsStoredAboutItsUser(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		admin, c, stranger := srv.As(t, "ADMIN"), srv.As(t), srv.As(t)
		admin.Header.Set("User-Agent", "of the administrator")
		left := c.Login(t)
		left.Do(t, `mutation { logout { endedSessions } }`, nil).Into(t, &struct{}{})
		c.Do(t, updateProfile, in(input{"name": "Ada"})).Into(t, &struct{}{})
		admin.Do(t, `mutation($id: ID!) { setRoles(input: {id: $id, roles: []}) { id } }`,
			input{"id": stranger.UserID}).Into(t, &struct{}{})
		srv.Update(t, `INSERT INTO mail (id, message_id, kind, sealed, challenge, user_id, locale, state, attempts, next_at,
			last_error, created_at, expires_at) VALUES ('1', '1', 'test', 'sealed text', '', $1, '', 'sent', 1, 0, '', 1, 2)`,
			c.UserID)
		a := c.Do(t, exportAccount, nil)
		var out struct{ ExportAccount exported }
		a.Into(t, &out)
		d := out.ExportAccount.Document
		if d.Account.ID != string(c.UserID) || d.Account.Email != c.Email || d.Account.Name != "Ada" {
			t.Errorf("account: %+v", d.Account)
		}
		if len(d.Sessions) != 2 || d.Sessions[0].RevokedAt == "" || d.Sessions[1].RevokedAt != "" {
			t.Errorf("sessions: %+v", d.Sessions)
		}
		if len(d.SecurityLog) < 4 || len(d.Acts) != 0 || len(d.KnownAddresses) != 1 || len(d.Mails) != 1 {
			t.Errorf("%s", a.Body)
		}
		for _, secret := range []string{"$2a$", "sealed text", "salt", string(stranger.UserID), stranger.Email} {
			if strings.Contains(string(a.Body), secret) {
				t.Errorf("the export contains %s", secret)
			}
		}
		if !slices.Contains(recorded(t, srv, c.UserID), audit.UserExported) {
			t.Error("the export was not recorded")
		}
	})
}

// Neither an administrator's device, nor on whom an administrator acted, belongs in an export of the other.
func TestAnExportRevealsNothingAboutOthers(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		admin, c := srv.As(t, "ADMIN"), srv.As(t)
		admin.Header.Set("User-Agent", "of the administrator")
		admin.Do(t, `mutation($id: ID!) { revokeSessions(input: {userId: $id}) { endedSessions } }`,
			input{"id": c.UserID}).Into(t, &struct{}{})
		c = c.Login(t)
		a := c.Do(t, exportAccount, nil)
		a.Into(t, &struct{}{})
		for _, other := range []string{"of the administrator", string(admin.UserID), string(admin.SessionID)} {
			if strings.Contains(string(a.Body), other) {
				t.Errorf("the user's export contains %q: %s", other, a.Body)
			}
		}
		b := admin.Do(t, exportAccount, nil)
		var out struct{ ExportAccount exported }
		b.Into(t, &out)
		acts := out.ExportAccount.Document.Acts
		if len(acts) == 0 || acts[0].UserAgent != "of the administrator" {
			t.Errorf("acts: %+v", acts)
		}
		if strings.Contains(string(b.Body), string(c.UserID)) || strings.Contains(string(b.Body), c.Email) {
			t.Errorf("the administrator's export names the other user: %s", b.Body)
		}
	})
}

func TestAnExportNeedsARecentProofAndIsLimited(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, func(o *apptest.Options) {
		o.Config.AccessLife, o.Config.Limits.OwnActsLimit.Burst = time.Hour, 2
	})
	c, old := srv.As(t), srv.As(t)
	srv.Anonymous().Do(t, exportAccount, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_MISSING")
	for range 2 {
		c.Do(t, exportAccount, nil).Into(t, &struct{}{})
	}
	c.Do(t, exportAccount, nil).Refused(t, "RATE_LIMITED", "TOO_MANY_ATTEMPTS")
	srv.Advance(t, 301*time.Second)
	old.Do(t, exportAccount, nil).Refused(t, "FORBIDDEN", "STEP_UP_REQUIRED")
}

func TestAnExportIsBounded(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		const many, most = 10_200, 10_000
		srv.Update(t, `INSERT INTO audit_log (id, at, last_at, count, action, outcome, actor_id, user_id, session_id, ip,
				user_agent, request_id, detail)
			WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $2)
			SELECT 'entry ' || i, i, i, 1, 'user_updated', 'done', $1, $1, '', '', '', '', '' FROM n`, c.UserID, many)
		var out struct{ ExportAccount exported }
		c.Do(t, exportAccount, nil).Into(t, &out)
		log := out.ExportAccount.Document.SecurityLog
		if len(log) != most || log[most-1].ID == "entry 1" {
			t.Errorf("%d entries", len(log))
		}
	})
}

// A team's tables are read in the same transaction, at the same moment, although another one commits in between.
func TestAnExportShowsOneMoment(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		if srv.App.DB.Dialect() == store.SQLite {
			return // no other transaction can commit in between
		}
		c := srv.As(t)
		further := func(tx *store.Tx, id account.ID) (map[string]any, error) {
			srv.Exec(t, "INSERT INTO known_addresses (key, user_id, seen_at) SELECT 'other', id, 1 FROM users WHERE id <> ''")
			var n int
			err := tx.Get(&n, "SELECT count(*) FROM known_addresses WHERE user_id = $1", id)
			return map[string]any{"addresses": n}, err
		}
		e, err := srv.App.Accounts.Export(t.Context(), c.UserID, further, apptest.Operator)
		if err != nil {
			t.Fatal(err)
		}
		if n := e.Document["application"].(map[string]any)["addresses"]; n != 1 {
			t.Errorf("%v addresses, want the one from before", n)
		}
	})
}

func TestConcurrentExportsSucceed(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				answer, err := c.Call(t.Context(), exportAccount, nil)
				if err != nil || len(answer.Errors) > 0 {
					t.Errorf("%v %+v", err, answer)
				}
			})
		}
		group.Wait()
	})
}
