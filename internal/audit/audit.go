// Package audit owns the append-only record of what happened to accounts and sessions: who, to whom,
// from where. An entry is written in the transaction of what it records, so there is never one
// without the other. It never holds a token, a password or a value of a request.
package audit

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/graphwarden/graphwarden/internal/store"
)

// Action is what happened, in the vocabulary of the OWASP Logging cheat sheet where it has a word.
type Action string

// The actions recorded.
const (
	UserCreated       Action = "user_created"
	UserUpdated       Action = "user_updated"
	UserDeleted       Action = "user_deleted"
	UserDisabled      Action = "user_disabled"
	UserEnabled       Action = "user_enabled"
	RolesChanged      Action = "privilege_permissions_changed"
	PasswordChanged   Action = "authn_password_change"
	LoginSucceeded    Action = "authn_login_success"
	Reauthenticated   Action = "authn_reauthenticated"
	SessionRevoked    Action = "authn_token_revoked"
	RefreshReused     Action = "authn_token_reuse"
	RefreshElsewhere  Action = "authn_token_replayed_elsewhere"
	GenerationAhead   Action = "generation_ahead"
	SessionCapReached Action = "session_cap_reached"
)

// Outcome tells whether the action was done or refused.
type Outcome string

// The outcomes.
const (
	Done    Outcome = "done"
	Refused Outcome = "refused"
)

// Origin is where a request came from. UserAgent is the client's own claim; the web layer has already
// taken line breaks and other control characters out of it, so that it cannot forge an entry.
type Origin struct {
	IP        string
	UserAgent string
	RequestID string
}

// Event is one entry. Actor is empty for a stranger and for the command line.
type Event struct {
	Action  Action
	Outcome Outcome
	Actor   string
	User    string
	Session string
	From    Origin
	Detail  string
}

// Record appends e in tx.
func Record(tx *store.Tx, e Event) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("audit id: %w", err)
	}
	_, err = tx.Exec(`INSERT INTO audit_log (id, at, action, outcome, actor_id, user_id, session_id, ip, user_agent, request_id, detail)
		VALUES ($1, now_us(), $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		id.String(), e.Action, e.Outcome, e.Actor, e.User, e.Session, e.From.IP, e.From.UserAgent, e.From.RequestID, e.Detail)
	if err != nil {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	return nil
}
