package account

import (
	"context"
	"fmt"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/challenge"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/passkey"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/social"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
)

// Mailing returns the settings of the flows that send mail.
func (s *Service) Mailing() Mailing { return s.mailing }

// RequestVerification mails the caller a link that verifies their address. It does nothing if the address is verified.
func (s *Service) RequestVerification(ctx context.Context, by audit.Actor) error {
	if !s.mailing.Outbox.Enabled() {
		return errNotOffered
	}
	if err := s.throttle.Take(ctx, throttle.OwnActs, "verification", string(by.UserID)); err != nil {
		return err
	}
	_, err := s.act(ctx, by.UserID, by, func(tx *store.Tx, u *User) error { return s.SendVerification(tx, u, by) })
	return err
}

// SendVerification mails a user, whose row is locked, a link that verifies their address, unless the address is
// verified or has had too many mails.
func (s *Service) SendVerification(tx *store.Tx, u *User, by audit.Actor) error {
	if u.EmailVerified || !s.mailing.Verifies {
		return nil
	}
	key, _ := EmailKey(u.Email)
	admitted, err := s.admit(tx, mail.VerifyEmail, key, u, by)
	if err != nil || !admitted {
		return err
	}
	return s.mailLink(tx, mail.VerifyEmail, u, u.Email,
		&challenge.Challenge{Kind: challenge.VerifyEmail, User: u.ID, Subject: key})
}

// VerifyEmail redeems the link of a verification mail. It starts no session. The caller must be signed in to the
// account, or claim it: the link alone does not tell an account of the address's owner from one that a
// stranger has registered.
func (s *Service) VerifyEmail(ctx context.Context, token string, claim Claim, by audit.Actor) error {
	c, err := s.check(ctx, challenge.VerifyEmail, token, by)
	if err != nil {
		return err
	}
	if c.User == "" {
		return s.completeRegistration(ctx, c, claim, by)
	}
	recheck, err := s.requireOwner(ctx, c, claim, by)
	if err != nil {
		return err
	}
	return s.redeem(ctx, c, func(tx *store.Tx, u *User) error {
		if err := recheck(tx); err != nil {
			return err
		}
		if err := s.sessions.MarkStale(tx, u.ID); err != nil {
			return err
		}
		return setVerified(tx, u, by)
	})
}

func setVerified(tx *store.Tx, u *User, by audit.Actor) error {
	_, err := tx.Exec("UPDATE users SET email_verified = TRUE, updated_at = now_us() WHERE id = $1", u.ID)
	if err != nil {
		return fmt.Errorf("verify address: %w", err)
	}
	return audit.Record(tx, audit.Event{Action: audit.EmailVerified, By: by, User: u.ID})
}

// ProveEmail records in tx that the owner of the address of u, whose row is locked, has proved it by a mail or another
// provider alone. If nothing has proved it before, a stranger may have set the account up: ProveEmail removes the
// password, the passkeys, the second factors and the linked identities, ends all sessions and voids all links.
func (s *Service) ProveEmail(tx *store.Tx, u *User, by audit.Actor) error {
	if u.EmailVerified {
		return nil
	}
	_, err := tx.Exec("UPDATE users SET password_hash = NULL, updated_at = now_us() WHERE id = $1", u.ID)
	if err != nil {
		return fmt.Errorf("remove password: %w", err)
	}
	if err := passkey.RemoveAll(tx, u.ID); err != nil {
		return err
	}
	if err := s.removeFactors(tx, u, by); err != nil {
		return err
	}
	if err := social.UnlinkAll(tx, u.ID); err != nil {
		return err
	}
	if _, err := s.sessions.EndAll(tx, u.ID, ""); err != nil {
		return err
	}
	if err := challenge.Void(tx, u.ID); err != nil {
		return err
	}
	tx.OnCommit(func() { s.view.Drop(u.ID) })
	if err := session.Notify(tx); err != nil {
		return err
	}
	err = audit.Record(tx, audit.Event{Action: audit.UnprovedCredentialsRemoved, By: by, User: u.ID})
	if err != nil {
		return err
	}
	return setVerified(tx, u, by)
}

var errUsernameTaken = conflict("input.username", fault.UsernameTaken, "this username is taken")
