package account

import (
	"context"
	"fmt"
	"slices"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// Acts on the accounts of others: by an administrator, or on the command line, which has no caller and leaves audit
// entries without an actor.

var errLastAdmin = fault.New(fault.Conflict, fault.LastAdmin, "this is the last administrator: give somebody else the role ADMIN first")

// SetRoles replaces the roles of a user; USER is always among them. Tokens issued before are stale at once.
func (s *Service) SetRoles(ctx context.Context, caller token.Claims, id ID, roles []token.Role, from audit.Origin) (*User, error) {
	return s.changeRoles(ctx, &caller, id, func([]token.Role) []token.Role { return roles }, from)
}

// ChangeRoles adds and removes roles, from the command line.
func (s *Service) ChangeRoles(ctx context.Context, id ID, add, remove []token.Role) (*User, error) {
	return s.changeRoles(ctx, nil, id, func(roles []token.Role) []token.Role {
		return slices.DeleteFunc(append(roles, add...), func(r token.Role) bool { return slices.Contains(remove, r) })
	}, audit.Origin{})
}

func (s *Service) changeRoles(ctx context.Context, caller *token.Claims, id ID, change func([]token.Role) []token.Role, from audit.Origin) (*User, error) {
	return s.act(ctx, caller, id, func(tx *store.Tx, u *User) error {
		roles := append(change(u.Roles()), RoleUser)
		before, after := u.RoleList, joinRoles(roles)
		if before == after {
			return nil
		}
		if !slices.Contains(roles, RoleAdmin) {
			if err := keepAnAdmin(tx, u); err != nil {
				return err
			}
		}
		u.RoleList = after
		if _, err := tx.Exec("UPDATE users SET roles = $2, updated_at = now_us() WHERE id = $1", id, after); err != nil {
			return fmt.Errorf("change roles: %w", err)
		}
		if err := index(tx, u); err != nil {
			return err
		}
		if err := s.sessions.MarkStale(tx, id); err != nil {
			return err
		}
		return record(tx, caller, audit.Event{Action: audit.PrivilegePermissionsChanged, User: id, From: from, Detail: before + " → " + after})
	})
}

// SetDisabled disables an account, which ends all its sessions at once, or enables it again.
func (s *Service) SetDisabled(ctx context.Context, caller token.Claims, id ID, disabled bool, from audit.Origin) (*User, error) {
	return s.changeDisabled(ctx, &caller, id, disabled, from)
}

// ChangeDisabled is SetDisabled from the command line.
func (s *Service) ChangeDisabled(ctx context.Context, id ID, disabled bool) (*User, error) {
	return s.changeDisabled(ctx, nil, id, disabled, audit.Origin{})
}

func (s *Service) changeDisabled(ctx context.Context, caller *token.Claims, id ID, disabled bool, from audit.Origin) (*User, error) {
	return s.act(ctx, caller, id, func(tx *store.Tx, u *User) error {
		if u.Disabled() == disabled {
			return nil
		}
		action := audit.UserEnabled
		if disabled {
			action = audit.UserDisabled
			if err := keepAnAdmin(tx, u); err != nil {
				return err
			}
			if _, err := s.sessions.EndAll(tx, id, ""); err != nil {
				return err
			}
		}
		err := tx.Get(u, "UPDATE users SET disabled_at = CASE WHEN $2 THEN now_us() END, updated_at = now_us() WHERE id = $1 RETURNING "+userColumns, id, disabled)
		if err != nil {
			return fmt.Errorf("disable user: %w", err)
		}
		if err := index(tx, u); err != nil {
			return err
		}
		return record(tx, caller, audit.Event{Action: action, User: id, From: from})
	})
}

// RevokeSessions ends all sessions of a user; it returns how many.
func (s *Service) RevokeSessions(ctx context.Context, caller token.Claims, id ID, from audit.Origin) (n int, err error) {
	_, err = s.act(ctx, &caller, id, func(tx *store.Tx, _ *User) (err error) {
		n, err = s.sessions.EndAllBy(tx, caller.UserID, id, from)
		return err
	})
	return n, err
}

// Remove deletes another's account for good, as Delete does one's own.
func (s *Service) Remove(ctx context.Context, caller token.Claims, id ID, from audit.Origin) error {
	_, err := s.act(ctx, &caller, id, func(tx *store.Tx, u *User) error { return s.remove(tx, caller, u, from) })
	return err
}

func (s *Service) remove(tx *store.Tx, caller token.Claims, u *User, from audit.Origin) error {
	if err := keepAnAdmin(tx, u); err != nil {
		return err
	}
	if _, err := s.sessions.EndAll(tx, u.ID, ""); err != nil {
		return err
	}
	if _, err := tx.Exec("DELETE FROM users WHERE id = $1", u.ID); err != nil {
		return fmt.Errorf("delete user: %w", err)
	}
	return record(tx, &caller, audit.Event{Action: audit.UserDeleted, User: u.ID, From: from})
}

// act runs f in a transaction on the user id, whose row is locked, once session.Authorize has let caller pass. It
// returns the user as f leaves it. Only the command line has a nil caller, which may do everything.
func (s *Service) act(ctx context.Context, caller *token.Claims, id ID, f func(tx *store.Tx, u *User) error) (u *User, err error) {
	if !isID(id) {
		return nil, errUserNotFound
	}
	err = s.db.Tx(ctx, func(tx *store.Tx) (err error) {
		if caller == nil {
			err = session.Lock(tx, id)
		} else {
			err = session.Authorize(tx, *caller, id)
		}
		if err != nil {
			return err
		}
		if u, err = read(tx, id); err != nil {
			return err
		}
		return f(tx, u)
	})
	return u, err
}

// record writes the audit entry of what caller did.
func record(tx *store.Tx, caller *token.Claims, e audit.Event) error {
	return audit.Record(tx, done(caller, e))
}

// done completes the audit entry of what caller did.
func done(caller *token.Claims, e audit.Event) audit.Event {
	e.Outcome = audit.Done
	if caller != nil {
		e.Actor, e.Session = caller.UserID, caller.SessionID
	}
	return e
}

// keepAnAdmin refuses with LAST_ADMIN if u, whose row tx holds, is the only enabled administrator. It holds
// all of them until the end of tx, so that of two who depose each other the second is refused.
func keepAnAdmin(tx *store.Tx, u *User) error {
	if u.Disabled() || !slices.Contains(u.Roles(), RoleAdmin) {
		return nil
	}
	admin := facet(RoleAdmin, false)
	if _, err := tx.Exec("UPDATE user_terms SET user_id = user_id WHERE term = $1", admin); err != nil {
		return fmt.Errorf("hold administrators: %w", err)
	}
	var others bool
	err := tx.Get(&others, "SELECT EXISTS (SELECT 1 FROM user_terms t JOIN users u ON u.id = t.user_id WHERE t.term = $1 AND u.id <> $2 AND u.disabled_at IS NULL)", admin, u.ID)
	if err != nil {
		return fmt.Errorf("count administrators: %w", err)
	}
	if !others {
		return errLastAdmin
	}
	return nil
}
