package signin

import (
	"context"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
)

// AcceptInvitation creates the account of an invitation, whose address replaces that of in, and signs it in: the link
// has proved the mailbox, and the caller has just chosen the password. It returns BAD_USER_INPUT with CHALLENGE_INVALID
// or with all problems of in.
func (s *Service) AcceptInvitation(ctx context.Context, token string, in account.Registration, by audit.Actor) (
	grant *session.Grant, err error) {
	c, email, err := s.accounts.CheckInvitation(ctx, token, by)
	if err != nil {
		return nil, err
	}
	in.Email = email
	u, err := s.accounts.Validate(in)
	if err != nil {
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
		Recheck: func(tx *store.Tx) error { return s.accounts.AcceptInvitation(tx, c, u, hash, by) },
	}, by)
}
