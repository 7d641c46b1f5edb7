package account_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/store"
)

const grace = time.Hour

func withGrace(o *apptest.Options) { o.Config.DeleteGrace = grace }

// deleteOwn deletes the account of c and returns when that takes effect.
func deleteOwn(t *testing.T, c *apptest.Client) *time.Time {
	t.Helper()
	var out struct {
		DeleteAccount struct{ DeletesAt *time.Time }
	}
	c.Do(t, `mutation($in: DeleteAccountInput!) { deleteAccount(input: $in) { deletesAt } }`,
		in(input{"confirmEmail": c.Email})).Into(t, &out)
	return out.DeleteAccount.DeletesAt
}

func sweep(t *testing.T, srv *apptest.Server) {
	t.Helper()
	if err := srv.App.Accounts.DeleteDue(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func isStored(t *testing.T, srv *apptest.Server, c *apptest.Client) bool {
	t.Helper()
	return srv.Count(t, "SELECT count(*) FROM users WHERE id = $1", c.UserID) == 1
}

func TestADeletedAccountIsHiddenUntilItsEnd(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c, admin := srv.As(t, "SUPPORT"), srv.As(t, "ADMIN")
		other := c.Login(t)
		admin.Do(t, `query($id: ID!) { user(id: $id) { name } }`, input{"id": c.UserID}).Into(t, &struct{}{}) // cached
		at := deleteOwn(t, c)
		if left := time.Until(*at); left < grace-time.Minute || left > grace+time.Minute {
			t.Errorf("it will be deleted in %s, want %s", left, grace)
		}
		if n := srv.Count(t, "SELECT count(*) FROM mail WHERE kind = 'account-deletion' AND user_id = $1", c.UserID); n != 1 {
			t.Errorf("%d mails to the user", n)
		}
		for _, device := range []*apptest.Client{c, other} {
			device.Do(t, me, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_REVOKED")
			device.Redeem(t, device.RefreshToken).Refused(t, "UNAUTHENTICATED", "SESSION_REVOKED")
		}
		for _, document := range []string{
			`query($id: ID!) { user(id: $id) { name } }`,
			`mutation($id: ID!) { setRoles(input: {id: $id, roles: []}) { id } }`,
			`mutation($id: ID!) { disableUser(input: {id: $id}) { id } }`,
			`mutation($id: ID!) { enableUser(input: {id: $id}) { id } }`,
			`mutation($id: ID!) { revokeSessions(input: {userId: $id}) { endedSessions } }`,
		} {
			admin.Do(t, document, input{"id": c.UserID}).Refused(t, "NOT_FOUND", "USER_NOT_FOUND")
		}
		var found struct {
			All, Search, Role, Enabled struct {
				TotalCount int
				Nodes      []struct{ ID account.ID }
			}
			AuditLog struct {
				Nodes []struct{ User *struct{ ID account.ID } }
			}
		}
		admin.Do(t, `query($email: String!, $id: ID!) {
			All: users { totalCount nodes { id } }
			Search: users(search: $email) { totalCount nodes { id } }
			Role: users(role: USER, search: $email) { totalCount nodes { id } }
			Enabled: users(disabled: false) { totalCount nodes { id } }
			auditLog(filter: {userId: $id}) { nodes { user { id } } }
		}`, input{"email": c.Email, "id": c.UserID}).Into(t, &found)
		if found.All.TotalCount != 1 || len(found.All.Nodes) != 1 || found.Enabled.TotalCount != 1 ||
			len(found.Enabled.Nodes) != 1 || found.Search.TotalCount+len(found.Search.Nodes) != 0 ||
			found.Role.TotalCount+len(found.Role.Nodes) != 0 {
			t.Errorf("lists: %+v", found)
		}
		for _, entry := range found.AuditLog.Nodes {
			if entry.User != nil {
				t.Error("the audit log shows the account")
			}
		}
		tryRegister(t, srv, input{"email": c.Email, "password": password}).Refused(t, "CONFLICT", "EMAIL_TAKEN")
		sweep(t, srv)
		if !isStored(t, srv, c) {
			t.Fatal("the account was deleted before its time")
		}

		srv.ShiftDatabase(t, grace+time.Second)
		sweep(t, srv)
		if isStored(t, srv, c) || !isStored(t, srv, admin) {
			t.Error("the account was not deleted, or another one was")
		}
		actions := recorded(t, srv, c.UserID)
		if last := actions[len(actions)-1]; last != audit.UserDeleted ||
			!slices.Contains(actions, audit.UserDeletionScheduled) {
			t.Errorf("recorded %v", actions)
		}
		tryRegister(t, srv, input{"email": c.Email, "password": password}).Into(t, &struct{}{})
	}, withGrace)
}

func TestASignInKeepsADeletedAccount(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c, admin := srv.As(t, "SUPPORT"), srv.As(t, "ADMIN")
		deleteOwn(t, c)
		tryLogin(t, srv, input{"email": c.Email, "password": "wrong"}).Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
		c = c.Login(t)
		c.Do(t, me, nil).Into(t, &struct{}{})
		var found struct {
			User  struct{ Roles []string }
			Users struct{ TotalCount int }
		}
		admin.Do(t, `query($id: ID!, $email: String!) { user(id: $id) { roles } users(search: $email) { totalCount } }`,
			input{"id": c.UserID, "email": c.Email}).Into(t, &found)
		if found.Users.TotalCount != 1 {
			t.Error("no search finds the account")
		}
		if n := srv.Count(t, "SELECT count(*) FROM audit_log WHERE action = $1 AND user_id = $2 AND actor_id = $2",
			audit.UserDeletionCanceled, c.UserID); n != 1 {
			t.Errorf("%d entries of the cancellation", n)
		}
		srv.ShiftDatabase(t, grace+time.Second)
		sweep(t, srv)
		if !isStored(t, srv, c) {
			t.Error("the account was deleted nevertheless")
		}
	}, withGrace)
}

