package session

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// Scope selects the sessions that a logout ends.
type Scope string

// The scopes, as in the SDL's enum LogoutScope.
const (
	ScopeCurrent Scope = "CURRENT"
	ScopeOthers  Scope = "OTHERS"
	ScopeAll     Scope = "ALL"
)

// stop marks the live sessions that match condition as revoked and returns them.
func stop(tx *store.Tx, condition string, args ...any) (stopped []Session, err error) {
	err = tx.Select(&stopped, "UPDATE sessions SET revoked_at = now_us() WHERE ("+condition+
		") AND revoked_at IS NULL AND expires_at > now_us() RETURNING "+columns, args...)
	if err != nil {
		return nil, fmt.Errorf("end sessions: %w", err)
	}
	return stopped, nil
}

// end ends the live sessions that match condition, adds a revocation for each, and returns them. The caller must have
// locked their user's row, because Authorize relies on it.
func (s *Service) end(tx *store.Tx, condition string, args ...any) ([]Session, error) {
	ended, err := stop(tx, condition, args...)
	for _, one := range ended {
		if err := s.view.revoke(tx, revocation{SessionID: one.ID}); err != nil {
			return nil, err
		}
	}
	return ended, err
}

var errSessionNotFound = fault.New(fault.NotFound, fault.SessionNotFound, "you have no such session")

// Revoke ends one session of the caller's user. A foreign id, an unknown id and an ended session all get the same
// NOT_FOUND.
func (s *Service) Revoke(ctx context.Context, id ID, by audit.Actor) (*Session, error) {
	// Other text must not reach the database, which rejects some of it. uuid.Parse would accept any character in place
	// of the braces around an id, even NUL.
	if uuid.Validate(string(id)) != nil {
		return nil, errSessionNotFound
	}
	var one *Session
	err := s.db.Tx(ctx, func(tx *store.Tx) error {
		if err := Authorize(tx, by); err != nil {
			return err
		}
		ended, err := s.end(tx, "id = $1 AND user_id = $2", id, by.UserID)
		if err != nil {
			return err
		}
		if len(ended) == 0 {
			return errSessionNotFound
		}
		one = &ended[0]
		one.Current = one.ID == by.SessionID
		return recordEnd(tx, by.UserID, ended, "revoked", by)
	})
	return one, err
}

// Logout ends sessions of the caller's user and returns their number.
func (s *Service) Logout(ctx context.Context, scope Scope, by audit.Actor) (n int, err error) {
	err = s.db.Tx(ctx, func(tx *store.Tx) error {
		if err := Authorize(tx, by); err != nil {
			return err
		}
		n, err = s.logout(tx, scope, by)
		return err
	})
	return n, err
}

// LogoutByRefreshToken is Logout for a client whose access token has expired. The refresh token alone identifies the
// session. A spent one ends only its own session, as redeeming it would.
func (s *Service) LogoutByRefreshToken(
	ctx context.Context, raw string, scope Scope, by audit.Actor,
) (n int, err error) {
	p, err := s.authentic(ctx, raw, by)
	if err != nil {
		return 0, err
	}
	var refusal error // a value, so that the end of a reused session commits although the caller is refused
	err = s.db.Tx(ctx, func(tx *store.Tx) error {
		if err := Lock(tx, p.user); err != nil {
			return err
		}
		r, err := reread(tx, p)
		if err != nil {
			return err
		}
		v := r.judge(p.generation, s.options.Grace)
		if refusal = v.refusal(); v == reused {
			return s.endReused(tx, r, p, by)
		}
		if refusal == nil {
			by.UserID, by.SessionID = p.user, p.id
			n, err = s.logout(tx, scope, by)
		}
		return err
	})
	return n, cmp.Or(err, refusal)
}

