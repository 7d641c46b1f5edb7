package account

import (
	"context"
	"fmt"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/challenge"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/store"
)

// RequestPasswordReset mails a link that resets the password, if there is an account with this address. The answer does
// not reveal that. Earlier links stay valid, so that strangers cannot void the owner's link.
func (s *Service) RequestPasswordReset(ctx context.Context, email string, by audit.Actor) error {
	return s.requestMail(ctx, mail.ResetPassword, email, by, func(tx *store.Tx, u *User, a Email, admitted bool) error {
		c := &challenge.Challenge{Kind: challenge.ResetPassword, Subject: a.Key}
		if u == nil || u.Disabled() || !admitted {
			_, err := s.mailing.Challenges.Issue(tx, c) // a decoy
			return err
		}
		c.User = u.ID
		return s.mailLink(tx, mail.ResetPassword, u.Email, c)
	})
}

// ResetPassword redeems a reset link. It ends all sessions and starts none, so that it does not skip a second factor.
// The link also proves the address.
func (s *Service) ResetPassword(ctx context.Context, token, newPassword string, by audit.Actor) error {
	c, err := s.check(ctx, challenge.ResetPassword, token, by)
	if err != nil {
		return err
	}
	u, err := s.CredentialsByID(ctx, c.User)
	if err != nil {
		return err
	}
	if err := fault.Invalid(s.policy.Check("input.newPassword", newPassword, u.Email, value(u.Username))); err != nil {
		return err
	}
	hash, err := s.hasher.Hash(ctx, newPassword)
	if err != nil {
		return err
	}
	return s.redeem(ctx, c, func(tx *store.Tx, u *User) error {
		if err := s.ProveEmail(tx, u, by); err != nil {
			return err
		}
		_, err := tx.Exec("UPDATE users SET password_hash = $2, updated_at = now_us() WHERE id = $1", u.ID, hash)
		if err != nil {
			return fmt.Errorf("reset password: %w", err)
		}
		if err := VoidByPassword(tx, u.ID); err != nil {
			return err
		}
		if _, err := s.sessions.EndAll(tx, u.ID, ""); err != nil {
			return err
		}
		if err := audit.Record(tx, audit.Event{Action: audit.AuthnPasswordReset, By: by, User: u.ID}); err != nil {
			return err
		}
		return s.notify(tx, mail.PasswordChanged, u, by)
	})
}

// VoidByPassword voids the links and codes that a new password makes useless.
func VoidByPassword(tx *store.Tx, user ID) error {
	return challenge.Void(tx, user, challenge.ResetPassword, challenge.LoginCode)
}

// PasswordChanged voids the links that a new password makes useless, and mails the user.
func (s *Service) PasswordChanged(tx *store.Tx, u *User, by audit.Actor) error {
	if err := VoidByPassword(tx, u.ID); err != nil {
		return err
	}
	return s.notify(tx, mail.PasswordChanged, u, by)
}
