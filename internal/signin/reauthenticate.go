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

// Reauthenticate proves the caller's password again: same session, new auth_time, next generation.
func (s *Service) Reauthenticate(ctx context.Context, password string, by audit.Actor) (*session.Grant, error) {
	const path = "input.password"
	user, err := s.provePassword(ctx, path, password, by)
	if err != nil {
		return nil, err
	}
	return s.Finish(ctx, Proof{
		User:    user.ID,
		Methods: []string{passwordMethod},
		Session: by.SessionID,
		Attempt: ownAttempt(by),
		Action:  audit.AuthnReauthenticated,
		Recheck: func(tx *store.Tx) error {
			if err := recheck(tx, user.ID, user.PasswordHash, wrongPassword(path)); err != nil {
				return err
			}
			return s.throttle.TakeIn(tx, throttle.OwnActs, "proof", string(user.ID))
		},
	}, by)
}

// provePassword checks the password of the caller, which is the input at path. It is throttled like a login.
func (s *Service) provePassword(
	ctx context.Context, path, password string, by audit.Actor,
) (user account.Credentials, err error) {
	if err := s.hasher.Full(); err != nil {
		return user, err
	}
	if err := s.throttle.Login(ctx, ownAttempt(by)); err != nil {
		return user, err
	}
	user, err = s.accounts.CredentialsByID(ctx, by.UserID)
	if err != nil {
		return user, err
	}
	ok, _, err := s.hasher.Compare(ctx, user.PasswordHash, password)
	if err != nil || ok {
		return user, err
	}
	// If the session has ended in the meantime, refuse for that reason: the account may be deleted, or its password
	// changed.
	if err := s.db.Tx(ctx, func(tx *store.Tx) error { return session.Authorize(tx, by) }); err != nil {
		return user, err
	}
	event := audit.Event{Action: audit.AuthnReauthenticateFail, By: by, User: by.UserID}
	return user, s.failed(ctx, event, wrongPassword(path))
}

// ownAttempt is the attempt of an authenticated caller. It is counted apart from logins, so that strangers who guess
// at an account cannot make its owner wait.
func ownAttempt(by audit.Actor) throttle.Attempt {
	return throttle.Attempt{Name: string(by.UserID), User: by.UserID, IP: by.IP}
}

// wrongPassword refuses the password of an authenticated caller. It is not UNAUTHENTICATED, because clients answer that
// with a refresh and would repeat it forever.
func wrongPassword(path string) error {
	return fault.Invalid([]fault.Field{{Path: path, Reason: fault.InvalidCredentials, Message: "the password is wrong"}})
}
