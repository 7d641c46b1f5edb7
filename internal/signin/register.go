package signin

import (
	"context"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
)

// Register creates an account with the role USER and signs it in. It returns BAD_USER_INPUT with all problems at
// once, or CONFLICT with EMAIL_TAKEN or USERNAME_TAKEN. It returns neither a grant nor an error if the address must be
// verified before the first sign-in, and always with --register=silent.
func (s *Service) Register(ctx context.Context, in account.Registration, by audit.Actor) (*session.Grant, error) {
	if s.accounts.Mailing().Closed {
		return nil, errRegistrationClosed
	}
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
	if s.accounts.Mailing().Silent {
		return nil, s.accounts.RegisterSilently(ctx, u, account.Credential{Hash: hash}, by)
	}
	return s.finishRegistration(ctx, u, account.Credential{Hash: hash}, []string{passwordMethod}, by)
}

// finishRegistration creates an account and signs it in, unless its address must be verified first.
func (s *Service) finishRegistration(
	ctx context.Context, u *account.User, c account.Credential, methods []string, by audit.Actor,
) (*session.Grant, error) {
	grant, err := s.Finish(ctx, Proof{
		User:    u.ID,
		Methods: methods,
		Attempt: throttle.Attempt{User: u.ID, IP: by.IP},
		Recheck: func(tx *store.Tx) error {
			if err := s.accounts.CreateWith(tx, u, c, by); err != nil {
				return err
			}
			if s.accounts.Mailing().Requires {
				return nil // Finish sends the mail
			}
			return s.accounts.SendVerification(tx, u, by)
		},
	}, by)
	if fault.Is(err, fault.EmailNotVerified) {
		return nil, nil
	}
	return grant, err
}

var errRegistrationClosed = fault.New(fault.Forbidden, fault.NotOffered, "this server does not accept registrations")
