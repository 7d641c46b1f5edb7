package graph_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/userfile"
)

var attacker = audit.Actor{IP: "192.0.2.1", UserAgent: "a test", RequestID: "its request"}

type entry struct {
	ID, Action, Outcome, IP, UserID, SessionID string
	Count                                      int
	ByAdministrator                            bool
}

type entries struct {
	Nodes    []entry
	PageInfo struct {
		HasNextPage, HasPreviousPage bool
		StartCursor, EndCursor       string
	}
	TotalCount int
}

func (e entries) actions() []string {
	var list []string
	for _, one := range e.Nodes {
		list = append(list, one.Action)
	}
	slices.Reverse(list)
	return list
}

const loginMutation = `mutation($email: String!, $password: String!) { login(input: {email: $email, password: $password}) { user { id } } }`

func auditLog(tb testing.TB, c *apptest.Client, arguments string) entries {
	tb.Helper()
	var out struct{ AuditLog entries }
	c.Do(tb, `{ auditLog`+arguments+` { nodes { id action outcome ip userId count } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount } }`, nil).
		Into(tb, &out)
	return out.AuditLog
}

func securityLog(tb testing.TB, c *apptest.Client, arguments string) entries {
	tb.Helper()
	var out struct{ Me struct{ SecurityLog entries } }
	c.Do(tb, `{ me { securityLog`+arguments+` { nodes { id action ip sessionId count byAdministrator } pageInfo { hasNextPage endCursor } totalCount } } }`, nil).
		Into(tb, &out)
	return out.Me.SecurityLog
}

func TestOwnersReadTheirSecurityLog(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		admin, c, stranger := srv.As(t, "ADMIN"), srv.As(t), srv.As(t)
		other := c.Login(t)
		other.Do(t, `mutation { logout { endedSessions } }`, nil).Into(t, &struct{}{})
		for range 3 {
			srv.Anonymous().Do(
				t, loginMutation, vars{"email": c.Email, "password": "wrong"},
			).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
		}
		admin.Do(t, setRoles, vars{"id": c.UserID, "roles": []string{"USER", "ADMIN"}}).Into(t, &struct{}{})
		c.Refresh(t)
		log := securityLog(t, c, "(first: 10)")
		want := []string{
			"USER_CREATED", "AUTHN_LOGIN_SUCCESS", "AUTHN_TOKEN_REVOKED", "AUTHN_LOGIN_FAIL", "PRIVILEGE_PERMISSIONS_CHANGED",
		}
		if diff := cmp.Diff(want, log.actions()); diff != "" || log.TotalCount != len(want) {
			t.Errorf("%d of %s", log.TotalCount, diff)
		}
		byAdmin, failed := log.Nodes[0], log.Nodes[1]
		if !byAdmin.ByAdministrator || byAdmin.IP != "" {
			t.Errorf("the user can see an administrator's address: %+v", byAdmin)
		}
		if failed.Count != 3 || failed.IP != "127.0.0.1" || failed.ByAdministrator {
			t.Errorf("failed sign-ins: %+v", failed)
		}
		admin.Do(t, revokeSessions, vars{"id": c.UserID}).Into(t, &struct{}{})
		c = c.Login(t)
		revoked := securityLog(t, c, "(first: 2)").Nodes[1]
		if byAdmin.SessionID != "" || revoked.Action != "AUTHN_TOKEN_REVOKED" || revoked.SessionID == "" {
			t.Errorf("want the user's own ended session, but not the administrator's: %+v %+v", byAdmin, revoked)
		}
		for _, other := range securityLog(t, stranger, "").Nodes {
			if other.Action != "USER_CREATED" {
				t.Errorf("another user's entry: %+v", other)
			}
		}
		stranger.Do(
			t, `query($id: ID!) { user(id: $id) { securityLog { totalCount } } }`, vars{"id": c.UserID},
		).Refused(t, "FORBIDDEN", "ROLE_REQUIRED")
	})
}

