package graph_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

// written is what an act on accounts writes.
type written struct {
	Updated     int64 `db:"updated"`
	Entries     int64 `db:"entries"`
	Events      int64 `db:"events"`
	Revocations int64 `db:"revocations"`
	Attempts    int64 `db:"attempts"`
}

func writtenTo(tb testing.TB, srv *apptest.Server) (w written) {
	tb.Helper()
	err := srv.App.DB.Get(tb.Context(), &w, `SELECT (SELECT sum(updated_at - created_at + version) FROM users) AS updated,
		(SELECT count(*) FROM audit_log) AS entries, (SELECT sum(count) FROM audit_log) AS events,
		(SELECT count(*) FROM revocations) AS revocations,
		(SELECT CAST(COALESCE(sum(empty), 0) AS BIGINT) FROM throttle) AS attempts`)
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

func TestUnchangedDataIsNotWritten(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		admin, c, disabled := srv.As(t, "ADMIN"), srv.As(t), srv.As(t)
		other := c.Login(t)
		other.Do(t, `mutation { logout { endedSessions } }`, nil).Into(t, &struct{}{})
		c.Do(t, `mutation { updateProfile(input: {username: "jane", name: "Jane"}) { id } }`, nil).Into(t, &struct{}{})
		admin.Do(
			t, `mutation($id: ID!) { disableUser(input: {id: $id}) { id } }`, vars{"id": disabled.UserID},
		).Into(t, &struct{}{})
		before := writtenTo(t, srv)
		for _, one := range []struct {
			as       *apptest.Client
			mutation string
			id       any
			reason   string
		}{
			{as: c, mutation: `updateProfile(input: {}) { id }`},
			{as: c, mutation: `updateProfile(input: {username: "jane"}) { id }`},
			{as: c, mutation: `updateProfile(input: {username: "jane", name: "Jane"}) { id }`},
			{as: c, mutation: `updateProfile(input: {username: null, name: null}) { id }`},
			{as: admin, mutation: `updateProfile(input: {username: "", name: ""}) { id }`},
			{as: c, mutation: `logout(input: {scope: OTHERS}) { endedSessions }`},
			{as: c, mutation: `revokeSession(input: {id: $id}) { id }`, id: other.SessionID, reason: "SESSION_NOT_FOUND"},
			{as: admin, mutation: `setRoles(input: {id: $id, roles: [USER]}) { id }`, id: c.UserID},
			{as: admin, mutation: `setRoles(input: {id: $id, roles: [ADMIN]}) { id }`, id: admin.UserID},
			{as: admin, mutation: `disableUser(input: {id: $id}) { id }`, id: disabled.UserID},
			{as: admin, mutation: `enableUser(input: {id: $id}) { id }`, id: c.UserID},
		} {
			document, variables := "mutation { "+one.mutation+" }", vars{}
			if one.id != nil {
				document, variables["id"] = "mutation($id: ID!) { "+one.mutation+" }", one.id
			}
			answer := one.as.Do(t, document, variables)
			if one.reason == "" {
				answer.Into(t, &struct{}{})
			} else {
				answer.Refused(t, "NOT_FOUND", one.reason)
			}
			if diff := cmp.Diff(before, writtenTo(t, srv)); diff != "" {
				t.Errorf("%s wrote (-before +after):\n%s", one.mutation, diff)
			}
		}
	})
}

// The log grows slowly, however often users change their own account, and each kind of change has its own limit.
func TestOwnActsAreThrottledAndFolded(t *testing.T) {
	t.Parallel()
	const limit, acts = 5, 12
	storetest.URLs(t, func(t *testing.T, url string) {
		limits := wide(t)
		limits.OwnActsLimit.Burst = limit
		srv := apptest.Start(t, apptest.Database(url), limited(limits))
		c, other := srv.As(t), srv.As(t)
		var aliased strings.Builder
		for i := range acts {
			fmt.Fprintf(&aliased, "a%d: updateProfile(input: {name: \"name %d\"}) { id } ", i, i)
		}
		answer := c.Do(t, "mutation { "+aliased.String()+" }", nil)
		if len(answer.Errors) != acts-limit {
			t.Errorf("%d of %d were refused, want %d", len(answer.Errors), acts, acts-limit)
		}
		for _, one := range answer.Errors {
			if one.Extensions.Code != "RATE_LIMITED" || one.Extensions.RetryAfter < 1 || one.Extensions.RetryAfter > 3600/limit {
				t.Fatalf("got %+v", one)
			}
		}
		other.Do(t, `mutation { updateProfile(input: {username: "taken"}) { id } }`, nil).Into(t, &struct{}{})
		prober := srv.As(t)
		for range limit {
			prober.Do(
				t, `mutation { updateProfile(input: {username: "taken"}) { id } }`, nil,
			).Refused(t, "CONFLICT", "USERNAME_TAKEN")
		}
		prober.Do(
			t, `mutation { updateProfile(input: {username: "taken"}) { id } }`, nil,
		).Refused(t, "RATE_LIMITED", "TOO_MANY_ATTEMPTS")

		const reauthenticate = `mutation($password: String!) { reauthenticate(input: {password: $password}) ` + apptest.AuthFields + ` }`
		for range limit {
			var out struct{ Reauthenticate apptest.Auth }
			c.Do(t, reauthenticate, vars{"password": apptest.Password}).Into(t, &out)
			c.Take(out.Reauthenticate)
		}
		c.Do(t, reauthenticate, vars{"password": apptest.Password}).Refused(t, "RATE_LIMITED", "TOO_MANY_ATTEMPTS")
		c.Do(t, `mutation($password: String!) { changePassword(input: {currentPassword: $password, newPassword: "another unlikely passphrase"}) { tokenType } }`,
			vars{"password": apptest.Password}).
			Into(t, &struct{}{})

		admin := srv.As(t, "ADMIN")
		for _, action := range []string{"USER_UPDATED", "AUTHN_REAUTHENTICATED"} {
			const minutes = 3 // in case a new minute begins
			own := 0
			log := auditLog(t, admin, `(first: 100, filter: {action: `+action+`})`)
			for _, one := range log.Nodes {
				own += one.Count
			}
			want := limit
			if action == "USER_UPDATED" {
				want++ // the other user's act
			}
			if own != want || len(log.Nodes) > minutes+1 {
				t.Errorf("%d acts in %d entries, want %d in a few", own, len(log.Nodes), want)
			}
		}
	})
}
