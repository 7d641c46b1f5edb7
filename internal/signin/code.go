package signin

import (
	"context"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
)

// emailMethod is the amr value of a code from a mail. RFC 8176 has no value for it; otp would be taken for a possession
// factor, which a mailbox is not (NIST SP 800-63B-4, section 3.1.3.1).
const emailMethod = "email"

// LoginWithCode proves a mailbox by the code of a challenge and starts a session.
func (s *Service) LoginWithCode(ctx context.Context, challenge, code string, by audit.Actor) (*session.Grant, error) {
	c, err := s.accounts.CheckLoginCode(ctx, challenge, code, by)
	if err != nil {
		return nil, err
	}
	return s.Finish(ctx, Proof{
		User:    c.User,
		Methods: []string{emailMethod},
		Attempt: throttle.Attempt{Name: "email_key " + c.Subject, User: c.User, IP: by.IP},
		Action:  audit.AuthnLoginSuccess,
		Recheck: func(tx *store.Tx) error { return s.accounts.RedeemLoginCode(tx, c, by) },
	}, by)
}