// logout ends sessions of by's user. scope is relative to by's session.
func (s *Service) logout(tx *store.Tx, scope Scope, by audit.Actor) (n int, err error) {
	var ended []Session
	user, id := by.UserID, by.SessionID
	switch scope {
	case ScopeAll:
		ended, err = s.EndAll(tx, user, "")
	case ScopeOthers:
		ended, err = s.end(tx, "user_id = $1 AND id <> $2", user, id)
	default:
		ended, err = s.end(tx, "user_id = $1 AND id = $2", user, id)
	}
	if err != nil {
		return 0, err
	}
	return len(ended), recordEnd(tx, user, ended, "logout", by)
}

// EndAll ends all live sessions of user except kept, which may be empty. It refuses every access token issued so far
// by raising the user's authorization version, so it is one revocation for any number of sessions. It also voids the
// refresh tokens of kept, because the stolen token may be one of them: the caller returns a new pair, made by Rotate.
func (s *Service) EndAll(tx *store.Tx, user token.UserID, kept ID) ([]Session, error) {
	version, err := s.raiseVersion(tx, user)
	if err != nil {
		return nil, err
	}
	const renewSalt = "UPDATE sessions SET salt = $3 WHERE user_id = $1 AND id = $2"
	if _, err := tx.Exec(renewSalt, user, kept, newSalt()); err != nil {
		return nil, fmt.Errorf("void refresh tokens: %w", err)
	}
	ended, err := stop(tx, "user_id = $1 AND id <> $2", user, kept)
	if err != nil {
		return nil, err
	}
	return ended, s.view.revoke(tx, revocation{UserID: user, BelowVersion: version, KeptSession: kept})
}

// EndAllBy ends all live sessions of user on behalf of by and returns their number.
func (s *Service) EndAllBy(tx *store.Tx, user token.UserID, by audit.Actor) (int, error) {
	ended, err := s.EndAll(tx, user, "")
	if err != nil {
		return 0, err
	}
	return len(ended), recordEnd(tx, user, ended, "revoked", by)
}

// MarkStale makes every access token issued to user so far stale, because its claims are no longer true. A refresh
// returns new claims. The user's sessions stay live.
func (s *Service) MarkStale(tx *store.Tx, user token.UserID) error {
	version, err := s.raiseVersion(tx, user)
	if err != nil {
		return err
	}
	return s.view.revoke(tx, revocation{UserID: user, BelowVersion: version, Stale: true})
}

// raiseVersion gives the user a new authorization version, which tells earlier tokens from later ones. A version is
// the time in microseconds by the clock that is ahead, or the last version plus one. So no version repeats, even after
// a restore or a failover that lost some.
func (s *Service) raiseVersion(tx *store.Tx, user token.UserID) (version int64, err error) {
	err = tx.Get(&version, `UPDATE users SET version = CASE WHEN version >= $2 AND version >= now_us() THEN version + 1
		WHEN now_us() > $2 THEN now_us() ELSE $2 END WHERE id = $1 RETURNING version`, user, s.view.floor(user))
	if errors.Is(err, sql.ErrNoRows) {
		return 0, errSessionRevoked // the account was deleted
	}
	if err != nil {
		return 0, fmt.Errorf("raise authorization version: %w", err)
	}
	return version, nil
}

func recordEnd(tx *store.Tx, user token.UserID, ended []Session, detail string, by audit.Actor) error {
	for _, one := range ended {
		event := audit.Event{Action: audit.AuthnTokenRevoked, By: by, User: user, Session: one.ID, Detail: detail}
		err := audit.Record(tx, event)
		if err != nil {
			return err
		}
	}
	return nil
}

// Prune deletes expired revocations, and sessions past their absolute limit. Refresh tokens of deleted sessions are
// refused as unknown.
func (s *Service) Prune(ctx context.Context) error {
	if err := s.db.Prune(ctx, "sessions", "id", "ends_at < now_us()"); err != nil {
		return err
	}
	return s.db.Prune(ctx, "revocations", "id", "expires_at < now_us()")
}
