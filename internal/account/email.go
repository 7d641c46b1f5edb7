package account

import (
	"context"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/challenge"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
)

// RequestEmailChange mails a link to the new address that confirms the change, and one to the old address that reverts
// it. If another account has the new address, its owner gets a notice instead of the link; the answer is the same.
func (s *Service) RequestEmailChange(ctx context.Context, newEmail string, by audit.Actor) error {
	if !s.mailing.Outbox.Enabled() {
		return errNotOffered
	}
	address, problems := ParseEmail("input.newEmail", newEmail)
	if err := fault.Invalid(problems); err != nil {
		return err
	}
	if err := s.throttle.Take(ctx, throttle.OwnActs, "email", string(by.UserID)); err != nil {
		return err
	}
	_, err := s.act(ctx, by.UserID, by, func(tx *store.Tx, u *User) error {
		admitted, err := s.admit(tx, mail.EmailChange, address.Key, nil, by)
		if err != nil || !admitted {
			return err
		}
		if err := challenge.Void(tx, u.ID, challenge.ChangeEmail); err != nil {
			return err
		}
		if err := s.mailChange(tx, u, address); err != nil {
			return err
		}
		key, _ := EmailKey(u.Email)
		err = s.mailLink(tx, mail.EmailChanging, u, u.Email, &challenge.Challenge{Kind: challenge.RevertEmail, User: u.ID,
			Subject: key, Payload: []byte(u.Email)})
		if err != nil {
			return err
		}
		return audit.Record(tx, audit.Event{Action: audit.EmailChangeRequested, By: by, User: u.ID})
	})
	return err
}

// mailChange mails the owner of the new address. It does not lock the account that has the address: two users who want
// each other's addresses would deadlock.
func (s *Service) mailChange(tx *store.Tx, u *User, address Email) error {
	var taken bool
	err := tx.Get(&taken, "SELECT EXISTS (SELECT 1 FROM users WHERE email_key = $1 AND id <> $2)", address.Key, u.ID)
	if err != nil {
		return err
	}
	if taken {
		return s.mailing.Outbox.Send(tx, mail.Message{Kind: mail.AlreadyRegistered, To: address.Address})
	}
	return s.mailLink(tx, mail.EmailChange, u, address.Address, &challenge.Challenge{Kind: challenge.ChangeEmail,
		User: u.ID, Subject: address.Key, Payload: []byte(address.Address)})
}

// ConfirmEmailChange redeems the link in the mail to the new address. Like VerifyEmail, it requires the account's
// session or password. It returns CONFLICT with EMAIL_TAKEN if another account has got the address since.
func (s *Service) ConfirmEmailChange(ctx context.Context, token string, claim Claim, by audit.Actor) error {
	c, err := s.check(ctx, challenge.ChangeEmail, token, by)
	if err != nil {
		return err
	}
	recheck, err := s.requireOwner(ctx, c, claim, by)
	if err != nil {
		return err
	}
	return s.redeem(ctx, c, func(tx *store.Tx, u *User) error {
		if err := recheck(tx); err != nil {
			return err
		}
		old := *u
		if err := setEmail(tx, u, c); err != nil {
			return err
		}
		if err := s.notify(tx, mail.EmailChanged, &old, by); err != nil {
			return err
		}
		// Links that were mailed to the old address must not work on.
		err := challenge.Void(tx, u.ID, challenge.VerifyEmail, challenge.ResetPassword, challenge.LoginCode,
			challenge.ChangeEmail, challenge.SecondFactor)
		if err != nil {
			return err
		}
		if err := s.sessions.MarkStale(tx, u.ID); err != nil {
			return err
		}
		return audit.Record(tx, audit.Event{Action: audit.EmailChanged, By: by, User: u.ID})
	})
}

// RevertEmailChange redeems the link in the mail to the old address: it restores that address, voids all links and ends
// all sessions, because an attacker may have changed the address.
func (s *Service) RevertEmailChange(ctx context.Context, token string, by audit.Actor) error {
	c, err := s.check(ctx, challenge.RevertEmail, token, by)
	if err != nil {
		return err
	}
	return s.redeem(ctx, c, func(tx *store.Tx, u *User) error {
		if key, _ := EmailKey(u.Email); key != c.Subject {
			if err := setEmail(tx, u, c); err != nil {
				return err
			}
		}
		if err := challenge.Void(tx, u.ID); err != nil {
			return err
		}
		if _, err := s.sessions.EndAll(tx, u.ID, ""); err != nil {
			return err
		}
		return audit.Record(tx, audit.Event{Action: audit.EmailChangeReverted, By: by, User: u.ID})
	})
}

// setEmail gives u the address that c proves.
func setEmail(tx *store.Tx, u *User, c *challenge.Challenge) error {
	err := tx.Get(u, `UPDATE users SET email = $2, email_key = $3, email_verified = TRUE, updated_at = now_us()
		WHERE id = $1 RETURNING `+userColumns, u.ID, string(c.Payload), c.Subject)
	if err != nil {
		return taken(err, "change address")
	}
	return index(tx, u)
}
