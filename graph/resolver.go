package graph

import (
	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/guard"
	"github.com/graphwarden/graphwarden/internal/passkey"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/signin"
	"github.com/graphwarden/graphwarden/internal/social"
	"github.com/graphwarden/graphwarden/internal/team"
	"github.com/graphwarden/graphwarden/internal/throttle"
)

// Resolver holds the services that resolvers call, and nothing else.
type Resolver struct {
	Accounts      *account.Service
	Sessions      *session.Service
	SignIn        *signin.Service
	Passkeys      *passkey.Service
	Social        *social.Service
	Throttle      *throttle.Throttle
	Audit         *audit.Log
	Feed          *audit.Feed
	Authenticator *guard.Authenticator
	Cursors       *Cursors
	Team          *team.Services
}
