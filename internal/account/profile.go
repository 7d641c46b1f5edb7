package account

import (
	"context"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
)

// Profile is a change of a user's own data. A nil field stays as it is; an empty username removes it.
type Profile struct {
	Username *string
	Name     *string
}

// changes reports whether p would change u.
func (p Profile) changes(u *User) bool {
	return p.Username != nil && *p.Username != value(u.Username) || p.Name != nil && *p.Name != u.Name
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
			updated_at = now_us() WHERE id = $1 RETURNING `+userColumns, by.UserID, in.Username, in.Name)
		if err != nil {
			return taken(err, "update profile")
		}
		if err := index(tx, u); err != nil {
			return err
		}
		return audit.Record(tx, audit.Event{Action: audit.UserUpdated, By: by, User: u.ID})
	})
}
