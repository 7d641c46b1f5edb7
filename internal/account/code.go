package account

import (
	"context"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/challenge"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
	"github.com/graphwarden/graphwarden/internal/web"
)

// RequestLoginCode mails a code, if there is an account with this address, and returns the challenge that the code
// answers. An unknown address gets a challenge that no code answers.
func (s *Service) RequestLoginCode(ctx context.Context, email string, by audit.Actor) (id string, err error) {
	if !s.mailing.Codes {
		return "", errNotOffered
	}
	err = s.requestMail(ctx, mail.LoginCode, email, by, func(tx *store.Tx, u *User, a Email, admitted bool) error {
		c := &challenge.Challenge{Kind: challenge.LoginCode, Subject: a.Key}
		if u == nil || u.Disabled() || !admitted {
			_, err := s.mailing.Challenges.Issue(tx, c)
			id = c.ID
			return err
		}
		c.User = u.ID
		err := s.mailLink(tx, mail.LoginCode, u, u.Email, c)
		id = c.ID
		return err
	})
	return id, err
}

// CheckLoginCode returns the challenge that a code answers. Each call costs one of the code's attempts.
func (s *Service) CheckLoginCode(ctx context.Context, id, code string, by audit.Actor) (*challenge.Challenge, error) {
	if !s.mailing.Codes {
		return nil, errNotOffered
	}
	if err := s.throttle.Take(ctx, throttle.Redeem, web.Network(by.IP)); err != nil {
		return nil, err
	}
	c, err := s.mailing.Challenges.CheckCode(ctx, challenge.LoginCode, id, code)
	if err == nil && c.User == "" {
		err = challenge.LoginCode.Refusal() // a decoy, guessed
	}
	return c, err
}

// RedeemLoginCode uses the challenge up in tx, in which the user's row is locked, and proves the address.
func (s *Service) RedeemLoginCode(tx *store.Tx, c *challenge.Challenge, by audit.Actor) error {
	if err := s.mailing.Challenges.Redeem(tx, c); err != nil {
		return err
	}
	u, err := Read(tx, c.User)
	if err != nil {
		return err
	}
	return s.ProveEmail(tx, u, by)
}
