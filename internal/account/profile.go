package account

import (
	"context"
	"fmt"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
)

// Notifications are the notices that a user can switch off. Those of changes of credentials are always sent.
type Notifications struct {
	// NewSignIn is whether a session from a new network address is announced.
	NewSignIn bool `db:"notify_sign_in"`
}

// Security is whether changes of credentials are announced: always, because an attacker would switch it off first.
func (Notifications) Security() bool { return true }

// UpdateNotifications switches notices of the caller on or off. A nil value stays as it is.
func (s *Service) UpdateNotifications(ctx context.Context, newSignIn *bool, by audit.Actor) (*User, error) {
	if err := s.throttle.Take(ctx, throttle.OwnActs, "notifications", string(by.UserID)); err != nil {
		return nil, err
	}
	return s.act(ctx, by.UserID, by, func(tx *store.Tx, u *User) error {
		err := tx.Get(u, `UPDATE users SET notify_sign_in = COALESCE($2, notify_sign_in), updated_at = now_us()
			WHERE id = $1 RETURNING `+userColumns, u.ID, newSignIn)
		if err != nil {
			return fmt.Errorf("update notifications: %w", err)
		}
		return audit.Record(tx, audit.Event{Action: audit.UserUpdated, By: by, User: u.ID})
	})
}

// Profile is a change of a user's own data. A nil field stays as it is; an empty username or locale removes it.
type Profile struct {
	Username *string
	Name     *string
	Locale   *string
}

// changes reports whether p would change u.
func (p Profile) changes(u *User) bool {
	return p.Username != nil && *p.Username != value(u.Username) || p.Name != nil && *p.Name != u.Name ||
		p.Locale != nil && *p.Locale != value(u.Locale)
}

// parse returns p in its stored spelling. It reports all problems at once as BAD_USER_INPUT.
func (p Profile) parse() (Profile, error) {
	var problems []fault.Field
	if p.Username != nil {
		username := Trim(*p.Username)
		p.Username = &username
		if username != "" {
			_, problems = ParseUsername("input.username", username)
		}
	}
	if p.Name != nil {
		name, more := ParseName("input.name", *p.Name)
		p.Name, problems = &name, append(problems, more...)
	}
	if p.Locale != nil && *p.Locale != "" {
		locale, more := ParseLocale("input.locale", *p.Locale)
		p.Locale, problems = &locale, append(problems, more...)
	}
	return p, fault.Invalid(problems)
}

// UpdateProfile changes the caller's profile. It writes nothing if nothing changes.
func (s *Service) UpdateProfile(ctx context.Context, in Profile, by audit.Actor) (*User, error) {
	in, err := in.parse()
	if err != nil {
		return nil, err
	}
	if u, err := s.Fresh(ctx, by.UserID); err == nil && !in.changes(u) {
		return u, nil
	}
	// In its own transaction, so that failed attempts count: otherwise one could probe for taken usernames freely.
	err = s.throttle.Take(ctx, throttle.OwnActs, "profile", string(by.UserID))
	if err != nil {
		return nil, err
	}
	return s.act(ctx, by.UserID, by, func(tx *store.Tx, u *User) error {
		err := tx.Get(u, `UPDATE users SET username = NULLIF(COALESCE($2, username), ''), name = COALESCE($3, name),
			locale = NULLIF(COALESCE($4, locale), ''), updated_at = now_us() WHERE id = $1 RETURNING `+userColumns,
			by.UserID, in.Username, in.Name, in.Locale)
		if err != nil {
			return taken(err, "update profile")
		}
		if err := index(tx, u); err != nil {
			return err
		}
		return audit.Record(tx, audit.Event{Action: audit.UserUpdated, By: by, User: u.ID})
	})
}
