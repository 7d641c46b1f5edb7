package account

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/challenge"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/passkey"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
	"github.com/graphwarden/graphwarden/internal/web"
)

var errNotOffered = fault.New(fault.Forbidden, fault.NotOffered, "the settings of this server do not offer this")

// requestMail takes a request of an anonymous caller for a mail to an address, then calls send with the account that
// has the address, or nil, in the same transaction. admitted is false if the address has had too many mails: send then
// sends none, but does the rest alike. The account's row is locked.
func (s *Service) requestMail(ctx context.Context, kind mail.Kind, email string, by audit.Actor,
	send func(tx *store.Tx, u *User, address Email, admitted bool) error) error {
	if !s.mailing.Outbox.Enabled() {
		return errNotOffered
	}
	address, problems := ParseEmail("input.email", email)
	if err := fault.Invalid(problems); err != nil {
		return err
	}
	return s.db.Tx(ctx, func(tx *store.Tx) error {
		if err := s.throttle.TakeIn(tx, throttle.MailRequest, web.Network(by.IP)); err != nil {
			return err
		}
		u, err := lockByEmail(tx, address.Key)
		if err != nil {
			return err
		}
		admitted, err := s.admit(tx, kind, address.Key, u, by)
		if err != nil {
			return err
		}
		return send(tx, u, address, admitted)
	})
}

// admit takes one mail of a kind from the budget of an address. Kinds have separate budgets, so that requests for one
// cannot suppress another. So have network addresses that are known to the account: strangers cannot use up the mails
// of its owner.
func (s *Service) admit(tx *store.Tx, kind mail.Kind, key string, u *User, by audit.Actor) (bool, error) {
	attempt := throttle.Attempt{IP: by.IP}
	if u != nil {
		attempt.User = u.ID
	}
	known, err := s.throttle.IsKnown(tx, attempt)
	if err != nil {
		return false, err
	}
	recipient := string(kind) + " " + key
	if known {
		recipient += " " + web.Network(by.IP)
	}
	return s.mailing.Outbox.Admit(tx, recipient)
}

// lockByEmail locks and reads the account with an address; nil for none.
func lockByEmail(tx *store.Tx, key string) (*User, error) {
	var u User
	err := tx.Get(&u, "UPDATE users SET version = version WHERE email_key = $1 RETURNING "+userColumns, key)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read user by address: %w", err)
	}
	return &u, nil
}

// mailLink issues c and mails its link to an address of u.
func (s *Service) mailLink(tx *store.Tx, kind mail.Kind, u *User, to string, c *challenge.Challenge) error {
	if _, err := s.mailing.Challenges.Issue(tx, c); err != nil {
		return err
	}
	return s.mailing.Outbox.Send(tx, mail.Message{Kind: kind, To: to, User: string(c.User), Locale: value(u.Locale),
		Challenge: c.ID, Expires: s.mailing.Challenges.Expiry(c.Kind)})
}

// notify mails the user that something about their account has changed, and from where.
func (s *Service) notify(tx *store.Tx, kind mail.Kind, u *User, by audit.Actor) error {
	return s.mailing.Outbox.Send(tx, mail.Message{Kind: kind, To: u.Email, User: string(u.ID), Locale: value(u.Locale),
		Data: map[string]string{"ip": by.IP, "device": by.UserAgent}})
}

// check returns the challenge of a link's token. It takes an attempt of the caller's network address first.
func (s *Service) check(ctx context.Context, kind challenge.Kind, token string, by audit.Actor) (
	*challenge.Challenge, error) {
	if err := s.throttle.Take(ctx, throttle.Redeem, web.Network(by.IP)); err != nil {
		return nil, err
	}
	return s.mailing.Challenges.Check(ctx, kind, token)
}

// redeem uses c up in a transaction, then calls f with its user, whose row is locked.
func (s *Service) redeem(ctx context.Context, c *challenge.Challenge, f func(tx *store.Tx, u *User) error) error {
	return s.db.Tx(ctx, func(tx *store.Tx) error {
		if err := session.Lock(tx, c.User); err != nil {
			return err
		}
		if err := s.mailing.Challenges.Redeem(tx, c); err != nil {
			return err
		}
		u, err := Read(tx, c.User)
		if err != nil {
			return err
		}
		if u.Disabled() {
			return c.Kind.Refusal()
		}
		tx.OnCommit(func() { s.view.Drop(u.ID) })
		if err := session.Notify(tx); err != nil {
			return err
		}
		return f(tx, u)
	})
}

