package signin

import (
	"context"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/mfa"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
)

// demandFactor records a proof that lacks a second factor, and returns the refusal with its challenge. The failures of
// the throttle stay, and the address is not remembered: that is for complete sign-ins.
func (s *Service) demandFactor(tx *store.Tx, p Proof, by audit.Actor) (refusal, err error) {
	refusal, err = s.factors.Demand(tx, p.User, mfa.Pending{Methods: p.Methods, Name: p.Attempt.Name})
	if err != nil {
		return nil, err
	}
	return refusal, audit.Record(tx, audit.Event{Action: audit.AuthnFactorRequired, By: by, User: p.User})
}

// CompleteLogin answers the challenge of a sign-in that lacks a second factor, and starts a session. It returns
// CHALLENGE_INVALID if the sign-in must start again, and INVALID_CREDENTIALS for a wrong or used answer.
func (s *Service) CompleteLogin(
	ctx context.Context, challenge string, answer mfa.Answer, by audit.Actor,
) (*session.Grant, error) {
	if err := answer.Check(); err != nil {
		return nil, err
	}
	pending, err := s.factors.Open(ctx, challenge)
	if err != nil {
		return nil, err
	}
	user := pending.Challenge.User
	attempt := throttle.Attempt{Name: pending.Name, User: user, IP: by.IP}
	if err := s.throttle.Factor(ctx, attempt, false); err != nil {
		return nil, err
	}
	grant, err := s.Finish(ctx, Proof{
		User:    user,
		Methods: answer.Methods(pending.Methods...),
		Attempt: attempt,
		Action:  audit.AuthnLoginSuccess,
		Recheck: func(tx *store.Tx) error {
			if err := s.factors.Redeem(tx, pending); err != nil {
				return err
			}
			return s.proveFactor(tx, attempt, answer, by)
		},
	}, by)
	if fault.Is(err, fault.InvalidCredentials) {
		return nil, s.failed(ctx, audit.Event{Action: audit.AuthnFactorFail, By: by, User: user}, err)
	}
	return grant, err
}

// proveFactor uses an answer up in tx, in which the user's row is locked, and clears the throttle.
func (s *Service) proveFactor(tx *store.Tx, a throttle.Attempt, answer mfa.Answer, by audit.Actor) error {
	if err := s.factors.Prove(tx, a.User, answer); err != nil {
		return err
	}
	if err := s.throttle.FactorSucceeded(tx, a); err != nil || answer.RecoveryCode == nil {
		return err
	}
	return s.accounts.RecoveryCodeUsed(tx, a.User, by)
}
