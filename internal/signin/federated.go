package signin

import (
	"context"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/challenge"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/social"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
	"github.com/graphwarden/graphwarden/internal/web"
)

// federatedMethod is the amr value of a sign-in with another provider. RFC 8176 has no value for it; Entra ID uses this
// one. The provider's own amr is not taken over: it may mean a factor that this server has not checked.
const federatedMethod = "fed"

var (
	errLinkRequired = fault.New(fault.Conflict, fault.LinkRequired,
		"there is an account with this e-mail address: sign in to it, then link this provider to it")
	errProviderUnverified = fault.New(fault.Unauthenticated, fault.EmailNotVerified,
		"the provider has not verified your e-mail address: verify it there first")
	errLastCredential = fault.New(fault.Conflict, fault.LastCredential,
		"this is the last way to sign in to the account: set a password or link another provider first")
)

// federated is a redeemable code of a provider's user.
type federated struct {
	*social.Claims
	proof *challenge.Challenge
}

// CompleteSignIn redeems the code that a browser brought back from a provider, and starts a session of the user to whom
// the identity is linked. The first time, it links the identity to the account with the same address, or registers one:
//
//   - The provider must vouch for the address. If the account had not verified it, everything that was set up before is
//     removed, as when the address is proved by a mail.
//   - An account with a second factor is only joined by its user: LINK_REQUIRED.
//   - An address that the provider does not vouch for gets an account of its own if registrations are open and need no
//     verification. It never leads to an existing account: LINK_REQUIRED.
func (s *Service) CompleteSignIn(ctx context.Context, code, verifier string, by audit.Actor) (*session.Grant, error) {
	f, err := s.checkCode(ctx, code, verifier, by)
	if err != nil {
		return nil, err
	}
	grant, err := s.federate(ctx, f, by)
	if fault.Is(err, fault.IdentityTaken) || fault.Is(err, fault.EmailTaken) {
		return s.federate(ctx, f, by) // another request has registered or linked the user in the meantime
	}
	return grant, err
}

// checkCode returns what a code stands for, without using it up.
func (s *Service) checkCode(ctx context.Context, code, verifier string, by audit.Actor) (f federated, err error) {
	if err := s.throttle.Take(ctx, throttle.Redeem, web.Network(by.IP)); err != nil {
		return f, err
	}
	f.Claims, f.proof, err = s.social.Check(ctx, code, verifier)
	return f, err
}

func (s *Service) federate(ctx context.Context, f federated, by audit.Actor) (*session.Grant, error) {
	owner, err := s.social.Owner(ctx, f.Claims)
	if err != nil {
		return nil, err
	}
	if owner != "" {
		return s.finishFederated(ctx, owner, f, by, func(tx *store.Tx) error { return social.Use(tx, owner, f.Claims) })
	}
	opened := s.accounts.Mailing()
	if !f.EmailVerified && (opened.Silent || opened.Closed || opened.Requires) {
		return nil, errProviderUnverified // also if there is no account with the address, which must not show
	}
	u, err := s.accounts.ByEmail(ctx, f.Email)
	switch {
	case err != nil:
		return nil, err
	case u == nil:
		return s.registerFederated(ctx, f, by)
	case !f.EmailVerified, u.EmailVerified && u.HasFactor:
		return nil, errLinkRequired
	}
	return s.finishFederated(ctx, u.ID, f, by, func(tx *store.Tx) error { return s.join(tx, u.ID, f, by) })
}

// join links an identity to the account with the same address.
func (s *Service) join(tx *store.Tx, id account.ID, f federated, by audit.Actor) error {
	u, err := account.Read(tx, id)
	if err != nil {
		return err
	}
	if u.EmailVerified && u.HasFactor {
		return errLinkRequired
	}
	own, _ := account.EmailKey(u.Email)
	if key, _ := account.EmailKey(f.Email); key != own {
		return f.proof.Kind.Refusal() // it was changed in the meantime
	}
	if err := s.accounts.ProveEmail(tx, u, by); err != nil {
		return err
	}
	return s.accounts.LinkIdentity(tx, u, f.Claims, s.social.Label(f.Issuer, f.Provider), by)
}

