package signin

import (
	"context"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/mfa"
	"github.com/graphwarden/graphwarden/internal/passkey"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
)

// Reauthentication is what a caller proves again: everything that the account demands at a sign-in.
type Reauthentication struct {
	Password *string // needed if the account has one
	Factor   mfa.Answer
	Passkey  *passkey.Response // alone: it is two factors
}

// Reauthenticate proves the caller's password again, and the second factor if the account demands one: same session,
// new auth_time, next generation. It takes both at once. A password alone would be half a proof, which the next request
// could use as a whole one.
func (s *Service) Reauthenticate(
	ctx context.Context, in Reauthentication, by audit.Actor,
) (*session.Grant, error) {
	if in.Passkey != nil {
		return s.reauthenticateWithPasskey(ctx, in, by)
	}
	user, err := s.accounts.CredentialsByID(ctx, by.UserID)
	if err != nil {
		return nil, err
	}
	if err := in.check(user); err != nil {
		return nil, err
	}
	p := Proof{User: user.ID, Session: by.SessionID, Attempt: ownAttempt(by), Action: audit.AuthnReauthenticated}
	const path = "input.password"
	if in.Password != nil {
		if user, err = s.provePassword(ctx, path, *in.Password, by); err != nil {
			return nil, err
		}
		p.Methods = []string{passwordMethod}
	}
	if in.Factor.Given() {
		if err := s.throttle.Factor(ctx, p.Attempt, true); err != nil {
			return nil, err
		}
		p.Methods = in.Factor.Methods(p.Methods...)
	}
	wrongFactor := false
	p.Recheck = func(tx *store.Tx) error {
		if in.Password != nil {
			if err := recheck(tx, user.ID, user.PasswordHash, wrongPassword(path)); err != nil {
				return err
			}
		}
		if in.Factor.Given() {
			err := s.proveFactor(tx, p.Attempt, in.Factor, by)
			if wrongFactor = fault.Is(err, fault.InvalidCredentials); err != nil {
				return err
			}
		}
		return s.throttle.TakeIn(tx, throttle.OwnActs, "proof", string(user.ID))
	}
	grant, err := s.Finish(ctx, p, by)
	if wrongFactor {
		return nil, s.failed(ctx, audit.Event{Action: audit.AuthnFactorFail, By: by, User: user.ID}, err)
	}
	return grant, err
}

// check returns what is missing for the account. It needs no proof: owners see in their own account what it demands.
func (in Reauthentication) check(user account.Credentials) error {
	var problems []fault.Field
	if in.Password == nil && (user.PasswordHash != "" || !in.Factor.Given()) {
		problems = append(problems, fault.Field{Path: "input.password", Reason: fault.Required,
			Message: "give the password"})
	}
	if user.HasFactor && !in.Factor.Given() {
		problems = append(problems, fault.Field{Path: "input.code", Reason: fault.SecondFactorRequired,
			Message: "give a code of the authenticator app too, or a recovery code"})
	}
	if err := fault.Invalid(problems); err != nil || !in.Factor.Given() {
		return err
	}
	return in.Factor.Check()
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
