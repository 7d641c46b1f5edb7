package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/challenge"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/social"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/web"
)

// ByEmail returns the account with an address, even a hidden one; nil for none.
func (s *Service) ByEmail(ctx context.Context, email string) (*User, error) {
	key, possible := EmailKey(email)
	if !possible {
		return nil, nil
	}
	var u User
	err := s.db.Get(ctx, &u, "SELECT "+userColumns+" FROM users WHERE email_key = $1", key)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read user by address: %w", err)
	}
	return &u, nil
}

var errNoAddress = fault.New(fault.Unauthenticated, fault.EmailInvalid,
	"the provider gives no e-mail address that can be used here")

// Federated returns the user that the claims of a provider describe, with a new id. A name that cannot be one here is
// left out.
func Federated(c *social.Claims) (*User, error) {
	if _, problems := ParseName("", c.Name); problems != nil {
		c.Name = ""
	}
	u, problems := identity(Registration{Email: c.Email, Name: &c.Name})
	if problems != nil {
		return nil, errNoAddress
	}
	u.Roles = token.NewRoles(append(c.Roles, RoleUser)...)
	id, err := newID(0)
	u.ID = id
	return u, err
}

// CreateFederated creates the account of u in tx. It has no password. If the provider does not vouch for the address,
// the user gets a mail that verifies it.
func (s *Service) CreateFederated(tx *store.Tx, u *User, c *social.Claims, by audit.Actor) error {
	if err := Create(tx, u, "", by); err != nil {
		return err
	}
	if err := social.Link(tx, u.ID, c); err != nil {
		return err
	}
	if c.EmailVerified {
		return setVerified(tx, u, by)
	}
	return s.SendVerification(tx, u, by)
}

// CheckProvider returns what a code from a provider stands for, without using it up. Each network address has a limited
// number of tries, RATE_LIMITED beyond it.
func (s *Service) CheckProvider(ctx context.Context, code, verifier string, by audit.Actor) (
	*social.Claims, *challenge.Challenge, error) {
	if err := s.throttle.Take(ctx, throttle.Redeem, web.Network(by.IP)); err != nil {
		return nil, nil, err
	}
	return s.social.Check(ctx, code, verifier)
}

// LinkIdentity links the provider's user of a code to the caller's account.
func (s *Service) LinkIdentity(ctx context.Context, code, verifier string, by audit.Actor) (*User, error) {
	c, proof, err := s.CheckProvider(ctx, code, verifier, by)
	if err != nil {
		return nil, err
	}
	return s.act(ctx, by.UserID, by, func(tx *store.Tx, u *User) error {
		if err := s.social.Redeem(tx, proof); err != nil {
			return err
		}
		return s.Link(tx, u, c, by)
	})
}

// Link links an identity to u, whose row is locked, and mails the user.
func (s *Service) Link(tx *store.Tx, u *User, c *social.Claims, by audit.Actor) error {
	if err := social.Link(tx, u.ID, c); err != nil {
		return err
	}
	label := s.social.Label(c.Issuer, c.Provider)
	return s.identityChanged(tx, audit.IdentityLinked, mail.IdentityLinked, u, label, by)
}

// UnlinkIdentity removes an identity from the caller's account, unless it is the last way in. Sessions continue.
func (s *Service) UnlinkIdentity(ctx context.Context, id string, by audit.Actor) (*User, error) {
	if err := s.throttle.Take(ctx, throttle.OwnActs, "identity", string(by.UserID)); err != nil {
		return nil, err
	}
	return s.act(ctx, by.UserID, by, func(tx *store.Tx, u *User) error {
		i, err := social.Unlink(tx, u.ID, id)
		if err != nil {
			return err
		}
		if err := s.requireWayIn(tx, u); err != nil {
			return err
		}
		// A sign-in with the identity may wait for the second factor.
		if err := challenge.Void(tx, u.ID, challenge.SecondFactor); err != nil {
			return err
		}
		label := s.social.Label(i.Issuer, i.Provider)
		return s.identityChanged(tx, audit.IdentityUnlinked, mail.IdentityUnlinked, u, label, by)
	})
}

func (s *Service) identityChanged(
	tx *store.Tx, action audit.Action, kind mail.Kind, u *User, label string, by audit.Actor,
) error {
	err := s.mailing.Outbox.Send(tx, mail.Message{Kind: kind, To: u.Email, User: string(u.ID),
		Data: map[string]string{"provider": label, "ip": by.IP, "device": by.UserAgent}})
	if err != nil {
		return err
	}
	return audit.Record(tx, audit.Event{Action: action, By: by, User: u.ID, Detail: label})
}

// FollowRoles gives u, whose row is locked, the roles that a provider grants, and withdraws the others that its
// settings manage.
func (s *Service) FollowRoles(tx *store.Tx, u *User, managed, granted []token.Role, by audit.Actor) error {
	kept := slices.DeleteFunc(slices.Clone(u.Roles), func(r token.Role) bool { return slices.Contains(managed, r) })
	roles := append([]token.Role(kept), granted...)
	if slices.Equal(u.Roles, token.NewRoles(append(roles, RoleUser)...)) {
		return nil
	}
	tx.OnCommit(func() { s.view.Drop(u.ID) })
	if err := session.Notify(tx); err != nil {
		return err
	}
	return s.setRoles(tx, u, roles, by)
}
