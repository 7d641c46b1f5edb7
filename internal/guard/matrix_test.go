package guard_test

import (
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/guard/matrix"
	"github.com/graphwarden/graphwarden/internal/guard/zoo"
	"github.com/graphwarden/graphwarden/internal/guard/zoo/model"
	"github.com/graphwarden/graphwarden/internal/token"
)

func TestAuthorizationMatrix(t *testing.T) {
	t.Parallel()
	m := matrix.New(t, zoo.SDL, &zoo.Resolver{}, model.Refused{}, model.Dog{}, model.Flyer{})
	s := serve(t, "public", m)
	bob := zoo.Ticket("bob", s.Now().Add(-time.Hour))
	bob.Claims.Roles = []token.Role{"KEEPER"}
	m.Run(t, matrix.Server{
		URL:     s.URL,
		Now:     s.Now,
		Issue:   func(c token.Claims) string { return s.issue(t, c) },
		Refused: s.refusedTokens(t, zoo.Alice, "USER", "ADMIN", "KEEPER"),
		SignIns: []any{zoo.Ticket(zoo.Alice, s.Now()), bob},
	})
}