// Claim is how a caller who is not signed in shows that an account is theirs: by one of the two.
type Claim struct {
	Password *string
	Passkey  *passkey.Response
}

func (c Claim) check() error {
	if c.Password != nil && c.Passkey != nil {
		return fault.Invalid([]fault.Field{{Path: "input", Reason: fault.ExactlyOneRequired,
			Message: "give either password or passkey"}})
	}
	return nil
}

// requirePassword returns an error unless password has the stored hash. A link alone does not prove that its reader set
// up the account.
func (s *Service) requirePassword(ctx context.Context, password *string, hash, key string, user ID, by audit.Actor,
) error {
	const path = "input.password"
	if password == nil {
		return fault.Invalid([]fault.Field{{Path: path, Reason: fault.Required,
			Message: "give the password or a passkey of the account, or sign in first"}})
	}
	if err := s.throttle.Login(ctx, throttle.Attempt{Name: "email_key " + key, User: user, IP: by.IP}); err != nil {
		return err
	}
	ok, _, err := s.hasher.Compare(ctx, hash, *password)
	if err == nil && !ok {
		err = fault.Invalid([]fault.Field{{Path: path, Reason: fault.InvalidCredentials,
			Message: "the password is wrong"}})
	}
	return err
}

// requireOwner returns an error unless the caller is signed in as the user of c, or claims the account by its password
// or a passkey. The result must be checked again in the transaction, with recheck.
func (s *Service) requireOwner(ctx context.Context, c *challenge.Challenge, claim Claim, by audit.Actor) (
	recheck func(*store.Tx) error, err error) {
	if by.UserID == c.User {
		return func(tx *store.Tx) error { return session.Authorize(tx, by) }, nil
	}
	if err := claim.check(); err != nil {
		return nil, err
	}
	if claim.Passkey != nil {
		use, err := s.passkeys.CheckUse(ctx, challenge.PasskeyLogin, *claim.Passkey)
		if err == nil && use.User != c.User {
			err = errNotYours
		}
		return func(tx *store.Tx) error { return s.passkeys.RedeemUse(tx, use) }, passkey.AsInput(err)
	}
	stored, err := s.CredentialsByID(ctx, c.User)
	if err != nil {
		return nil, err
	}
	key, _ := EmailKey(stored.Email)
	if err := s.requirePassword(ctx, claim.Password, stored.PasswordHash, key, c.User, by); err != nil {
		return nil, err
	}
	return func(tx *store.Tx) error {
		same, err := HasPasswordHash(tx, c.User, stored.PasswordHash)
		if err == nil && !same {
			err = c.Kind.Refusal()
		}
		return err
	}, nil
}

var errNotYours = fault.New(fault.Unauthenticated, fault.InvalidCredentials, "this passkey belongs to another account")

// pending is a registration whose address is not verified yet.
type pending struct {
	ID       ID      `json:"id,omitempty"` // of an account with a passkey, which has it
	Email    string  `json:"email"`
	Username *string `json:"username"`
	Name     string  `json:"name"`
	Hash     string  `json:"hash"`
	Locale   *string `json:"locale"`

	Passkey *passkey.Key `json:"passkey,omitempty"`
}

