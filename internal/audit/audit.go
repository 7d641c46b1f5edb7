package audit

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// Action is what happened, in the vocabulary of the OWASP Logging cheat sheet as far as it goes. The SDL's enum
// AuditAction has the same names in capitals.
type Action string

// The actions.
const (
	UserCreated                 Action = "user_created"
	UserUpdated                 Action = "user_updated"
	UserDeleted                 Action = "user_deleted"
	UserDeletionScheduled       Action = "user_deletion_scheduled"
	UserDeletionCanceled        Action = "user_deletion_canceled"
	UserExported                Action = "user_exported"
	UserDisabled                Action = "user_disabled"
	UserEnabled                 Action = "user_enabled"
	PrivilegePermissionsChanged Action = "privilege_permissions_changed"
	AuthnPasswordChange         Action = "authn_password_change"
	AuthnPasswordReset          Action = "authn_password_reset"
	PasswordChangeRequired      Action = "password_change_required"
	EmailVerified               Action = "email_verified"
	EmailChangeRequested        Action = "email_change_requested"
	EmailChanged                Action = "email_changed"
	EmailChangeReverted         Action = "email_change_reverted"
	UserInvited                 Action = "user_invited"
	InvitationResent            Action = "invitation_resent"
	InvitationRevoked           Action = "invitation_revoked"
	InvitationAccepted          Action = "invitation_accepted"
	UnprovedCredentialsRemoved  Action = "unproved_credentials_removed"
	PasskeyAdded                Action = "passkey_added"
	PasskeyRenamed              Action = "passkey_renamed"
	PasskeyRemoved              Action = "passkey_removed"
	PasskeyCopySuspected        Action = "passkey_copy_suspected"
	PasswordRemoved             Action = "password_removed"
	IdentityLinked              Action = "identity_linked"
	IdentityUnlinked            Action = "identity_unlinked"
	FactorAdded                 Action = "factor_added"
	FactorRemoved               Action = "factor_removed"
	RecoveryCodesReplaced       Action = "recovery_codes_replaced"
	RecoveryCodeUsed            Action = "recovery_code_used"
	AuthnFactorRequired         Action = "authn_factor_required"
	AuthnFactorFail             Action = "authn_factor_fail"
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

// Outcome is whether the act was done or refused.
type Outcome string

// The outcomes. The SDL's enum AuditOutcome has the same names in capitals.
const (
	Done    Outcome = "done"
	Refused Outcome = "refused"
)

// Actor is who acts and from where. The zero Actor is an unauthenticated client, which may do nothing to accounts or
// sessions of others.
type Actor struct {
	// Claims are those of the caller's verified access token, or zero without a token.
	token.Claims
	// Operator marks the command line: it may do everything, because it has the database and its secret.
	Operator bool
	IP       string
	// UserAgent is the client's claim about itself. Control characters are removed, so that it cannot forge an entry.
	UserAgent string
	RequestID string
}

// Event is an act to record.
type Event struct {
	Action  Action
	Outcome Outcome // Done if empty
	By      Actor
	User    token.UserID    // the user acted upon; empty if the account does not exist
	Session token.SessionID // the session acted upon; the actor's if empty
	Detail  string
}

// topic names the notifications of new entries.
const topic = "audit"

// folded lists the actions that one client can cause at will. Those about one session from one address fold into one
// entry per minute.
var folded = []Action{UserUpdated, PasskeyRenamed, AuthnReauthenticated, AuthnTokenReplayedElsewhere}

// Record adds e to the log in tx, or counts it in the entry that it folds into.
func Record(tx *store.Tx, e Event) error {
	if !slices.Contains(folded, e.Action) {
		return write(tx, e, "")
	}
	var minute int64
	if err := tx.Get(&minute, "SELECT now_us() / 60000000"); err != nil {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	session := cmp.Or(e.Session, e.By.SessionID)
	return write(tx, e, fmt.Sprintf("%s %s %s %s %d", e.Action, e.User, session, e.By.IP, minute))
}

// write inserts e. If fold is not empty and an entry has the same fold, it counts e in that entry instead.
func write(tx *store.Tx, e Event, fold string) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("audit id: %w", err)
	}
	_, err = tx.Exec(`INSERT INTO audit_log (id, at, last_at, count, action, outcome, actor_id, user_id, session_id,
			ip, user_agent, request_id, detail, fold)
		VALUES ($1, now_us(), now_us(), 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULLIF($11, ''))
		ON CONFLICT (fold) DO UPDATE SET count = audit_log.count + 1, last_at = now_us(), session_id = excluded.session_id,
			ip = excluded.ip, user_agent = excluded.user_agent, request_id = excluded.request_id`,
		id.String(), e.Action, cmp.Or(e.Outcome, Done), e.By.UserID, e.User, cmp.Or(e.Session, e.By.SessionID),
		e.By.IP, e.By.UserAgent, e.By.RequestID, e.Detail, fold)
	if err != nil {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	if fold != "" {
		return nil // subscribers wait for the next poll: during an attack, notifications would serialize all commits
	}
	return tx.Notify(topic)
}
