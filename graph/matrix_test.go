package graph_test

import (
	"strings"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/graph"
	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/guard/matrixtest"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/schema"
)

// Every field of the schema is requested by every kind of caller, including the fields of a team's own types.
func TestAuthorizationMatrix(t *testing.T) {
	t.Parallel()
	m := matrixtest.New(t, schema.Text(), &graph.Resolver{})
	srv := apptest.Start(t, func(o *apptest.Options) { o.Extensions = append(o.Extensions, m) })
	owner := register(t, srv, "owner")
	m.Run(t, matrixtest.Server{
		URL:     srv.URL + "/graphql",
		Now:     srv.Now,
		Issue:   func(c token.Claims) string { return issue(t, srv, c, srv.Now()) },
		Refused: refused(t, srv, *owner.Principal()),
		SignIns: []any{owner, register(t, srv, "other")},
	})
}

// register calls the service, because the matrix replaces the mutation.
func register(t *testing.T, srv *apptest.Server, name string) *session.Grant {
	t.Helper()
	in := account.Registration{Email: name + "@example.com", Password: apptest.Password}
	grant, err := srv.App.SignIn.Register(t.Context(), in, audit.Actor{})
	if err != nil {
		t.Fatal(err)
	}
	return grant
}

// issue signs tokens for c at a given time.
func issue(t *testing.T, srv *apptest.Server, c token.Claims, at time.Time) string {
	t.Helper()
	o := srv.App.Config
	raw, _, err := token.NewIssuer(
		srv.App.Keys, o.Issuer, o.Audience, o.AccessLife, func() time.Time { return at },
	).Issue(c, at.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// refused returns a token for each reason of refusal, all of the owner or of a user with every role.
func refused(t *testing.T, srv *apptest.Server, owner token.Claims) map[string]string {
	t.Helper()
	owner.Roles = []token.Role{account.RoleUser, account.RoleAdmin}
	left, demoted := register(t, srv, "left"), register(t, srv, "demoted")
	tokens := map[string]string{
		"TOKEN_EXPIRED": issue(t, srv, owner, srv.Now().Add(-time.Hour)),
		"TOKEN_INVALID": strings.Replace(issue(t, srv, owner, srv.Now()), ".", ".e", 1),
		"TOKEN_REVOKED": left.AccessToken,
		"TOKEN_STALE":   demoted.AccessToken,
	}
	by := audit.Actor{Claims: *left.Principal()}
	if _, err := srv.App.Sessions.Logout(t.Context(), session.ScopeCurrent, by); err != nil {
		t.Fatal(err)
	}
	admin, id := []token.Role{account.RoleAdmin}, demoted.Principal().UserID
	if _, err := srv.App.Accounts.ChangeRoles(t.Context(), id, admin, nil, apptest.Operator); err != nil {
		t.Fatal(err)
	}
	return tokens
}
