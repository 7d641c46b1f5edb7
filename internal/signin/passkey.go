package signin

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/challenge"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/passkey"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
	"github.com/graphwarden/graphwarden/internal/web"
)

// BeginPasskeyLogin begins a sign-in with a passkey. The browser offers the passkeys that it has for this site, so the
// answer is the same for all users.
func (s *Service) BeginPasskeyLogin(ctx context.Context, by audit.Actor) (c *passkey.Ceremony, err error) {
	err = s.db.Tx(ctx, func(tx *store.Tx) (err error) {
		if err := s.throttle.TakeIn(tx, throttle.PasskeyBegin, web.Network(by.IP)); err != nil {
			return err
		}
		c, err = s.passkeys.BeginUse(tx, challenge.PasskeyLogin, "")
		return err
	})
	return c, err
}

// LoginWithPasskey proves a passkey by the response to a challenge, and starts a session. A passkey is two factors: the
// device, and what it has verified its user by.
func (s *Service) LoginWithPasskey(
	ctx context.Context, r passkey.Response, by audit.Actor,
) (*session.Grant, error) {
	use, err := s.checkPasskey(ctx, challenge.PasskeyLogin, r, audit.AuthnLoginFail, by)
	if err != nil {
		return nil, err
	}
	grant, err := s.Finish(ctx, Proof{
		User:    use.User,
		Methods: passkeyMethods(use.Syncs),
		Attempt: throttle.Attempt{User: use.User, IP: by.IP},
		Action:  audit.AuthnLoginSuccess,
		Recheck: func(tx *store.Tx) error { return s.passkeys.RedeemUse(tx, use) },
	}, by)
	return grant, s.suspected(ctx, use, by, err)
}

// reauthenticateWithPasskey proves one of the caller's passkeys again: same session, new auth_time, next generation.
func (s *Service) reauthenticateWithPasskey(
	ctx context.Context, in Reauthentication, by audit.Actor,
) (*session.Grant, error) {
	if in.Password != nil || in.Factor.Given() {
		return nil, fault.Invalid([]fault.Field{{Path: "input", Reason: fault.ExactlyOneRequired,
			Message: "a passkey needs no password and no code"}})
	}
	use, err := s.checkPasskey(ctx, challenge.PasskeyProof, *in.Passkey, audit.AuthnReauthenticateFail, by)
	if err == nil && use.User != by.UserID {
		err = challenge.PasskeyProof.Refusal()
	}
	if err != nil {
		return nil, passkey.AsInput(err)
	}
	grant, err := s.Finish(ctx, Proof{
		User:    use.User,
		Methods: passkeyMethods(use.Syncs),
		Session: by.SessionID,
		Attempt: ownAttempt(by),
		Action:  audit.AuthnReauthenticated,
		Recheck: func(tx *store.Tx) error {
			if err := s.passkeys.RedeemUse(tx, use); err != nil {
				return passkey.AsInput(err)
			}
			return s.throttle.TakeIn(tx, throttle.OwnActs, "proof", string(use.User))
		},
	}, by)
	return grant, s.suspected(ctx, use, by, err)
}

// passkeyMethods returns the amr values of a passkey (RFC 8176): where its key is, that its user was present, and that
// it is two factors by itself. Without an attestation, nothing proves that a key of hardware (hwk) is in hardware.
func passkeyMethods(syncs bool) []string {
	key := "hwk"
	if syncs {
		key = "swk"
	}
	return []string{key, "user", "mfa"}
}

// checkPasskey returns the use that a response proves. It records a refused one as failed.
func (s *Service) checkPasskey(
	ctx context.Context, kind challenge.Kind, r passkey.Response, failed audit.Action, by audit.Actor,
) (passkey.Use, error) {
	if err := s.throttle.Take(ctx, throttle.Redeem, web.Network(by.IP)); err != nil {
		return passkey.Use{}, err
	}
	use, err := s.passkeys.CheckUse(ctx, kind, r)
	if f := fault.As(err); f != nil && f.Code == fault.Unauthenticated {
		err = s.failed(ctx, audit.Event{Action: failed, By: by, User: use.User}, err)
	}
	return use, err
}

// suspected records the refusal of a passkey that may have been copied. It returns err, or the error of recording it.
func (s *Service) suspected(ctx context.Context, use passkey.Use, by audit.Actor, err error) error {
	if !errors.Is(err, passkey.ErrCopied) {
		return err
	}
	return s.failed(ctx, audit.Event{Action: audit.PasskeyCopySuspected, By: by, User: use.User,
		Detail: passkey.ErrCopied.Error()}, err)
}

// BeginRegisterWithPasskey begins a registration without a password. It does not look for the address, so the answer is
// the same for all.
func (s *Service) BeginRegisterWithPasskey(
	ctx context.Context, in account.Registration, by audit.Actor,
) (c *passkey.Ceremony, err error) {
	if s.accounts.Mailing().Closed {
		return nil, errRegistrationClosed
	}
	u, err := account.ValidateIdentity(in)
	if err != nil {
		return nil, err
	}
	if err := s.throttle.Register(ctx, by.IP); err != nil {
		return nil, err
	}
	err = s.db.Tx(ctx, func(tx *store.Tx) (err error) {
		owner := &passkey.Owner{ID: u.ID, Name: u.Email, DisplayName: cmp.Or(u.Name, u.Email)}
		c, err = s.passkeys.BeginCreation(tx, challenge.PasskeyAccount, owner, in)
		return err
	})
	return c, err
}

// RegisterWithPasskey creates an account that has the new passkey of a response and no password, and signs it in. Its
// answers are those of Register.
func (s *Service) RegisterWithPasskey(ctx context.Context, r passkey.Response, by audit.Actor) (*session.Grant, error) {
	if s.accounts.Mailing().Closed {
		return nil, errRegistrationClosed
	}
	if err := s.throttle.Take(ctx, throttle.Redeem, web.Network(by.IP)); err != nil {
		return nil, err
	}
	created, err := s.passkeys.CheckCreation(ctx, challenge.PasskeyAccount, r)
	if err != nil {
		return nil, err
	}
	var in account.Registration
	if err := created.Further(&in); err != nil {
		return nil, fmt.Errorf("decode registration: %w", err)
	}
	u, err := account.ValidateIdentity(in)
	if err != nil {
		return nil, err
	}
	u.ID = created.User // the passkey has it
	if s.accounts.Mailing().Silent {
		return nil, s.accounts.RegisterSilently(ctx, u, account.Credential{Passkey: created}, by)
	}
	return s.finishRegistration(ctx, u, account.Credential{Passkey: created}, passkeyMethods(created.Syncs), by)
}
