package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
	"github.com/graphwarden/graphwarden/internal/token"
)

// Login is what login asks for: exactly one of Email and Username.
type Login struct {
	Email    *string
	Username *string
	Password string
}

// Login proves a password and opens a session. Whatever is wrong with the credentials is the same
// INVALID_CREDENTIALS after the same work.
func (s *Service) Login(ctx context.Context, in Login, from audit.Origin) (*session.Grant, error) {
	if (in.Email == nil) == (in.Username == nil) {
		return nil, fault.Invalid([]fault.Field{{Path: "input", Reason: fault.ExactlyOneRequired, Message: "give either email or username"}})
	}
	if err := s.hasher.Full(); err != nil {
		return nil, err
	}
	found, name, err := s.find(ctx, in)
	if err != nil {
		return nil, err
	}
	attempt := throttle.Attempt{Name: name, User: found.ID, IP: from.IP}
	if err := s.throttle.Login(ctx, attempt); err != nil {
		return nil, err
	}
	stored := found.PasswordHash
	if found.Disabled() {
		stored = ""
	}
	ok, upgrade, err := s.hasher.Compare(ctx, stored, in.Password)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, s.failed(ctx, audit.Event{Action: audit.AuthnLoginFail, User: found.ID, From: from}, errInvalidCredentials)
	}
	if upgrade {
		if err := s.upgrade(ctx, &found, in.Password); err != nil {
			return nil, err
		}
	}
	var grant *session.Grant
	err = s.db.Tx(ctx, func(tx *store.Tx) error {
		u, err := holdUser(tx, found.ID, found.PasswordHash, errInvalidCredentials)
		if err != nil {
			return err
		}
		if err := s.throttle.Succeeded(tx, attempt); err != nil {
			return err
		}
		if grant, err = s.sessions.Start(tx, u.subject(), []string{passwordMethod}, from); err != nil {
			return err
		}
		return audit.Record(tx, audit.Event{Action: audit.AuthnLoginSuccess, Outcome: audit.Done, Actor: u.ID, User: u.ID,
			Session: grant.Session.ID, From: from})
	})
	return grant, err
}

// find looks the user up; an unknown one is an empty user, not an error, so that Login takes the same path. name is what
// attempts are counted by: the key, in which all spellings that lead to one account are alike, or the text as it came
// where no account can have that name.
func (s *Service) find(ctx context.Context, in Login) (found credentials, name string, err error) {
	column, text, keyOf := "email_key", in.Email, EmailKey
	if text == nil {
		column, text, keyOf = "username", in.Username, UsernameKey
	}
	key, possible := keyOf(*text)
	if !possible {
		return found, column + " " + *text, nil
	}
	err = s.db.Get(ctx, &found, "SELECT "+credentialColumns+" FROM users WHERE "+column+" = $1", key)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return found, "", fmt.Errorf("find user: %w", err)
	}
	return found, column + " " + key, nil
}

// holdUser locks the user's row against other writers and checks that the password proved a moment ago
// is still the one, and the account not disabled: bcrypt ran outside the transaction. Otherwise it answers
// refusal.
func holdUser(tx *store.Tx, id ID, hash string, refusal error) (*User, error) {
	var u User
	err := tx.Get(&u, `UPDATE users SET updated_at = updated_at WHERE id = $1 AND password_hash = $2 AND disabled_at IS NULL
		RETURNING `+userColumns, id, hash)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, refusal
	}
	if err != nil {
		return nil, fmt.Errorf("hold user: %w", err)
	}
	return &u, nil
}

// upgrade replaces an imported or weaker hash now that the password is at hand. If it cannot, the login still
// succeeds and the next one tries again. Of several logins at once the first replaces it; the others prove their
// password again, with what it stored.
func (s *Service) upgrade(ctx context.Context, found *credentials, password string) error {
	var replaced int64
	hash, err := s.hasher.Hash(ctx, password)
	if err == nil {
		err = s.db.Tx(ctx, func(tx *store.Tx) (err error) {
			replaced, err = tx.Exec("UPDATE users SET password_hash = $3, updated_at = now_us() WHERE id = $1 AND password_hash = $2", found.ID, found.PasswordHash, hash)
			return err
		})
	}
	if err != nil {
		s.log.Warn("password hash not upgraded", "user", found.ID, "error", err)
		return nil
	}
	if replaced == 0 {
		return s.proveAgain(ctx, found, password)
	}
	found.PasswordHash = hash
	return nil
}

// proveAgain compares password with the hash as it is now.
func (s *Service) proveAgain(ctx context.Context, found *credentials, password string) error {
	err := s.db.Get(ctx, &found.PasswordHash, "SELECT COALESCE(password_hash, '') FROM users WHERE id = $1", found.ID)
	if errors.Is(err, sql.ErrNoRows) {
		return errInvalidCredentials
	}
	if err != nil {
		return fmt.Errorf("read password hash: %w", err)
	}
	ok, _, err := s.hasher.Compare(ctx, found.PasswordHash, password)
	if err == nil && !ok {
		return errInvalidCredentials
	}
	return err
}

// wrongPassword refuses the password of a caller who is signed in, at the input that holds it. It is not
// UNAUTHENTICATED: the token is good, and a client that refreshes at that code would do so without end.
func wrongPassword(path string) error {
	return fault.Invalid([]fault.Field{{Path: path, Reason: fault.InvalidCredentials, Message: "the password is wrong"}})
}

