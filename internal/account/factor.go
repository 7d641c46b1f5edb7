package account

import (
	"context"
	"fmt"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/challenge"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/mfa"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
	"github.com/graphwarden/graphwarden/internal/token"
)

// Factors returns the second factors of a user.
func (s *Service) Factors(ctx context.Context, id ID) (*mfa.Factors, error) {
	return s.factors.Of(ctx, id)
}

// BeginTOTP starts the setup of an authenticator app.
func (s *Service) BeginTOTP(ctx context.Context, by audit.Actor) (setup *mfa.Setup, err error) {
	err = s.actOnFactors(ctx, by, func(tx *store.Tx, u *User) error {
		setup, err = s.factors.Begin(tx, u.ID, u.Email)
		return err
	})
	return setup, err
}

// ConfirmTOTP ends the setup by a code of the app, and returns recovery codes. From then on, sign-ins need the factor.
// The caller's session has proved it; the access tokens of all sessions are stale.
//
// If the answer is lost after the commit, the caller's session may still make new recovery codes.
func (s *Service) ConfirmTOTP(ctx context.Context, code string, by audit.Actor) (recoveryCodes []string, err error) {
	err = s.actOnFactors(ctx, by, func(tx *store.Tx, u *User) error {
		recoveryCodes, err = s.factors.Confirm(tx, u.ID, code)
		if err != nil {
			return err
		}
		if err := s.setFactor(tx, u, true, audit.FactorAdded, by); err != nil {
			return err
		}
		return session.AddMethods(tx, by.SessionID, mfa.TOTPMethod, token.MultiFactor)
	})
	return recoveryCodes, err
}

// DisableTOTP removes the authenticator app and the recovery codes of the caller, if there are any. It withdraws what
// they have proved from all sessions.
func (s *Service) DisableTOTP(ctx context.Context, by audit.Actor) (u *User, err error) {
	err = s.actOnFactors(ctx, by, func(tx *store.Tx, own *User) error {
		u = own
		return s.removeFactors(tx, u, by)
	})
	return u, err
}

var errNoFactor = fault.New(fault.Forbidden, fault.SecondFactorSetupRequired, "set up a second factor first")

// RegenerateRecoveryCodes replaces the caller's recovery codes. It returns SECOND_FACTOR_SETUP_REQUIRED if the account
// has no second factor.
func (s *Service) RegenerateRecoveryCodes(ctx context.Context, by audit.Actor) (codes []string, err error) {
	err = s.actOnFactors(ctx, by, func(tx *store.Tx, u *User) error {
		if !u.HasFactor {
			return errNoFactor
		}
		if codes, err = mfa.Regenerate(tx, u.ID); err != nil {
			return err
		}
		return s.announceFactor(tx, u, audit.RecoveryCodesReplaced, by)
	})
	return codes, err
}

// ResetFactors removes all second factors of a user who has lost them.
func (s *Service) ResetFactors(ctx context.Context, id ID, by audit.Actor) (*User, error) {
	return s.act(ctx, id, by, func(tx *store.Tx, u *User) error { return s.removeFactors(tx, u, by) })
}

// actOnFactors is act on the caller's own factors, which is throttled.
func (s *Service) actOnFactors(ctx context.Context, by audit.Actor, f func(tx *store.Tx, u *User) error) error {
	if err := s.throttle.Take(ctx, throttle.OwnActs, "factors", string(by.UserID)); err != nil {
		return err
	}
	_, err := s.act(ctx, by.UserID, by, f)
	return err
}

func (s *Service) removeFactors(tx *store.Tx, u *User, by audit.Actor) error {
	had := u.HasFactor
	if err := mfa.Remove(tx, u.ID); err != nil || !had {
		return err
	}
	return s.setFactor(tx, u, false, audit.FactorRemoved, by)
}

// setFactor records whether u has a second factor, after a change of it. It lowers the sessions, which have not proved
// the changed factor.
func (s *Service) setFactor(tx *store.Tx, u *User, has bool, action audit.Action, by audit.Actor) error {
	err := tx.Get(u, "UPDATE users SET has_factor = $2, updated_at = now_us() WHERE id = $1 RETURNING "+userColumns,
		u.ID, has)
	if err != nil {
		return fmt.Errorf("record factor: %w", err)
	}
	if err := challenge.Void(tx, u.ID, challenge.SecondFactor); err != nil {
		return err
	}
	if err := s.sessions.Lower(tx, u.ID); err != nil {
		return err
	}
	return s.announceFactor(tx, u, action, by)
}

// RecoveryCodeUsed records that a recovery code of the user id was used, and mails them.
func (s *Service) RecoveryCodeUsed(tx *store.Tx, id ID, by audit.Actor) error {
	u, err := Read(tx, id)
	if err != nil {
		return err
	}
	return s.announceFactor(tx, u, audit.RecoveryCodeUsed, by)
}

// announceFactor records a change of the factors of u and mails it.
func (s *Service) announceFactor(tx *store.Tx, u *User, action audit.Action, by audit.Actor) error {
	if err := audit.Record(tx, audit.Event{Action: action, By: by, User: u.ID}); err != nil {
		return err
	}
	return s.mailing.Outbox.Send(tx, mail.Message{Kind: mail.FactorChanged, To: u.Email, User: string(u.ID),
		Locale: value(u.Locale),
		Data:   map[string]string{"ip": by.IP, "device": by.UserAgent, "change": string(action)}})
}
