package account

import (
	"cmp"
	"context"
	"fmt"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/challenge"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/passkey"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
)

// BeginPasskey begins to create a passkey for the caller.
func (s *Service) BeginPasskey(ctx context.Context, by audit.Actor) (c *passkey.Ceremony, err error) {
	if err := s.throttle.Take(ctx, throttle.OwnActs, "passkey", string(by.UserID)); err != nil {
		return nil, err
	}
	_, err = s.act(ctx, by.UserID, by, func(tx *store.Tx, u *User) (err error) {
		owner := &passkey.Owner{ID: u.ID, Name: u.Email, DisplayName: cmp.Or(u.Name, u.Email)}
		c, err = s.passkeys.BeginCreation(tx, challenge.PasskeyCreation, owner, nil)
		return err
	})
	return c, err
}

// BeginPasskeyProof begins to prove a passkey of the caller again.
func (s *Service) BeginPasskeyProof(ctx context.Context, by audit.Actor) (c *passkey.Ceremony, err error) {
	if err := s.throttle.Take(ctx, throttle.OwnActs, "passkey proof", string(by.UserID)); err != nil {
		return nil, err
	}
	_, err = s.act(ctx, by.UserID, by, func(tx *store.Tx, u *User) (err error) {
		c, err = s.passkeys.BeginUse(tx, challenge.PasskeyProof, u.ID)
		return err
	})
	return c, err
}

// AddPasskey stores the passkey that the response to a challenge has created for the caller. Without a name, it gets
// that of the product that holds it.
func (s *Service) AddPasskey(
	ctx context.Context, r passkey.Response, name string, by audit.Actor,
) (p *passkey.Passkey, err error) {
	name, problems := ParseName("input.name", name)
	if err := fault.Invalid(problems); err != nil {
		return nil, err
	}
	created, err := s.passkeys.CheckCreation(ctx, challenge.PasskeyCreation, r)
	if err != nil {
		return nil, err
	}
	if created.User != by.UserID {
		return nil, challenge.PasskeyCreation.Refusal()
	}
	_, err = s.act(ctx, by.UserID, by, func(tx *store.Tx, u *User) (err error) {
		if err := s.passkeys.Redeem(tx, created); err != nil {
			return err
		}
		if p, err = s.addPasskey(tx, u, name, &created.Key, by); err != nil {
			return err
		}
		return s.notify(tx, mail.PasskeyAdded, u, by)
	})
	return p, err
}

func (s *Service) addPasskey(tx *store.Tx, u *User, name string, k *passkey.Key, by audit.Actor) (
	*passkey.Passkey, error) {
	p, err := s.passkeys.Add(tx, u.ID, cmp.Or(name, k.Provider(), "Passkey"), k)
	if err != nil {
		return nil, err
	}
	return p, audit.Record(tx, audit.Event{Action: audit.PasskeyAdded, By: by, User: u.ID})
}

// RenamePasskey names one of the caller's passkeys.
func (s *Service) RenamePasskey(ctx context.Context, id passkey.ID, name string, by audit.Actor) (
	p *passkey.Passkey, err error) {
	name, problems := ParseName("input.name", name)
	if problems == nil && name == "" {
		problems = []fault.Field{{Path: "input.name", Reason: fault.Required, Message: "a passkey needs a name"}}
	}
	if err := fault.Invalid(problems); err != nil {
		return nil, err
	}
	if err := s.throttle.Take(ctx, throttle.OwnActs, "passkey", string(by.UserID)); err != nil {
		return nil, err
	}
	_, err = s.act(ctx, by.UserID, by, func(tx *store.Tx, u *User) (err error) {
		if p, err = passkey.Rename(tx, u.ID, id, name); err != nil {
			return err
		}
		return audit.Record(tx, audit.Event{Action: audit.PasskeyRenamed, By: by, User: u.ID})
	})
	return p, err
}

// RemovePasskey removes one of the caller's passkeys, unless it is the last way in. It withdraws what passkeys have
// proved from all sessions: one of them may be on the device that the user has lost.
func (s *Service) RemovePasskey(ctx context.Context, id passkey.ID, by audit.Actor) (*User, error) {
	return s.act(ctx, by.UserID, by, func(tx *store.Tx, u *User) error {
		if _, err := passkey.Remove(tx, u.ID, id); err != nil {
			return err
		}
		if err := s.requireWayIn(tx, u); err != nil {
			return err
		}
		if err := s.sessions.LowerPasskeys(tx, u.ID); err != nil {
			return err
		}
		if err := s.notify(tx, mail.PasskeyRemoved, u, by); err != nil {
			return err
		}
		return audit.Record(tx, audit.Event{Action: audit.PasskeyRemoved, By: by, User: u.ID})
	})
}

// RemovePassword removes the caller's password, unless it is the last way in. A reset by mail sets another.
func (s *Service) RemovePassword(ctx context.Context, by audit.Actor) (*User, error) {
	return s.act(ctx, by.UserID, by, func(tx *store.Tx, u *User) error {
		removed, err := tx.Exec(`UPDATE users SET password_hash = NULL, password_change_required = FALSE,
			updated_at = now_us() WHERE id = $1 AND password_hash IS NOT NULL`, u.ID)
		if err != nil {
			return fmt.Errorf("remove password: %w", err)
		}
		if removed == 0 {
			return nil
		}
		u.PasswordChangeRequired = false
		if err := s.requireWayIn(tx, u); err != nil {
			return err
		}
		if err := s.notify(tx, mail.PasswordRemoved, u, by); err != nil {
			return err
		}
		return audit.Record(tx, audit.Event{Action: audit.PasswordRemoved, By: by, User: u.ID})
	})
}

var errLastCredential = fault.New(fault.Conflict, fault.LastCredential,
	"this is the only way to sign in to your account: set up another first")

// requireWayIn returns LAST_CREDENTIAL if u can no longer sign in. Call it after each removal of a credential, in the
// transaction that has locked the user's row: of two concurrent removals of the last two, one is refused. The link of
// a reset does not count, because a mail server may be off tomorrow; a code does, because --sign-in promises it.
func (s *Service) requireWayIn(tx *store.Tx, u *User) error {
	if s.mailing.Codes {
		return nil
	}
	var hasPassword bool
	err := tx.Get(&hasPassword, "SELECT password_hash IS NOT NULL FROM users WHERE id = $1", u.ID)
	if err != nil {
		return fmt.Errorf("look for a password: %w", err)
	}
	if hasPassword {
		return nil
	}
	opens, err := s.passkeys.Opens(tx, u.ID)
	if err == nil && !opens {
		opens, err = s.social.Has(tx, u.ID)
	}
	if err == nil && !opens {
		err = errLastCredential
	}
	return err
}