// attemptBy is the attempt of a caller who is signed in. It is counted apart from logins, so that strangers who guess
// at the account cannot make its owner wait.
func attemptBy(caller token.Claims, from audit.Origin) throttle.Attempt {
	return throttle.Attempt{Name: string(caller.UserID), User: caller.UserID, IP: from.IP}
}

// prove checks the caller's password again, which stands at path; it is throttled as a login is.
func (s *Service) prove(ctx context.Context, caller token.Claims, path, password string, from audit.Origin) (credentials, error) {
	var found credentials
	if err := s.hasher.Full(); err != nil {
		return found, err
	}
	if err := s.throttle.Login(ctx, attemptBy(caller, from)); err != nil {
		return found, err
	}
	err := s.db.Get(ctx, &found, "SELECT "+credentialColumns+" FROM users WHERE id = $1", caller.UserID)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return found, fmt.Errorf("read user: %w", err)
	}
	ok, _, err := s.hasher.Compare(ctx, found.PasswordHash, password)
	if err != nil {
		return found, err
	}
	if ok {
		return found, nil
	}
	// A session that ended meanwhile is the reason that counts: the account may be gone, or its password just changed.
	if err := s.db.Tx(ctx, func(tx *store.Tx) error { return session.Authorize(tx, caller) }); err != nil {
		return found, err
	}
	return found, s.failed(ctx, audit.Event{Action: audit.AuthnReauthenticateFail, Actor: caller.UserID, User: caller.UserID,
		Session: caller.SessionID, From: from}, wrongPassword(path))
}

// failed records a refused proof and returns the refusal, or that it could not be recorded.
func (s *Service) failed(ctx context.Context, e audit.Event, refusal error) error {
	if err := s.audit.Failed(ctx, e); err != nil {
		return err
	}
	return refusal
}

// Reauthenticate proves the caller's password again: same session, new auth_time, next generation.
func (s *Service) Reauthenticate(ctx context.Context, caller token.Claims, password string, from audit.Origin) (*session.Grant, error) {
	found, err := s.prove(ctx, caller, "input.password", password, from)
	if err != nil {
		return nil, err
	}
	var grant *session.Grant
	err = s.db.Tx(ctx, func(tx *store.Tx) error {
		if err := session.Authorize(tx, caller); err != nil {
			return err
		}
		u, err := holdUser(tx, found.ID, found.PasswordHash, wrongPassword("input.password"))
		if err != nil {
			return err
		}
		if err := s.throttle.Own(tx, u.ID, "proof"); err != nil {
			return err
		}
		if err := s.throttle.Succeeded(tx, attemptBy(caller, from)); err != nil {
			return err
		}
		if grant, err = s.sessions.Reauthenticate(tx, caller.SessionID, u.subject(), []string{passwordMethod}, from); err != nil {
			return err
		}
		return audit.RecordFolded(tx, done(&caller, audit.Event{Action: audit.AuthnReauthenticated, User: u.ID, From: from}))
	})
	return grant, err
}

// ChangePassword needs the current password. It ends every other session and refuses every access
// token issued so far; the caller goes on with the pair it answers.
func (s *Service) ChangePassword(ctx context.Context, caller token.Claims, currentPassword, newPassword string, from audit.Origin) (*session.Grant, error) {
	u, err := s.ByID(ctx, caller.UserID)
	if errors.Is(err, errUserNotFound) {
		return nil, session.ErrTokenRevoked
	}
	if err != nil {
		return nil, err
	}
	if err := fault.Invalid(s.policy.Check("input.newPassword", newPassword, u.Email, value(u.Username))); err != nil {
		return nil, err
	}
	found, err := s.prove(ctx, caller, "input.currentPassword", currentPassword, from)
	if err != nil {
		return nil, err
	}
	hash, err := s.hasher.Hash(ctx, newPassword)
	if err != nil {
		return nil, err
	}
	var grant *session.Grant
	err = s.db.Tx(ctx, func(tx *store.Tx) error {
		if err := session.Authorize(tx, caller); err != nil {
			return err
		}
		if _, err := holdUser(tx, found.ID, found.PasswordHash, wrongPassword("input.currentPassword")); err != nil {
			return err
		}
		if err := s.throttle.Own(tx, found.ID, "password"); err != nil {
			return err
		}
		if err := s.throttle.Succeeded(tx, attemptBy(caller, from)); err != nil {
			return err
		}
		if _, err := tx.Exec("UPDATE users SET password_hash = $2, updated_at = now_us() WHERE id = $1", found.ID, hash); err != nil {
			return fmt.Errorf("change password: %w", err)
		}
		if _, err := s.sessions.EndAll(tx, found.ID, caller.SessionID); err != nil {
			return err
		}
		u, err := read(tx, found.ID) // after EndAll: the new version
		if err != nil {
			return err
		}
		if grant, err = s.sessions.Reauthenticate(tx, caller.SessionID, u.subject(), []string{passwordMethod}, from); err != nil {
			return err
		}
		return record(tx, &caller, audit.Event{Action: audit.AuthnPasswordChange, User: u.ID, From: from})
	})
	return grant, err
}