func TestAuditLogIsFilteredAndPaged(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		admin, c := srv.As(t, "ADMIN"), srv.As(t)
		c.Login(t)
		middle := time.Now().UTC().Format(time.RFC3339Nano)
		c.Login(t)
		srv.Anonymous().Do(
			t, loginMutation, vars{"email": "unknown@example.com", "password": "wrong"},
		).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
		for filter, want := range map[string][]string{
			`{}`: {
				"USER_CREATED", "PRIVILEGE_PERMISSIONS_CHANGED", "USER_CREATED", "AUTHN_LOGIN_SUCCESS", "AUTHN_LOGIN_SUCCESS",
				"AUTHN_LOGIN_FAIL",
			},
			`{userId: "` + string(c.UserID) + `"}`: {
				"USER_CREATED", "AUTHN_LOGIN_SUCCESS", "AUTHN_LOGIN_SUCCESS",
			},
			`{actorId: "` + string(c.UserID) + `"}`:                      {"AUTHN_LOGIN_SUCCESS", "AUTHN_LOGIN_SUCCESS"},
			`{action: USER_CREATED}`:                                     {"USER_CREATED", "USER_CREATED"},
			`{outcome: REFUSED}`:                                         {"AUTHN_LOGIN_FAIL"},
			`{action: AUTHN_LOGIN_SUCCESS, since: "` + middle + `"}`:     {"AUTHN_LOGIN_SUCCESS"},
			`{action: AUTHN_LOGIN_SUCCESS, until: "` + middle + `"}`:     {"AUTHN_LOGIN_SUCCESS"},
			`{until: "1970-01-01T00:00:00Z"}`:                            nil,
			`{userId: "` + string(c.UserID) + `", action: USER_DELETED}`: nil,
			`{userId: "` + string(c.UserID) + `", actorId: null, action: null, since: null}`: {
				"USER_CREATED", "AUTHN_LOGIN_SUCCESS", "AUTHN_LOGIN_SUCCESS",
			},
		} {
			log := auditLog(t, admin, `(filter: `+filter+`)`)
			if diff := cmp.Diff(want, log.actions()); diff != "" || log.TotalCount != len(want) {
				t.Errorf("%s: %d of %s", filter, log.TotalCount, diff)
			}
		}
		all := auditLog(t, admin, "")
		for direction, next := range map[string]func(e entries) (string, bool){
			"first: 2, after": func(e entries) (string, bool) { return e.PageInfo.EndCursor, e.PageInfo.HasNextPage },
			"last: 2, before": func(e entries) (string, bool) { return e.PageInfo.StartCursor, e.PageInfo.HasPreviousPage },
		} {
			var ids []string
			for cursor, more := "null", true; more; {
				page := auditLog(t, admin, "("+direction+": "+cursor+")")
				part := make([]string, len(page.Nodes))
				for i, one := range page.Nodes {
					part[i] = one.ID
				}
				if strings.HasPrefix(direction, "last") {
					ids = append(part, ids...)
				} else {
					ids = append(ids, part...)
				}
				cursor, more = next(page)
				cursor = `"` + cursor + `"`
			}
			var want []string
			for _, one := range all.Nodes {
				want = append(want, one.ID)
			}
			if diff := cmp.Diff(want, ids); diff != "" {
				t.Errorf("%s: %s", direction, diff)
			}
		}
		admin.Do(
			t, `{ auditLog(filter: {userId: "\u0000", actorId: "x"}) { totalCount } }`, nil,
		).Refused(t, "BAD_USER_INPUT", "MALFORMED")
	})
}

