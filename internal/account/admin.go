package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// What follows is done to others' accounts: by an administrator, or on the command line, where nobody is
// signed in and entries in the audit log have no actor.

var errLastAdmin = fault.New(fault.Conflict, fault.LastAdmin, "this is the last administrator: give somebody else the role ADMIN first")

// SetRoles replaces the roles of a user; USER is always among them. Tokens issued before are stale at once.
func (s *Service) SetRoles(ctx context.Context, caller token.Claims, id ID, roles []token.Role, from audit.Origin) (*User, error) {
	return s.changeRoles(ctx, caller, id, func([]token.Role) []token.Role { return roles }, from)
}

// ChangeRoles adds and removes roles, from the command line.
func (s *Service) ChangeRoles(ctx context.Context, id ID, add, remove []token.Role) (*User, error) {
	return s.changeRoles(ctx, token.Claims{}, id, func(roles []token.Role) []token.Role {
		return slices.DeleteFunc(append(roles, add...), func(r token.Role) bool { return slices.Contains(remove, r) })
	}, audit.Origin{})
}

func (s *Service) changeRoles(ctx context.Context, caller token.Claims, id ID, change func([]token.Role) []token.Role, from audit.Origin) (*User, error) {
	var u *User
	err := s.db.Tx(ctx, func(tx *store.Tx) (err error) {
		if u, err = hold(tx, id); err != nil {
			return err
		}
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
		return audit.Record(tx, audit.Event{Action: audit.RolesChanged, Outcome: audit.Done, Actor: caller.UserID, User: id,
			Session: caller.SessionID, From: from, Detail: before + " → " + after})
	})
	return u, err
}

// SetDisabled disables an account, which ends all its sessions at once, or enables it again.
func (s *Service) SetDisabled(ctx context.Context, caller token.Claims, id ID, disabled bool, from audit.Origin) (*User, error) {
	var u *User
	err := s.db.Tx(ctx, func(tx *store.Tx) (err error) {
		if u, err = hold(tx, id); err != nil || u.Disabled() == disabled {
			return err
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
		err = tx.Get(u, "UPDATE users SET disabled_at = CASE WHEN $2 THEN now_us() END, updated_at = now_us() WHERE id = $1 RETURNING "+userColumns, id, disabled)
		if err != nil {
			return fmt.Errorf("disable user: %w", err)
		}
		if err := index(tx, u); err != nil {
			return err
		}
		return audit.Record(tx, audit.Event{Action: action, Outcome: audit.Done, Actor: caller.UserID, User: id, Session: caller.SessionID, From: from})
	})
	return u, err
}

// RevokeSessions ends all sessions of a user; it returns how many.
func (s *Service) RevokeSessions(ctx context.Context, caller token.Claims, id ID, from audit.Origin) (n int, err error) {
	err = s.db.Tx(ctx, func(tx *store.Tx) error {
		if _, err := hold(tx, id); err != nil {
			return err
		}
		n, err = s.sessions.EndAllBy(tx, caller.UserID, id, from)
		return err
	})
	return n, err
}

// Remove deletes another's account for good, as Delete does one's own.
func (s *Service) Remove(ctx context.Context, caller token.Claims, id ID, from audit.Origin) error {
	return s.db.Tx(ctx, func(tx *store.Tx) error {
		u, err := hold(tx, id)
		if err != nil {
			return err
		}
		return s.remove(tx, caller, u, from)
	})
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
	return audit.Record(tx, audit.Event{Action: audit.UserDeleted, Outcome: audit.Done, Actor: caller.UserID, User: u.ID,
		Session: caller.SessionID, From: from})
}

// hold reads a user and holds the row against other writers.
func hold(tx *store.Tx, id ID) (*User, error) {
	if !isID(id) {
		return nil, errUserUnknown
	}
	var u User
	err := tx.Get(&u, "UPDATE users SET updated_at = updated_at WHERE id = $1 RETURNING "+userColumns, id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errUserUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("hold user: %w", err)
	}
	return &u, nil
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