func TestADisabledAccountCannotCancelItsDeletion(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		deleteOwn(t, c)
		if _, err := srv.App.Accounts.SetDisabled(t.Context(), c.UserID, true, apptest.Operator); err != nil {
			t.Fatal(err)
		}
		tryLogin(t, srv, input{"email": c.Email, "password": apptest.Password}).
			Refused(t, "UNAUTHENTICATED", "INVALID_CREDENTIALS")
		if n := srv.Count(t, "SELECT count(*) FROM user_terms WHERE user_id = $1", c.UserID); n != 0 {
			t.Errorf("the account is in the index with %d terms", n)
		}
	}, withGrace)
}

func TestADeletedAdministratorDoesNotCount(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		first, second := srv.As(t, "ADMIN"), srv.As(t, "ADMIN")
		deleteOwn(t, first)
		second.Do(t, deleteAccount, in(input{"confirmEmail": second.Email})).Refused(t, "CONFLICT", "LAST_ADMIN")
		second.Do(t, `mutation($id: ID!) { setRoles(input: {id: $id, roles: []}) { id } }`,
			input{"id": second.UserID}).Refused(t, "CONFLICT", "LAST_ADMIN")
		srv.Update(t, "UPDATE users SET deletes_at = 1 WHERE id = $1", first.UserID)
		sweep(t, srv)
		if isStored(t, srv, first) {
			t.Error("the first administrator was not deleted")
		}
		second.Do(t, deleteAccount, in(input{"confirmEmail": second.Email})).Refused(t, "CONFLICT", "LAST_ADMIN")
	}, withGrace)
}

func TestAdministratorsDeleteAtOnce(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		admin, c, waiting := srv.As(t, "ADMIN"), srv.As(t), srv.As(t)
		deleteOwn(t, waiting)
		if n := srv.Count(t, "SELECT count(*) FROM mail WHERE user_id = $1", waiting.UserID); n == 0 {
			t.Error("no mail announced the deletion")
		}
		for _, one := range []*apptest.Client{c, waiting} {
			var out struct {
				DeleteUser struct{ DeletesAt *time.Time }
			}
			admin.Do(t, `mutation($id: ID!) { deleteUser(input: {id: $id}) { deletesAt } }`,
				input{"id": one.UserID}).Into(t, &out)
			if isStored(t, srv, one) || out.DeleteUser.DeletesAt != nil {
				t.Errorf("%+v", out)
			}
			if n := srv.Count(t, "SELECT count(*) FROM mail WHERE user_id = $1", one.UserID); n != 0 {
				t.Errorf("%d of the user's mails are left", n)
			}
		}
	}, withGrace)
}

func TestManyAccountsAreDeletedInSteps(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		kept := srv.As(t)
		const n = 250
		for i := range n {
			srv.Update(t, `INSERT INTO users (id, email, email_key, email_verified, name, roles, version, created_at,
				updated_at, deletes_at) VALUES ($1, $1, $1, FALSE, '', 'USER', 1, 1, 1, $2)`, uuidOf(i), store.Time(i+1))
		}
		sweep(t, srv)
		if left := srv.Count(t, "SELECT count(*) FROM users"); left != 1 || !isStored(t, srv, kept) {
			t.Errorf("%d accounts are left", left)
		}
		if got := srv.Count(t, "SELECT count(*) FROM audit_log WHERE action = $1", audit.UserDeleted); got != n {
			t.Errorf("%d entries in the audit log", got)
		}
	}, withGrace)
}

// The account either survives with a live session, or is deleted and the sign-in refused.
func TestASignInRacesTheDeletion(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		for range 10 {
			c := srv.As(t)
			deleteOwn(t, c)
			srv.Update(t, "UPDATE users SET deletes_at = 1 WHERE id = $1", c.UserID)
			var group sync.WaitGroup
			for range 2 {
				group.Go(func() {
					if err := srv.App.Accounts.DeleteDue(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			a := tryLogin(t, srv, input{"email": c.Email, "password": apptest.Password})
			group.Wait()
			if signedIn := len(a.Errors) == 0; signedIn != isStored(t, srv, c) {
				t.Errorf("stored %t: %s", isStored(t, srv, c), a.Body)
			}
			if deletions := srv.Count(t, "SELECT count(*) FROM audit_log WHERE action = $1 AND user_id = $2",
				audit.UserDeleted, c.UserID); deletions > 1 {
				t.Errorf("deleted %d times", deletions)
			}
		}
	}, withGrace)
}

func TestAnotherReplicaHidesADeletedAccount(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		replica := apptest.Start(t, apptest.Database(srv.App.Config.Database), withGrace)
		c := srv.As(t)
		if _, err := replica.App.Accounts.ByID(t.Context(), c.UserID); err != nil {
			t.Fatal(err)
		}
		deleteOwn(t, c)
		if err := replica.App.View.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := replica.App.Accounts.ByID(t.Context(), c.UserID); !fault.Is(err, fault.UserNotFound) {
			t.Errorf("after the deletion: %v", err)
		}
		c.Login(t)
		if _, err := replica.App.Accounts.ByID(t.Context(), c.UserID); err != nil {
			t.Errorf("after the sign-in: %v", err)
		}
	}, withGrace)
}

func uuidOf(i int) string { return fmt.Sprintf("00000000-0000-7000-8000-%012d", i) }