func (s *Service) registerFederated(ctx context.Context, f federated, by audit.Actor) (*session.Grant, error) {
	if s.accounts.Mailing().Closed {
		return nil, errRegistrationClosed
	}
	u, err := account.Federated(f.Claims)
	if err != nil {
		return nil, err
	}
	if err := s.throttle.Register(ctx, by.IP); err != nil {
		return nil, err
	}
	return s.finishFederated(ctx, u.ID, f, by, func(tx *store.Tx) error {
		return s.accounts.CreateFederated(tx, u, f.Claims, by)
	})
}

// finishFederated signs a user in once identify has found the identity to be theirs, or made it so.
func (s *Service) finishFederated(
	ctx context.Context, user account.ID, f federated, by audit.Actor, identify func(*store.Tx) error,
) (*session.Grant, error) {
	return s.Finish(ctx, Proof{
		User:    user,
		Methods: []string{federatedMethod},
		Attempt: throttle.Attempt{Name: "identity " + f.Issuer + " " + f.Subject, User: user, IP: by.IP},
		Action:  audit.AuthnLoginSuccess,
		Recheck: func(tx *store.Tx) error {
			if err := s.social.Redeem(tx, f.proof); err != nil {
				return err
			}
			if err := identify(tx); err != nil {
				return err
			}
			u, err := account.Read(tx, user)
			if err != nil {
				return err
			}
			return s.accounts.FollowRoles(tx, u, s.social.Managed(f.Issuer), f.Roles, by)
		},
	}, by)
}

// LinkIdentity links the provider's user of a code to the caller's account.
func (s *Service) LinkIdentity(ctx context.Context, code, verifier string, by audit.Actor) (
	u *account.User, err error) {
	f, err := s.checkCode(ctx, code, verifier, by)
	if err != nil {
		return nil, err
	}
	err = s.db.Tx(ctx, func(tx *store.Tx) error {
		if err := session.Authorize(tx, by); err != nil {
			return err
		}
		if err := s.social.Redeem(tx, f.proof); err != nil {
			return err
		}
		if u, err = account.Read(tx, by.UserID); err != nil {
			return err
		}
		return s.accounts.LinkIdentity(tx, u, f.Claims, s.social.Label(f.Issuer, f.Provider), by)
	})
	return u, err
}

// UnlinkIdentity removes an identity from the caller's account. It returns LAST_CREDENTIAL if no way to sign in would
// be left. Sessions continue.
func (s *Service) UnlinkIdentity(ctx context.Context, id string, by audit.Actor) (u *account.User, err error) {
	if err := s.throttle.Take(ctx, throttle.OwnActs, "identity", string(by.UserID)); err != nil {
		return nil, err
	}
	err = s.db.Tx(ctx, func(tx *store.Tx) error {
		if err := session.Authorize(tx, by); err != nil {
			return err
		}
		i, err := social.Unlink(tx, by.UserID, id)
		if err != nil {
			return err
		}
		if err := s.requireWayIn(tx, by.UserID); err != nil {
			return err
		}
		// A sign-in with the identity may wait for the second factor.
		if err := challenge.Void(tx, by.UserID, challenge.SecondFactor); err != nil {
			return err
		}
		if u, err = account.Read(tx, by.UserID); err != nil {
			return err
		}
		return s.accounts.UnlinkIdentity(tx, u, s.social.Label(i.Issuer, i.Provider), by)
	})
	return u, err
}

// requireWayIn returns LAST_CREDENTIAL if tx has left a user, whose row is locked, no way to sign in. A code by mail is
// not counted, because a setting can turn it off.
func (s *Service) requireWayIn(tx *store.Tx, user account.ID) error {
	hasPassword, err := account.HasPassword(tx, user)
	if err != nil || hasPassword {
		return err
	}
	hasIdentity, err := s.social.Has(tx, user)
	if err == nil && !hasIdentity {
		return errLastCredential
	}
	return err
}
