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
		return s.mailLink(tx, mail.ResetPassword, u, u.Email, c)
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
		_, err := tx.Exec("UPDATE users SET password_hash = $2 WHERE id = $1", u.ID, hash)
		if err != nil {
			return fmt.Errorf("reset password: %w", err)
		}
		if _, err := s.sessions.EndAll(tx, u.ID, ""); err != nil {
			return err
		}
		if err := audit.Record(tx, audit.Event{Action: audit.AuthnPasswordReset, By: by, User: u.ID}); err != nil {
			return err
		}
		return s.PasswordChanged(tx, u, by)
	})
}

// PasswordChanged completes a change of the password of u: it voids the links and codes that were mailed before, and
// mails the user.
func (s *Service) PasswordChanged(tx *store.Tx, u *User, by audit.Actor) error {
	_, err := tx.Exec("UPDATE users SET password_change_required = FALSE, updated_at = now_us() WHERE id = $1", u.ID)
	if err != nil {
		return fmt.Errorf("record new password: %w", err)
	}
	if err := challenge.Void(tx, u.ID, challenge.ResetPassword, challenge.LoginCode, challenge.SecondFactor); err != nil {
		return err
	}
	return s.notify(tx, mail.PasswordChanged, u, by)
}

// RequirePasswordChange keeps the user's password from starting sessions, and mails them a link that resets it. It ends
// no sessions. Administrators can require a new password, but not choose it (ASVS 6.4.6).
func (s *Service) RequirePasswordChange(ctx context.Context, id ID, by audit.Actor) (*User, error) {
	if !s.mailing.Outbox.Enabled() {
		return nil, errNotOffered
	}
	return s.act(ctx, id, by, func(tx *store.Tx, u *User) error {
		err := tx.Get(u, `UPDATE users SET password_change_required = TRUE, updated_at = now_us()
			WHERE id = $1 RETURNING `+userColumns, u.ID)
		if err != nil {
			return fmt.Errorf("require password change: %w", err)
		}
		key, _ := EmailKey(u.Email)
		err = s.mailLink(tx, mail.ResetPassword, u, u.Email,
			&challenge.Challenge{Kind: challenge.ResetPassword, User: u.ID, Subject: key})
		if err != nil {
			return err
		}
		return audit.Record(tx, audit.Event{Action: audit.PasswordChangeRequired, By: by, User: u.ID})
	})
}

// SignedInElsewhere mails the user, unless they have switched it off, that a session was started from a network address
// that is new to the account.
func (s *Service) SignedInElsewhere(tx *store.Tx, u *User, by audit.Actor) error {
	if !u.NewSignIn {
		return nil
	}
	return s.notify(tx, mail.NewSignIn, u, by)
}
