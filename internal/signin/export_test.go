package signin

import (
	"context"

	"github.com/graphwarden/graphwarden/internal/account"
)

// ProveAgain exports proveAgain.
func (s *Service) ProveAgain(ctx context.Context, user account.ID, password string) (hash string, err error) {
	return s.proveAgain(ctx, user, password)
}
