package team

import (
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// Services are the services of the team's own types. Resolvers reach them as r.Team.
type Services struct{}

// New creates the services.
func New(*store.DB) *Services { return &Services{} }

// Export returns what the team's tables hold about a user, for exportAccount. Encoding it as JSON must not reveal
// secrets. Read it in tx, so that the whole export shows one moment.
func (*Services) Export(*store.Tx, token.UserID) (map[string]any, error) { return nil, nil }