// Strangers cannot fill the log: for all their attempts, an account has few entries per hour.
func TestFailedSignInsFold(t *testing.T) {
	t.Parallel()
	storetest.URLs(t, func(t *testing.T, url string) {
		srv := apptest.Start(t, apptest.Database(url))
		admin, c := srv.As(t, "ADMIN"), srv.As(t)
		const n = 300
		for i := range n {
			from := audit.Actor{IP: fmt.Sprintf("198.51.100.%d", i%250), UserAgent: fmt.Sprint("attacker ", i)}
			for _, user := range []token.UserID{c.UserID, ""} {
				if err := srv.App.Audit.Failed(t.Context(), audit.Event{
					Action: audit.AuthnLoginFail,
					User:   user,
					By:     from,
				}); err != nil {
					t.Fatal(err)
				}
			}
		}
		total, ofUser := 0, 0
		log := auditLog(t, admin, `(first: 100, filter: {action: AUTHN_LOGIN_FAIL})`)
		for _, one := range log.Nodes {
			if total += one.Count; one.UserID != "" {
				ofUser++
			}
		}
		const hours = 2 // in case a new hour begins
		if total != 2*n || ofUser > 8*hours || len(log.Nodes) > 72*hours {
			t.Errorf("%d failures in %d entries, %d of them the user's", total, len(log.Nodes), ofUser)
		}
		srv.Advance(t, time.Hour)
		admin.Refresh(t)
		if err := srv.App.Audit.Failed(t.Context(), audit.Event{
			Action: audit.AuthnLoginFail,
			User:   c.UserID,
			By:     attacker,
		}); err != nil {
			t.Fatal(err)
		}
		if later := auditLog(t, admin, `(first: 100, filter: {action: AUTHN_LOGIN_FAIL})`); len(
			later.Nodes,
		) != len(
			log.Nodes,
		)+1 ||
			later.Nodes[0].Count != 1 {
			t.Errorf("the next hour has no entry of its own: %+v", later.Nodes[0])
		}
	})
}

func TestRefusedStepUpsAreRecorded(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	c := srv.As(t)
	for range 2 {
		c.Do(t, `mutation { reauthenticate(input: {password: "wrong"}) { user { id } } }`, nil)
	}
	log := securityLog(t, c, "(first: 1)")
	if got := log.Nodes[0]; got.Action != "AUTHN_REAUTHENTICATE_FAIL" || got.Count != 2 {
		t.Errorf("%+v", got)
	}
}

func TestAuditLogIsKeptAsLongAsTheSettingSays(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		admin := srv.As(t, "ADMIN")
		old := auditLog(t, admin, "").Nodes[1].ID
		age := srv.App.Config.AuditLife + time.Minute
		srv.Exec(t, "UPDATE audit_log SET at = at - $1 WHERE id = $2", age.Microseconds(), old)
		if err := srv.App.Audit.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		if left := auditLog(t, admin, ""); left.TotalCount != 1 || left.Nodes[0].ID == old {
			t.Errorf("left: %+v", left)
		}
	})
}

func TestRefusedArgumentsAreReported(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	answer := srv.As(t, "ADMIN").Do(t, `{ auditLog(first: 0, after: "x", filter: {userId: "y"}) { totalCount } }`, nil)
	answer.Refused(t, "BAD_USER_INPUT", "MALFORMED")
	var got []string
	for _, field := range answer.Errors[0].Extensions.Fields {
		got = append(got, field.Path+": "+field.Message)
	}
	want := []string{
		"filter.userId: filter.userId is not the id of a user", "first: first must be from 1 to 100",
		"after: after is not a cursor of this list",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]any{"auditLog"}, answer.Errors[0].Path); diff != "" {
		t.Errorf("the path is that of a field in the answer: %s", diff)
	}
}

// The log has the roles of an account that is created with roles.
func TestRolesOfNewAccountsAreRecorded(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	admin := srv.As(t, "ADMIN")
	added := addUser(t, srv, "added@example.com", "", "", "ADMIN")
	if _, _, err := srv.App.Accounts.Import(t.Context(), userfile.NewReader(strings.NewReader(`{"email": "imported@example.com", "roles": ["ADMIN"]}`), userfile.Options{}), apptest.Operator); err != nil {
		t.Fatal(err)
	}
	imported, err := srv.App.Accounts.Find(t.Context(), "imported@example.com")
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[token.UserID]string{
		added.ID: "ADMIN USER", imported.ID: "ADMIN USER", srv.As(t).UserID: "",
	} {
		var out struct {
			AuditLog struct {
				Nodes []struct{ Action, Detail string }
			}
		}
		admin.Do(
			t, `query($id: ID) { auditLog(filter: {userId: $id}) { nodes { action detail } } }`, vars{"id": id},
		).Into(t, &out)
		if diff := cmp.Diff([]struct{ Action, Detail string }{{"USER_CREATED", want}}, out.AuditLog.Nodes); diff != "" {
			t.Error(diff)
		}
	}
}
