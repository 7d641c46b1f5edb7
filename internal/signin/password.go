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

// passwordMethod is the amr value of a password (RFC 8176).
const passwordMethod = "pwd"

var errInvalidCredentials = fault.New(fault.Unauthenticated, fault.InvalidCredentials,
	"the e-mail address, username or password is wrong")

// Login is the input of a login: exactly one of Email and Username.
type Login struct {
	Email    *string
	Username *string
	Password string
}

// Login proves a password and starts a session. All wrong credentials get the same INVALID_CREDENTIALS after the same
// work.
func (s *Service) Login(ctx context.Context, in Login, by audit.Actor) (*session.Grant, error) {
	if (in.Email == nil) == (in.Username == nil) {
		return nil, fault.Invalid([]fault.Field{{Path: "input", Reason: fault.ExactlyOneRequired,
			Message: "give either email or username"}})
	}
	if err := s.hasher.Full(); err != nil {
		return nil, err
	}
	user, key, err := s.accounts.CredentialsByName(ctx, in.Email, in.Username)
	if err != nil {
		return nil, err
	}
	attempt := throttle.Attempt{Name: key, User: user.ID, IP: by.IP}
	if err := s.throttle.Login(ctx, attempt); err != nil {
		return nil, err
	}
	stored := user.PasswordHash
	if user.Disabled() {
		stored = ""
	}
	ok, upgrade, err := s.hasher.Compare(ctx, stored, in.Password)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, s.failed(ctx, audit.Event{Action: audit.AuthnLoginFail, By: by, User: user.ID}, errInvalidCredentials)
	}
	hash := user.PasswordHash
	if upgrade {
		hash, err = s.upgrade(ctx, user.ID, hash, in.Password)
		if err != nil {
			return nil, err
		}
	}
	return s.Finish(ctx, Proof{
		User:    user.ID,
		Methods: []string{passwordMethod},
		Attempt: attempt,
		Action:  audit.AuthnLoginSuccess,
		Recheck: func(tx *store.Tx) error { return recheck(tx, user.ID, hash, errInvalidCredentials) },
	}, by)
}

// recheck returns refusal unless the password that was proved is still the user's.
func recheck(tx *store.Tx, user account.ID, hash string, refusal error) error {
	ok, err := account.HasPasswordHash(tx, user, hash)
	if err == nil && !ok {
		return refusal
	}
	return err
}

// upgrade replaces an imported or weaker hash of the password just proved, and returns the hash now stored. If it
// cannot, the login still succeeds and the next one tries again. Of concurrent logins, the first replaces the hash,
// and the others compare their password with the new one.
func (s *Service) upgrade(ctx context.Context, user account.ID, old, password string) (string, error) {
	replaced := false
	hash, err := s.hasher.Hash(ctx, password)
	if err == nil {
		err = s.db.Tx(ctx, func(tx *store.Tx) (err error) {
			replaced, err = account.ReplacePasswordHash(tx, user, old, hash)
			return err
		})
	}
	if err != nil {
		s.log.Warn("password hash not upgraded", "user", user, "error", err)
		return old, nil
	}
	if replaced {
		return hash, nil
	}
	return s.proveAgain(ctx, user, password)
}

// proveAgain compares password with the hash stored now, and returns that hash.
func (s *Service) proveAgain(ctx context.Context, user account.ID, password string) (string, error) {
	now, err := s.accounts.CredentialsByID(ctx, user)
	if err != nil {
		return "", err
	}
	ok, _, err := s.hasher.Compare(ctx, now.PasswordHash, password)
	if err == nil && !ok {
		err = errInvalidCredentials
	}
	return now.PasswordHash, err
}