// RegisterSilently mails a link that completes the registration of u. If the address has an account, it mails a notice
// instead. Both do the same work and give the same answer. No row of users is created before the address is verified:
// a login, or another registration of the username, would reveal it.
func (s *Service) RegisterSilently(ctx context.Context, u *User, credential Credential, by audit.Actor) error {
	in := pending{Email: u.Email, Username: u.Username, Name: u.Name, Hash: credential.Hash,
		Locale: u.Locale}
	if credential.Passkey != nil {
		in.ID, in.Passkey = u.ID, &credential.Passkey.Key
	}
	payload, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode registration: %w", err)
	}
	key, _ := EmailKey(u.Email)
	return s.db.Tx(ctx, func(tx *store.Tx) error {
		if credential.Passkey != nil {
			if err := s.passkeys.Redeem(tx, credential.Passkey); err != nil {
				return err
			}
		}
		taken, err := hasUsername(tx, u.Username)
		if err != nil {
			return err
		}
		if taken {
			return errUsernameTaken
		}
		existing, err := lockByEmail(tx, key)
		if err != nil {
			return err
		}
		admitted, err := s.admit(tx, mail.VerifyEmail, key, nil, by)
		if err != nil || !admitted {
			return err
		}
		c := &challenge.Challenge{Kind: challenge.VerifyEmail, Subject: key, Payload: payload}
		if existing == nil {
			return s.mailLink(tx, mail.VerifyEmail, u, u.Email, c)
		}
		// The secret of this challenge is never revealed.
		if _, err := s.mailing.Challenges.Issue(tx, c); err != nil {
			return err
		}
		return s.mailing.Outbox.Send(tx, mail.Message{Kind: mail.AlreadyRegistered, To: existing.Email,
			User: string(existing.ID), Locale: value(existing.Locale)})
	})
}

func hasUsername(tx *store.Tx, username *string) (taken bool, err error) {
	if username == nil {
		return false, nil
	}
	err = tx.Get(&taken, "SELECT EXISTS (SELECT 1 FROM users WHERE username = $1)", *username)
	if err != nil {
		return false, fmt.Errorf("look for username: %w", err)
	}
	return taken, nil
}

// completeRegistration creates the account of a verified registration. If another account has taken the username since,
// the account has none.
func (s *Service) completeRegistration(ctx context.Context, c *challenge.Challenge, claim Claim, by audit.Actor) error {
	var in pending
	if err := json.Unmarshal(c.Payload, &in); err != nil {
		return fmt.Errorf("decode registration: %w", err)
	}
	create, err := s.claimRegistration(ctx, &in, c.Subject, claim, by)
	if err != nil {
		return err
	}
	u, problems := identity(Registration{Email: in.Email, Username: in.Username, Name: &in.Name, Locale: in.Locale})
	if err := fault.Invalid(problems); err != nil {
		return err
	}
	id, err := newID(0)
	if err != nil {
		return err
	}
	if in.ID != "" {
		id = in.ID
	}
	return s.db.Tx(ctx, func(tx *store.Tx) error {
		if err := s.mailing.Challenges.Redeem(tx, c); err != nil {
			return err
		}
		existing, err := lockByEmail(tx, c.Subject)
		if err != nil {
			return err
		}
		if existing != nil {
			return c.Kind.Refusal()
		}
		taken, err := hasUsername(tx, in.Username)
		if err != nil {
			return err
		}
		one := *u
		if one.ID = id; taken {
			one.Username = nil
		}
		if err := create(tx, &one); err != nil {
			return err
		}
		return setVerified(tx, &one, by)
	})
}

// claimRegistration returns an error unless the caller claims a registration by its password or its passkey. create
// makes the account.
func (s *Service) claimRegistration(ctx context.Context, in *pending, key string, claim Claim, by audit.Actor) (
	create func(*store.Tx, *User) error, err error) {
	if err := claim.check(); err != nil {
		return nil, err
	}
	if in.Passkey == nil || claim.Passkey == nil {
		err := s.requirePassword(ctx, claim.Password, in.Hash, key, "", by)
		return func(tx *store.Tx, u *User) error { return Create(tx, u, in.Hash, by) }, err
	}
	use, err := s.passkeys.CheckUseOf(ctx, &passkey.Passkey{UserID: in.ID, Key: *in.Passkey}, challenge.PasskeyLogin,
		*claim.Passkey)
	return func(tx *store.Tx, u *User) error {
		if err := Create(tx, u, "", by); err != nil {
			return err
		}
		if _, err := s.addPasskey(tx, u, "", in.Passkey, by); err != nil {
			return err
		}
		return s.passkeys.RedeemUse(tx, use)
	}, passkey.AsInput(err)
}
