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
)

// federatedMethod is the amr value of a sign-in with another provider. RFC 8176 has no value for it; Entra ID uses this
// one. The provider's own amr is not taken over: it may mean a factor that this server has not checked.
const federatedMethod = "fed"

var (
	errLinkRequired = fault.New(fault.Conflict, fault.LinkRequired,
		"there is an account with this e-mail address: sign in to it, then link this provider to it")
	errProviderUnverified = fault.New(fault.Unauthenticated, fault.EmailNotVerified,
		"the provider has not verified your e-mail address: verify it there first")
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
	claims, proof, err := s.accounts.CheckProvider(ctx, code, verifier, by)
	if err != nil {
		return nil, err
	}
	f := federated{claims, proof}
	grant, err := s.federate(ctx, f, by)
	if fault.Is(err, fault.IdentityTaken) || fault.Is(err, fault.EmailTaken) {
		return s.federate(ctx, f, by) // another request has registered or linked the user in the meantime
	}
	return grant, err
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
	return s.accounts.Link(tx, u, f.Claims, by)
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
