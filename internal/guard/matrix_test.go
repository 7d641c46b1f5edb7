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
	for name, fields := range map[string]func(guard.Fields) guard.Fields{
		"with the guard writing plain fields": nil,
		"with gqlgen writing all fields":      ordinary,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := matrixtest.New(t, guardtest.SDL, &guardtest.Resolver{}, model.Refused{}, model.Dog{}, model.Flyer{})
			s := serveFields(t, fields, m)
			bob := guardtest.Ticket("bob", s.Now().Add(-time.Hour))
			bob.Claims.Roles = []token.Role{"KEEPER"}
			m.Run(t, matrixtest.Server{
				URL:     s.URL,
				Now:     s.Now,
				Issue:   func(c token.Claims) string { return s.issue(t, c) },
				Refused: s.refusedTokens(t, guardtest.Alice, "USER", "ADMIN", "KEEPER"),
				SignIns: []any{guardtest.Ticket(guardtest.Alice, s.Now()), bob},
			})
		})
	}
}
