package graph

import (
	"context"
	"sync"

	"github.com/99designs/gqlgen/graphql"

	"github.com/graphwarden/graphwarden/internal/token"
)

// A field of every user in a list would be a query each. So a list names its users together, and the first
// of them that is asked for such a field reads it for all, whichever way the list is walked: by nodes,
// by edges, or through a field of its items. Nothing has to wait and see who else will ask.

type siblings struct {
	mu     sync.Mutex
	groups map[token.UserID]*group
}

// group are users named together, and what was read for them.
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

// withSiblings gives every operation its own.
func withSiblings(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	return next(context.WithValue(ctx, siblingsKey{}, &siblings{groups: make(map[token.UserID]*group)}))
}

// together names users together.
func together(ctx context.Context, users []token.UserID) {
	s := ctx.Value(siblingsKey{}).(*siblings)
	s.mu.Lock()
	defer s.mu.Unlock()
	g := &group{reads: make(map[string]*reading)}
	for _, id := range users {
		if _, named := s.groups[id]; !named && id != "" {
			s.groups[id] = g
			g.users = append(g.users, id)
		}
	}
}

// of returns what read finds for the user id: read with all that are named together with it, once for
// each what. What it does not find is the zero value.
func of[V any](ctx context.Context, what string, id token.UserID, read func(ctx context.Context, users []token.UserID) (map[token.UserID]V, error)) (V, error) {
	s := ctx.Value(siblingsKey{}).(*siblings)
	s.mu.Lock()
	g := s.groups[id]
	if g == nil { // alone: nothing is kept, for an event of a stream must not see what an earlier one read
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
