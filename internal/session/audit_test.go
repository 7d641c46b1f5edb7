package session_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/store"
)

func TestEndsAreAudited(t *testing.T) {
	type entry struct {
		Action, Outcome, Detail, IP string
		Actor                       string `db:"actor_id"`
		User                        string `db:"user_id"`
		Session                     string `db:"session_id"`
		Request                     string `db:"request_id"`
	}
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		c.Header.Set("X-Request-Id", "the-request")
		logout(t, c, "CURRENT", "")
		var got []entry
		err := srv.App.DB.Select(t.Context(), &got, `SELECT action, outcome, detail, ip, actor_id, user_id,
				session_id, request_id
			FROM audit_log WHERE session_id = $1 AND action = 'authn_token_revoked'`, c.SessionID)
		if err != nil {
			t.Fatal(err)
		}
		want := []entry{{Action: "authn_token_revoked", Outcome: "done", Detail: "logout", IP: "127.0.0.1",
			Actor: string(c.UserID), User: string(c.UserID), Session: string(c.SessionID), Request: "the-request"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestMutationsRollBackWithoutTheirAuditEntry(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		spent := c.RefreshToken
		c.Refresh(t)
		c.Refresh(t)
		hide(t, srv, "audit_log")
		for name, answer := range map[string]*apptest.Answer{
			"logout": tryLogout(t, c, "CURRENT", ""), "logout of all": tryLogout(t, c, "ALL", ""),
			"revocation": revoke(t, c, string(c.SessionID)), "reuse": srv.Anonymous().Redeem(t, spent),
		} {
			if len(answer.Errors) != 1 || answer.Errors[0].Extensions.Code != "INTERNAL_SERVER_ERROR" ||
				strings.Contains(string(answer.Body), "audit") {
				t.Errorf("%s: got %s", name, answer.Body)
			}
		}
		show(t, srv, "audit_log")
		wantAlive(t, srv, c.AccessToken, c.RefreshToken)
	})
}

func TestUserAgentCannotForgeAnEntry(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		c.Header.Set("User-Agent", "agent\u2028forged\u0085line\tand \u202eeverse"+strings.Repeat("x", 1000))
		auth(t, c.Redeem(t, c.RefreshToken))
		c.Header.Del("User-Agent")
		auth(t, c.Redeem(t, c.RefreshToken)) // from a different client, so it is audited
		logout(t, c, "CURRENT", "")
		var agents []string
		err := srv.App.DB.Select(t.Context(), &agents, `SELECT user_agent FROM audit_log WHERE session_id = $1
			UNION ALL SELECT user_agent FROM sessions WHERE id = $1`, c.SessionID)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, agent := range agents {
			found = found || strings.HasPrefix(agent, "agentforgedline")
			if strings.ContainsFunc(agent, func(r rune) bool { return !unicode.IsGraphic(r) }) || len(agent) > 256 {
				t.Errorf("the log contains %q", agent)
			}
		}
		if !found {
			t.Errorf("the log does not contain the user agent: %q", agents)
		}
	})
}

func TestPrune(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		spent := c.RefreshToken
		c.Refresh(t)
		c.Refresh(t)
		ended, idle := c.Login(t), c.Login(t)
		logout(t, ended, "CURRENT", "")
		srv.Exec(t, "UPDATE sessions SET expires_at = now_us() - 1 WHERE id = $1", idle.SessionID)
		const dead = store.PruneBatch*2 + 1
		srv.Exec(t, `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < $2)
			INSERT INTO sessions (id, user_id, salt, generation, seen_generation, auth_time, amr, created_at, rotated_at,
				last_seen_at, expires_at, ends_at, ip, user_agent)
			SELECT 'dead' || n, user_id, salt, 1, 0, auth_time, amr, created_at, rotated_at,
				last_seen_at, 1, 1, ip, user_agent FROM numbers, sessions WHERE id = $1`, c.SessionID, dead)
		srv.Exec(t, `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < $1)
			INSERT INTO revocations (id, session_id, stale, created_at, expires_at)
			SELECT 'dead' || n, 'dead' || n, FALSE, 1, 2 FROM numbers`, dead)
		if n := srv.Count(t, "SELECT count(*) FROM sessions"); n != dead+3 {
			t.Fatalf("%d sessions at the start", n)
		}
		if err := srv.App.Sessions.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := srv.Count(t, "SELECT count(*) FROM sessions"); n != 3 {
			t.Errorf("%d sessions left, want the live, the ended and the idle one", n)
		}
		if n := srv.Count(t, "SELECT count(*) FROM revocations"); n != 1 {
			t.Errorf("%d revocations left, want that of the ended session", n)
		}
		srv.Anonymous().Redeem(t, ended.RefreshToken).Refused(t, "UNAUTHENTICATED", "SESSION_REVOKED")
		srv.Anonymous().Redeem(t, idle.RefreshToken).Refused(t, "UNAUTHENTICATED", "SESSION_EXPIRED")
		srv.Anonymous().Redeem(t, spent).Refused(t, "UNAUTHENTICATED", "REFRESH_REUSED")
	})
}
