package graph

import (
	"context"
	"sync"

	"github.com/99designs/gqlgen/graphql"

	"github.com/graphwarden/graphwarden/internal/token"
)

// A field of every user in a list would be a query each. So a list primes its users together, and the first of them
// that needs such a field loads it for all, whether the list is read by nodes, by edges, or through a field of its
// items. No load has to wait for others to join it.

type siblings struct {
	mu     sync.Mutex
	groups map[token.UserID]*group
}

// group contains the users that were primed together, and the values that were loaded for them.
type group struct {
	users []token.UserID
	reads map[string]*reading
}

type reading struct {
	once  sync.Once
	found any
	err   error
}

type siblingsKey struct{}

// withSiblings gives every operation its own groups.
func withSiblings(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	return next(context.WithValue(ctx, siblingsKey{}, &siblings{}))
}

// prime groups users, so that load reads for all of them at once.
func prime(ctx context.Context, users []token.UserID) {
	s := ctx.Value(siblingsKey{}).(*siblings)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.groups == nil {
		s.groups = make(map[token.UserID]*group)
	}
	g := &group{reads: make(map[string]*reading)}
	for _, id := range users {
		if _, primed := s.groups[id]; !primed && id != "" {
			s.groups[id] = g
			g.users = append(g.users, id)
		}
	}
}

// load returns the value that read finds for the user id, or the zero value. It calls read once for each what and group
// of users.
func load[V any](
	ctx context.Context, what string, id token.UserID,
	read func(ctx context.Context, users []token.UserID) (map[token.UserID]V, error),
) (V, error) {
	s := ctx.Value(siblingsKey{}).(*siblings)
	s.mu.Lock()
	g := s.groups[id]
	if g == nil { // no caching: an event of a stream must not get values of an earlier one
		s.mu.Unlock()
		found, err := read(ctx, []token.UserID{id})
		return found[id], err
	}
	r := g.reads[what]
	if r == nil {
		r = &reading{}
		g.reads[what] = r
	}
	s.mu.Unlock()
	r.once.Do(func() { r.found, r.err = read(ctx, g.users) })
	found, _ := r.found.(map[token.UserID]V)
	return found[id], r.err
}
