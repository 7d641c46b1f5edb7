package account_test

import (
	"testing"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

const (
	register      = `mutation($in: RegisterInput!) { register(input: $in) { auth ` + apptest.AuthFields + ` } }`
	login         = `mutation($in: LoginInput!) { login(input: $in) ` + apptest.AuthFields + ` }`
	updateProfile = `mutation($in: UpdateProfileInput!) { updateProfile(input: $in) { username name } }`
	deleteAccount = `mutation($in: DeleteAccountInput!) { deleteAccount(input: $in) { id } }`
	me            = `{ me { id email username name roles disabled } }`
)

const password = "eleven trees"

type input = map[string]any

func in(fields input) input { return input{"in": fields} }

// recorded returns the actions in the audit log on a user, in order.
func recorded(t *testing.T, srv *apptest.Server, user account.ID) (actions []audit.Action) {
	t.Helper()
	const query = "SELECT action FROM audit_log WHERE user_id = $1 ORDER BY id"
	if err := srv.App.DB.Select(t.Context(), &actions, query, user); err != nil {
		t.Fatal(err)
	}
	return actions
}

// fields returns the problems of an answer's input fields, as path and reason.
func fields(a *apptest.Answer) (list []string) {
	for _, e := range a.Errors {
		for _, f := range e.Extensions.Fields {
			list = append(list, f.Path+" "+f.Reason)
		}
	}
	return list
}

func tryLogin(t *testing.T, srv *apptest.Server, fields input) *apptest.Answer {
	t.Helper()
	return srv.Anonymous().Do(t, login, in(fields))
}

func tryRegister(t *testing.T, srv *apptest.Server, fields input) *apptest.Answer {
	t.Helper()
	return srv.Anonymous().Do(t, register, in(fields))
}

func storedHash(t *testing.T, srv *apptest.Server, email string) (hash string) {
	t.Helper()
	err := srv.App.DB.Get(t.Context(), &hash, "SELECT password_hash FROM users WHERE email_key = $1", email)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}
