package signin

import (
	"context"
	"errors"

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
	ctx context.Context, text string, response map[string]any, by audit.Actor,
) (*session.Grant, error) {
	use, err := s.checkPasskey(ctx, challenge.PasskeyLogin, audit.AuthnLoginFail, text, response, by)
	if err != nil {
		return nil, err
	}
	grant, err := s.Finish(ctx, Proof{
		User:    use.User,
		Methods: passkeyMethods(use),
		Attempt: throttle.Attempt{User: use.User, IP: by.IP},
		Action:  audit.AuthnLoginSuccess,
		Recheck: func(tx *store.Tx) error { return s.passkeys.RedeemUse(tx, use) },
	}, by)
	return grant, s.suspected(ctx, use, by, err)
}

// passkeyMethods returns the amr values of a passkey (RFC 8176): where its key is, that its user was present, and that
// it is two factors by itself. Without an attestation, nothing proves that a key of hardware (hwk) is in hardware.
func passkeyMethods(use passkey.Use) []string {
	key := "hwk"
	if use.Syncs {
		key = "swk"
	}
	return []string{key, "user", "mfa"}
}

// checkPasskey returns the use that a response proves. It records a refused one as failed.
func (s *Service) checkPasskey(
	ctx context.Context, kind challenge.Kind, failed audit.Action, text string, response map[string]any, by audit.Actor,
) (passkey.Use, error) {
	if err := s.throttle.Take(ctx, throttle.Redeem, web.Network(by.IP)); err != nil {
		return passkey.Use{}, err
	}
	use, err := s.passkeys.CheckUse(ctx, kind, text, response)
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
