package signin

import (
	"context"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
)

// Register creates an account with the role USER and signs it in. It returns BAD_USER_INPUT with all problems at
// once, or CONFLICT with EMAIL_TAKEN or USERNAME_TAKEN.
func (s *Service) Register(ctx context.Context, in account.Registration, by audit.Actor) (*session.Grant, error) {
	u, err := s.accounts.Validate(in)
	if err != nil {
		return nil, err
	}
	if err := s.hasher.Full(); err != nil {
		return nil, err
	}
	if err := s.throttle.Register(ctx, by.IP); err != nil {
		return nil, err
	}
	hash, err := s.hasher.Hash(ctx, in.Password)
	if err != nil {
		return nil, err
	}
	return s.Finish(ctx, Proof{
		User:    u.ID,
		Methods: []string{passwordMethod},
		Attempt: throttle.Attempt{User: u.ID, IP: by.IP},
		Recheck: func(tx *store.Tx) error { return account.Create(tx, u, hash, by) },
	}, by)
}
