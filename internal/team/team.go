package team

import "github.com/graphwarden/graphwarden/internal/store"

// Services are the services of the team's own types. Resolvers reach them as r.Team.
type Services struct{}

// New creates the services.
func New(*store.DB) *Services { return &Services{} }
