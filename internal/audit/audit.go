// Package audit owns the append-only record of what happened to accounts and sessions: who, to whom,
// from where. An entry is written in the transaction of what it records, so there is never one
// without the other. It never holds a token, a password or a value of a request.
//
// It promises too that refusals, which a stranger can cause at will, are folded and bounded in number,
// and that whoever follows the log hears of each entry, whichever replica wrote it.
package audit

import (
	"fmt"

	"github.com/google/uuid"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// Action is what happened, in the vocabulary of the OWASP Logging cheat sheet where it has a word. The
// SDL's enum AuditAction repeats the list in capitals.
type Action string

// The actions recorded.
const (
	UserCreated                 Action = "user_created"
	UserUpdated                 Action = "user_updated"
	UserDeleted                 Action = "user_deleted"
	UserDisabled                Action = "user_disabled"
	UserEnabled                 Action = "user_enabled"
	PrivilegePermissionsChanged Action = "privilege_permissions_changed"
	AuthnPasswordChange         Action = "authn_password_change"
	AuthnLoginSuccess           Action = "authn_login_success"
	AuthnLoginFail              Action = "authn_login_fail"
	AuthnReauthenticated        Action = "authn_reauthenticated"
	AuthnReauthenticateFail     Action = "authn_reauthenticate_fail"
	AuthnTokenRevoked           Action = "authn_token_revoked"
	AuthnTokenReuse             Action = "authn_token_reuse"
	AuthnTokenReplayedElsewhere Action = "authn_token_replayed_elsewhere"
	GenerationAhead             Action = "generation_ahead"
	SessionCapReached           Action = "session_cap_reached"
	SigningKeyRotated           Action = "signing_key_rotated"
	SigningKeyRevoked           Action = "signing_key_revoked"
)

// Outcome tells whether the action was done or refused.
type Outcome string

// The outcomes; the SDL's enum AuditOutcome repeats them in capitals.
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

// Event is what is to be recorded. Actor is empty for a stranger and for the command line, User where
// there is no such user.
type Event struct {
	Action  Action
	Outcome Outcome
	Actor   token.UserID
	User    token.UserID
	Session token.SessionID
	From    Origin
	Detail  string
}

// topic is what followers of the log are woken by.
const topic = "audit"

// Record appends e in tx.
func Record(tx *store.Tx, e Event) error { return write(tx, e, "") }

// RecordFolded is Record for what one client can cause as often as it likes. The same act about one session from one
// address folds into one entry a minute.
func RecordFolded(tx *store.Tx, e Event) error {
	var minute int64
	if err := tx.Get(&minute, "SELECT now_us() / 60000000"); err != nil {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	return write(tx, e, fmt.Sprintf("%s %s %s %s %d", e.Action, e.User, e.Session, e.From.IP, minute))
}

// write appends e, or counts it in the entry that has the same fold, if that is not empty.
func write(tx *store.Tx, e Event, fold string) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("audit id: %w", err)
	}
	_, err = tx.Exec(`INSERT INTO audit_log (id, at, last_at, count, action, outcome, actor_id, user_id, session_id, ip, user_agent, request_id, detail, fold)
		VALUES ($1, now_us(), now_us(), 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULLIF($11, ''))
		ON CONFLICT (fold) DO UPDATE SET count = audit_log.count + 1, last_at = now_us(), session_id = excluded.session_id,
			ip = excluded.ip, user_agent = excluded.user_agent, request_id = excluded.request_id`,
		id.String(), e.Action, e.Outcome, e.Actor, e.User, e.Session, e.From.IP, e.From.UserAgent, e.From.RequestID, e.Detail, fold)
	if err != nil {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	if fold != "" {
		return nil // followers poll: under attack, notifications would have all commits queue for them
	}
	return tx.Notify(topic)
}
