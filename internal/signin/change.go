package signin

import (
	"cmp"
	"context"
	"time"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
)

// ChangePassword replaces the password; the caller proves the current one. It ends every other session and refuses
// every access token issued so far, so the caller needs the returned pair. If the account has a second factor, the
// session must have proved it within the last five minutes: STEP_UP_REQUIRED.
func (s *Service) ChangePassword(
	ctx context.Context, currentPassword, newPassword string, by audit.Actor,
) (*session.Grant, error) {
	u, err := s.accounts.Fresh(ctx, by.UserID)
	if fault.Is(err, fault.UserNotFound) {
		return nil, session.ErrTokenRevoked
	}
	if err != nil {
		return nil, err
	}
	username := cmp.Or(u.Username, new(string))
	if err := fault.Invalid(s.policy.Check("input.newPassword", newPassword, u.Email, *username)); err != nil {
		return nil, err
	}
	const path = "input.currentPassword"
	user, err := s.provePassword(ctx, path, currentPassword, by)
	if err != nil {
		return nil, err
	}
	hash, err := s.hasher.Hash(ctx, newPassword)
	if err != nil {
		return nil, err
	}
	return s.Finish(ctx, Proof{
		User:    user.ID,
		Methods: []string{passwordMethod},
		Session: by.SessionID,
		Attempt: ownAttempt(by),
		Action:  audit.AuthnPasswordChange,
		Recheck: func(tx *store.Tx) error {
			ok, err := account.ReplacePasswordHash(tx, user.ID, user.PasswordHash, hash)
			if err == nil && !ok {
				err = wrongPassword(path)
			}
			if err != nil {
				return err
			}
			if err := s.throttle.TakeIn(tx, throttle.OwnActs, "password", string(user.ID)); err != nil {
				return err
			}
			if err := requireFactor(tx, u, by); err != nil {
				return err
			}
			if _, err = s.sessions.EndAll(tx, user.ID, by.SessionID); err != nil {
				return err
			}
			return s.accounts.PasswordChanged(tx, u, by)
		},
	}, by)
}

// factorAge is how recent the proof of a second factor must be for a change of the password.
const factorAge = 5 * time.Minute

// requireFactor returns STEP_UP_REQUIRED if u has a second factor that the session of by has not proved recently.
func requireFactor(tx *store.Tx, u *account.User, by audit.Actor) error {
	if !u.HasFactor {
		return nil
	}
	proved, err := session.HasProvedFactor(tx, by.SessionID, factorAge)
	if err != nil || proved {
		return err
	}
	e := fault.New(fault.Forbidden, fault.StepUpRequired,
		"prove your password and a second factor again first: this needs a recent proof")
	e.Requires = &fault.Requirement{MaxAge: int(factorAge / time.Second)}
	return e
}
