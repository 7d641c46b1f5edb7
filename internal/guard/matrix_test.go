package guard_test

import (
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/guard"
	"github.com/graphwarden/graphwarden/internal/guard/guardtest"
	"github.com/graphwarden/graphwarden/internal/guard/guardtest/model"
	"github.com/graphwarden/graphwarden/internal/guard/matrixtest"
	"github.com/graphwarden/graphwarden/internal/token"
)

func TestAuthorizationMatrix(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fields      func(guard.Fields) guard.Fields
		factorRoles []token.Role
	}{
		"with the guard writing plain fields":       {},
		"with gqlgen writing all fields":            {fields: ordinary},
		"with roles that demand a second factor":    {factorRoles: []token.Role{"ADMIN", "KEEPER"}},
		"with a second factor demanded from KEEPER": {ordinary, []token.Role{"KEEPER"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := matrixtest.New(t, guardtest.SDL, &guardtest.Resolver{}, model.Refused{}, model.Dog{}, model.Flyer{})
			s := serveFields(t, test.fields, test.factorRoles, m)
			bob := guardtest.Ticket("bob", s.Now().Add(-time.Hour))
			bob.Claims.Roles = []token.Role{"KEEPER"}
			m.Run(t, matrixtest.Server{
				URL:     s.URL,
				Now:     s.Now,
				Issue:   func(c token.Claims) string { return s.issue(t, c) },
				Refused: s.refusedTokens(t, guardtest.Alice, "USER", "ADMIN", "KEEPER"),
				SignIns: []any{guardtest.Ticket(guardtest.Alice, s.Now()), bob},

				FactorRoles: test.factorRoles,
			})
		})
	}
}
