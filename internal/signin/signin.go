package signin

import (
	"cmp"
	"context"
	"log/slog"
	"slices"

	"github.com/graphwarden/graphwarden/internal/account"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/mfa"
	"github.com/graphwarden/graphwarden/internal/passkey"
	"github.com/graphwarden/graphwarden/internal/password"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/social"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
	"github.com/graphwarden/graphwarden/internal/token"
)

// Service signs users in.
type Service struct {
	db       *store.DB
	accounts *account.Service
	sessions *session.Service
	social   *social.Service
	throttle *throttle.Throttle
	hasher   *password.Hasher
	policy   password.Policy
	factors  *mfa.Service
	passkeys *passkey.Service
	audit    *audit.Log
	log      *slog.Logger
}

// NewService returns a Service.
func NewService(db *store.DB, accounts *account.Service, sessions *session.Service, social *social.Service,
	throttle *throttle.Throttle, hasher *password.Hasher, policy password.Policy, factors *mfa.Service,
	passkeys *passkey.Service, audit *audit.Log, log *slog.Logger) *Service {
	return &Service{db: db, accounts: accounts, sessions: sessions, social: social, throttle: throttle, hasher: hasher,
		policy: policy, factors: factors, passkeys: passkeys, audit: audit, log: log}
}

// Proof is the outcome of a flow: who has proved to be a user, and how.
type Proof struct {
	User    account.ID
	Methods []string // amr, RFC 8176
	// Session is the caller's session if the proof renews it. Without one, Finish starts a session.
	Session session.ID
	// Attempt is the throttled attempt that succeeded.
	Attempt throttle.Attempt
	// Action is the audit action of a success; empty if Recheck records one.
	Action audit.Action
	// Recheck runs in the transaction, once the user's row is locked. It returns the refusal if what was proved no
	// longer holds: the slow part of a proof, such as bcrypt, runs before the transaction. It also makes the change
	// that the proof allows, such as a new password.
	Recheck func(*store.Tx) error
}

// Finish is the end of every flow. In one transaction it locks the user, rechecks the proof, cancels a deletion of the
// account, clears the throttle, starts or rotates the session and records it. by must have no claims unless the proof
// renews its session.
//
// It returns UNAUTHENTICATED with PASSWORD_CHANGE_REQUIRED if an administrator requires another password, and with
// EMAIL_NOT_VERIFIED if the settings require a verified address first. The user then gets another mail. It returns
// SECOND_FACTOR_REQUIRED with a challenge for CompleteLogin if the account demands a second factor that Methods lack.
func (s *Service) Finish(ctx context.Context, p Proof, by audit.Actor) (grant *session.Grant, err error) {
	var refusal error // a value, so that the mail and the challenge are written although the caller is refused
	err = s.db.Tx(ctx, func(tx *store.Tx) error {
		if err := lock(tx, p, by); err != nil {
			return err
		}
		if err := p.Recheck(tx); err != nil {
			return err
		}
		u, err := account.Read(tx, p.User)
		if err != nil {
			return err
		}
		if u.Disabled() {
			return errInvalidCredentials
		}
		if p.Session == "" && u.PasswordChangeRequired && slices.Contains(p.Methods, passwordMethod) {
			refusal = errPasswordChangeRequired
			return nil
		}
		if p.Session == "" && !u.EmailVerified && s.accounts.Mailing().Requires {
			refusal = errEmailNotVerified
			return s.accounts.SendVerification(tx, u, by)
		}
		complete := !u.HasFactor || slices.Contains(p.Methods, token.MultiFactor)
		if p.Session == "" && !complete {
			refusal, err = s.demandFactor(tx, p, by)
			return err
		}
		if err := s.accounts.CancelDeletion(tx, u, by); err != nil {
			return err
		}
		if err := s.announce(tx, p, u, by); err != nil {
			return err
		}
		if err := s.throttle.Succeeded(tx, p.Attempt); err != nil {
			return err
		}
		if p.Session == "" {
			grant, err = s.sessions.Start(tx, u.Subject(), p.Methods, by)
		} else {
			grant, err = s.sessions.Rotate(tx, p.Session, u.Subject(), p.Methods, complete, by)
		}
		if err != nil || p.Action == "" {
			return err
		}
		actor := by
		actor.Claims = *grant.Principal()
		return audit.Record(tx, audit.Event{Action: p.Action, By: actor, User: u.ID})
	})
	return grant, cmp.Or(err, refusal)
}

var errPasswordChangeRequired = fault.New(fault.Unauthenticated, fault.PasswordChangeRequired,
	"replace your password first: follow the link in the mail, or request another")

var errEmailNotVerified = fault.New(fault.Unauthenticated, fault.EmailNotVerified,
	"verify your e-mail address first: follow the link in the mail")

// announce mails the user of a new session if its address is new to the account.
func (s *Service) announce(tx *store.Tx, p Proof, u *account.User, by audit.Actor) error {
	if p.Session != "" {
		return nil
	}
	isNew, err := s.throttle.IsNew(tx, p.Attempt)
	if err != nil || !isNew {
		return err
	}
	return s.accounts.SignedInElsewhere(tx, u, by)
}

// lock locks the user's row. A proof that renews a session needs that session to be live.
func lock(tx *store.Tx, p Proof, by audit.Actor) error {
	if p.Session == "" {
		return session.Lock(tx, p.User)
	}
	return session.Authorize(tx, by)
}

// failed records a refused proof and returns the refusal, or the error of recording it.
func (s *Service) failed(ctx context.Context, e audit.Event, refusal error) error {
	if err := s.audit.Failed(ctx, e); err != nil {
		return err
	}
	return refusal
}
