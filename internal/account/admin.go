package account

import (
	"context"
	"fmt"
	"slices"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/challenge"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

var errLastAdmin = fault.New(fault.Conflict, fault.LastAdmin,
	"this is the last administrator: give another user the role ADMIN first")

// SetRoles replaces the roles of a user, who always keeps USER. It makes the user's access tokens stale.
func (s *Service) SetRoles(ctx context.Context, id ID, roles []token.Role, by audit.Actor) (*User, error) {
	return s.changeRoles(ctx, id, func(token.Roles) []token.Role { return roles }, by)
}

// ChangeRoles adds and removes roles.
func (s *Service) ChangeRoles(ctx context.Context, id ID, add, remove []token.Role, by audit.Actor) (*User, error) {
	change := func(roles token.Roles) []token.Role {
		return slices.DeleteFunc(append(roles, add...), func(r token.Role) bool { return slices.Contains(remove, r) })
	}
	return s.changeRoles(ctx, id, change, by)
}

func (s *Service) changeRoles(
	ctx context.Context, id ID, change func(token.Roles) []token.Role, by audit.Actor,
) (*User, error) {
	return s.act(ctx, id, by, func(tx *store.Tx, u *User) error {
		return s.setRoles(tx, u, change(slices.Clone(u.Roles)), by)
	})
}

// setRoles replaces the roles of u, whose row is locked.
func (s *Service) setRoles(tx *store.Tx, u *User, roles []token.Role, by audit.Actor) error {
	before, after := u.Roles, token.NewRoles(append(roles, RoleUser)...)
	if slices.Equal(before, after) {
		return nil
	}
	if !after.Has(RoleAdmin) {
		if err := requireOtherAdmin(tx, u); err != nil {
			return err
		}
		if err := revokeInvitationsOf(tx, u); err != nil {
			return err
		}
	}
	u.Roles = after
	if _, err := tx.Exec("UPDATE users SET roles = $2, updated_at = now_us() WHERE id = $1", u.ID, after); err != nil {
		return fmt.Errorf("change roles: %w", err)
	}
	if err := index(tx, u); err != nil {
		return err
	}
	if err := s.sessions.MarkStale(tx, u.ID); err != nil {
		return err
	}
	return audit.Record(tx, audit.Event{Action: audit.PrivilegePermissionsChanged, By: by, User: u.ID,
		Detail: before.String() + " → " + after.String()})
}

// SetDisabled disables an account, which ends all its sessions, or enables it again.
func (s *Service) SetDisabled(ctx context.Context, id ID, disabled bool, by audit.Actor) (*User, error) {
	return s.act(ctx, id, by, func(tx *store.Tx, u *User) error {
		if u.Disabled() == disabled {
			return nil
		}
		action := audit.UserEnabled
		if disabled {
			action = audit.UserDisabled
			if err := s.shutOut(tx, u); err != nil {
				return err
			}
			if err := challenge.Void(tx, u.ID); err != nil {
				return err
			}
		}
		err := tx.Get(u, `UPDATE users SET disabled_at = CASE WHEN $2 THEN now_us() END, updated_at = now_us()
			WHERE id = $1 RETURNING `+userColumns, id, disabled)
		if err != nil {
			return fmt.Errorf("disable user: %w", err)
		}
		if err := index(tx, u); err != nil {
			return err
		}
		return audit.Record(tx, audit.Event{Action: action, By: by, User: id})
	})
}

// RevokeSessions ends all sessions of a user and returns their number.
func (s *Service) RevokeSessions(ctx context.Context, id ID, by audit.Actor) (n int, err error) {
	_, err = s.act(ctx, id, by, func(tx *store.Tx, _ *User) (err error) {
		n, err = s.sessions.EndAllBy(tx, id, by)
		return err
	})
	return n, err
}

// Remove deletes another user's account permanently and at once, also one that waits for its deletion.
func (s *Service) Remove(ctx context.Context, id ID, by audit.Actor) error {
	_, err := s.actOn(ctx, id, by, func(tx *store.Tx, u *User) error { return s.remove(tx, u, by) })
	return err
}

func (s *Service) remove(tx *store.Tx, u *User, by audit.Actor) error {
	if err := s.shutOut(tx, u); err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM users WHERE id = $1", u.ID); err != nil {
		return fmt.Errorf("delete user: %w", err)
	}
	key, _ := EmailKey(u.Email)
	if _, err := tx.Exec("DELETE FROM invitations WHERE email_key = $1", key); err != nil {
		return fmt.Errorf("delete invitations: %w", err)
	}
	if err := s.mailing.Outbox.Forget(tx, string(u.ID)); err != nil {
		return err
	}
	return audit.Record(tx, audit.Event{Action: audit.UserDeleted, By: by, User: u.ID})
}

// shutOut ends all sessions of u and revokes the invitations from u, unless u is the last administrator.
func (s *Service) shutOut(tx *store.Tx, u *User) error {
	if err := requireOtherAdmin(tx, u); err != nil {
		return err
	}
	if err := revokeInvitationsOf(tx, u); err != nil {
		return err
	}
	_, err := s.sessions.EndAll(tx, u.ID, "")
	return err
}

// act is actOn without users that are hidden from by.
func (s *Service) act(
	ctx context.Context, id ID, by audit.Actor, f func(tx *store.Tx, u *User) error,
) (*User, error) {
	return s.actOn(ctx, id, by, func(tx *store.Tx, u *User) error {
		if u.Hidden() && !by.Operator {
			return errUserNotFound
		}
		return f(tx, u)
	})
}

// actOn runs f in a transaction on the user id once session.Authorize has accepted by. The user's row is locked. actOn
// returns the user as f leaves it.
func (s *Service) actOn(
	ctx context.Context, id ID, by audit.Actor, f func(tx *store.Tx, u *User) error,
) (u *User, err error) {
	if !isID(id) {
		return nil, errUserNotFound
	}
	err = s.db.Tx(ctx, func(tx *store.Tx) (err error) {
		if err = session.Authorize(tx, by, id); err != nil {
			return err
		}
		if u, err = Read(tx, id); err != nil {
			return err
		}
		tx.OnCommit(func() { s.view.Drop(id) })
		if err := session.Notify(tx); err != nil {
			return err
		}
		return f(tx, u)
	})
	return u, err
}

// requireOtherAdmin returns LAST_ADMIN if u is the only enabled administrator. It locks the index entries of all
// administrators until the end of tx, so that of two who demote each other the second is refused. Hidden users have no
// entries, and do not count.
func requireOtherAdmin(tx *store.Tx, u *User) error {
	if u.Disabled() || u.Hidden() || !u.Roles.Has(RoleAdmin) {
		return nil
	}
	admin := facet(RoleAdmin, false)
	if _, err := tx.Exec("UPDATE user_terms SET user_id = user_id WHERE term = $1", admin); err != nil {
		return fmt.Errorf("lock administrators: %w", err)
	}
	var others bool
	err := tx.Get(&others, `SELECT EXISTS (SELECT 1 FROM user_terms t JOIN users u ON u.id = t.user_id
		WHERE t.term = $1 AND u.id <> $2 AND u.disabled_at IS NULL)`, admin, u.ID)
	if err != nil {
		return fmt.Errorf("count administrators: %w", err)
	}
	if !others {
		return errLastAdmin
	}
	return nil
}
