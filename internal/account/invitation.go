package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/challenge"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// maxMessage is the maximum length of the message of an invitation, in characters.
const maxMessage = 1000

// invitationsKept is how long an invitation is listed after its expiry.
const invitationsKept = 90 * 24 * time.Hour

// InvitationState is what has become of an invitation. The SDL's enum InvitationState has the same names in capitals.
type InvitationState string

// The states.
const (
	InvitationPending  InvitationState = "pending"
	InvitationAccepted InvitationState = "accepted"
	InvitationRevoked  InvitationState = "revoked"
	InvitationExpired  InvitationState = "expired" // it can be sent again
)

// Invitation lets the owner of an address create an account with certain roles. An address has one open invitation at
// most: the latest.
type Invitation struct {
	ID        string          `db:"id"`
	Email     string          `db:"email"`
	Roles     token.Roles     `db:"roles"` // including roles that the SDL no longer has
	Message   string          `db:"message"`
	InvitedBy ID              `db:"invited_by"` // who sent it last; empty for the command line
	CreatedAt store.Time      `db:"created_at"`
	ExpiresAt store.Time      `db:"expires_at"`
	State     InvitationState `db:"state"`
}

func (i *Invitation) position() store.Position { return store.Position{i.ID} }

// key returns the key of the address, which has been parsed.
func (i *Invitation) key() string {
	key, _ := EmailKey(i.Email)
	return key
}

const (
	invitationColumns = `id, email, roles, message, invited_by, created_at, expires_at,
		CASE WHEN accepted_at IS NOT NULL THEN 'accepted' WHEN revoked_at IS NOT NULL THEN 'revoked'
			WHEN expires_at <= now_us() THEN 'expired' ELSE 'pending' END AS state`
	openInvitation = "accepted_at IS NULL AND revoked_at IS NULL"
)

var (
	errInvitationNotFound = fault.New(fault.NotFound, fault.InvitationNotFound,
		"there is no open invitation with this id")
	errHasAccount = fault.New(fault.Conflict, fault.EmailTaken, "there is already an account with this e-mail address")
)

// Invite mails a link to an address that has no account. It replaces an open invitation of that address, so that only
// the roles given last can be had. It returns CONFLICT with EMAIL_TAKEN if there is an account: an invitation never
// changes one.
func (s *Service) Invite(ctx context.Context, email string, roles []token.Role, message string, by audit.Actor) (
	*Invitation, error) {
	address, problems := ParseEmail("input.email", email)
	message, more := parseMessage("input.message", message)
	if err := fault.Invalid(append(problems, more...)); err != nil {
		return nil, err
	}
	id, err := newID(0)
	if err != nil {
		return nil, err
	}
	return s.invite(ctx, by, func(tx *store.Tx) (*Invitation, error) {
		var i Invitation
		err := tx.Get(&i, `INSERT INTO invitations (id, email, email_key, roles, message, invited_by, created_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, now_us(), $7)
			ON CONFLICT (email_key) WHERE `+openInvitation+` DO UPDATE SET id = excluded.id, email = excluded.email,
				roles = excluded.roles, message = excluded.message, invited_by = excluded.invited_by,
				created_at = excluded.created_at, expires_at = excluded.expires_at
			RETURNING `+invitationColumns,
			id, address.Address, address.Key, token.NewRoles(append(roles, RoleUser)...), message, by.UserID, s.invitedUntil())
		if err != nil {
			return nil, fmt.Errorf("write invitation: %w", err)
		}
		if err := challenge.VoidSubject(tx, challenge.Invitation, address.Key); err != nil {
			return nil, err
		}
		return &i, recordInvitation(tx, audit.UserInvited, &i, by)
	})
}

// ResendInvitation mails another link for an open invitation, also one that has expired, and makes the caller its
// sender. Earlier links stay valid until they expire: they lead to the same mailbox.
func (s *Service) ResendInvitation(ctx context.Context, id string, by audit.Actor) (*Invitation, error) {
	return s.invite(ctx, by, func(tx *store.Tx) (*Invitation, error) {
		i, err := updateInvitation(tx, id, "invited_by = $2, expires_at = $3", by.UserID, s.invitedUntil())
		if err != nil {
			return nil, err
		}
		return i, recordInvitation(tx, audit.InvitationResent, i, by)
	})
}

// RevokeInvitation voids all links of an open invitation.
func (s *Service) RevokeInvitation(ctx context.Context, id string, by audit.Actor) (i *Invitation, err error) {
	err = s.db.Tx(ctx, func(tx *store.Tx) error {
		if err := session.Authorize(tx, by); err != nil {
			return err
		}
		if i, err = updateInvitation(tx, id, "revoked_at = now_us()"); err != nil {
			return err
		}
		if err := challenge.VoidSubject(tx, challenge.Invitation, i.key()); err != nil {
			return err
		}
		return recordInvitation(tx, audit.InvitationRevoked, i, by)
	})
	return i, err
}

// invite mails the invitation that write returns.
func (s *Service) invite(ctx context.Context, by audit.Actor, write func(*store.Tx) (*Invitation, error)) (
	i *Invitation, err error) {
	if !s.mailing.Outbox.Enabled() {
		return nil, errNotOffered
	}
	err = s.db.Tx(ctx, func(tx *store.Tx) error {
		if err := session.Authorize(tx, by); err != nil {
			return err
		}
		if i, err = write(tx); err != nil {
			return err
		}
		return s.mailInvitation(tx, i)
	})
	return i, err
}

func (s *Service) mailInvitation(tx *store.Tx, i *Invitation) error {
	var taken bool
	err := tx.Get(&taken, "SELECT EXISTS (SELECT 1 FROM users WHERE email_key = $1)", i.key())
	if err != nil {
		return fmt.Errorf("look for address: %w", err)
	}
	if taken {
		return errHasAccount
	}
	admitted, err := s.mailing.Outbox.Admit(tx, string(mail.Invitation)+" "+i.key())
	if err != nil {
		return err
	}
	if !admitted { // administrators may know that the address has had mails
		e := fault.New(fault.RateLimited, fault.TooManyAttempts, "this address has had too many invitations: try again later")
		e.RetryAfter = time.Minute
		return e
	}
	c := &challenge.Challenge{Kind: challenge.Invitation, Subject: i.key(), Payload: []byte(i.Email)}
	if _, err := s.mailing.Challenges.Issue(tx, c); err != nil {
		return err
	}
	return s.mailing.Outbox.Send(tx, mail.Message{Kind: mail.Invitation, To: i.Email, Challenge: c.ID,
		Data: map[string]string{"message": i.Message}, Expires: i.ExpiresAt.Std()})
}

func (s *Service) invitedUntil() store.Time {
	return store.TimeOf(s.mailing.Challenges.Expiry(challenge.Invitation))
}

// updateInvitation changes the open invitation id, whose row it locks. The arguments of set begin with $2.
func updateInvitation(tx *store.Tx, id, set string, args ...any) (*Invitation, error) {
	if uuid.Validate(id) != nil {
		return nil, errInvitationNotFound
	}
	var i Invitation
	err := tx.Get(&i, "UPDATE invitations SET "+set+" WHERE id = $1 AND "+openInvitation+" RETURNING "+invitationColumns,
		append([]any{id}, args...)...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errInvitationNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("update invitation: %w", err)
	}
	return &i, nil
}

func recordInvitation(tx *store.Tx, action audit.Action, i *Invitation, by audit.Actor) error {
	return audit.Record(tx, audit.Event{Action: action, By: by, Detail: i.ID + ": " + i.Roles.String()})
}

// revokeInvitationsOf voids the open invitations that u has sent. u is no administrator any more: an attacker who was
// one could come back by an invitation.
func revokeInvitationsOf(tx *store.Tx, u *User) error {
	var keys []string
	err := tx.Select(&keys, "UPDATE invitations SET revoked_at = now_us() WHERE invited_by = $1 AND "+openInvitation+
		" RETURNING email_key", u.ID)
	if err != nil {
		return fmt.Errorf("revoke invitations: %w", err)
	}
	for _, key := range keys {
		if err := challenge.VoidSubject(tx, challenge.Invitation, key); err != nil {
			return err
		}
	}
	return nil
}

// CheckInvitation returns the challenge of an invitation's link, and the address that was invited.
func (s *Service) CheckInvitation(ctx context.Context, token string, by audit.Actor) (
	c *challenge.Challenge, email string, err error) {
	c, err = s.check(ctx, challenge.Invitation, token, by)
	if err != nil {
		return nil, "", err
	}
	return c, string(c.Payload), nil
}

// AcceptInvitation redeems c in tx: it creates the account u with the roles of the invitation and a verified address.
// It returns CONFLICT with EMAIL_TAKEN if the address has got an account since, which stays as it is.
func (s *Service) AcceptInvitation(tx *store.Tx, c *challenge.Challenge, u *User, hash string, by audit.Actor) error {
	// The invitation first: Invite and RevokeInvitation lock it before its challenges, too.
	var i Invitation
	err := tx.Get(&i, "UPDATE invitations SET accepted_at = now_us() WHERE email_key = $1 AND "+openInvitation+
		" AND expires_at > now_us() RETURNING "+invitationColumns, c.Subject)
	if errors.Is(err, sql.ErrNoRows) {
		return c.Kind.Refusal()
	}
	if err != nil {
		return fmt.Errorf("accept invitation: %w", err)
	}
	if err := s.mailing.Challenges.Redeem(tx, c); err != nil {
		return err
	}
	if err := challenge.VoidSubject(tx, challenge.Invitation, c.Subject); err != nil {
		return err
	}
	u.Roles = i.Roles
	err = Create(tx, u, hash, by)
	if fault.Is(err, fault.EmailTaken) {
		return errHasAccount.Because(err)
	}
	if err != nil {
		return err
	}
	err = audit.Record(tx, audit.Event{Action: audit.InvitationAccepted, By: by, User: u.ID, Detail: i.ID})
	if err != nil {
		return err
	}
	return setVerified(tx, u, by)
}

// Invitations returns the invitations that are not older than about three months, the newest first.
func (s *Service) Invitations(ctx context.Context, w store.Window) (*store.Page[Invitation], error) {
	var q store.Query
	var rows []*Invitation
	err := s.db.Select(ctx, &rows, "SELECT "+invitationColumns+" FROM invitations WHERE TRUE"+
		q.Within(w, newestFirst)+newestFirst.By(w)+w.LimitClause(), q.Args...)
	if err != nil {
		return nil, fmt.Errorf("list invitations: %w", err)
	}
	return store.NewPage(w, rows, (*Invitation).position), nil
}

// CountInvitations returns the number of invitations that Invitations lists.
func (s *Service) CountInvitations(ctx context.Context) (n int, err error) {
	if err := s.db.Get(ctx, &n, "SELECT count(*) FROM invitations"); err != nil {
		return 0, fmt.Errorf("count invitations: %w", err)
	}
	return n, nil
}

// PruneInvitations deletes invitations that expired long ago.
func (s *Service) PruneInvitations(ctx context.Context) error {
	return s.db.Prune(ctx, "invitations", "id", "expires_at < now_us() - $2", invitationsKept.Microseconds())
}

// parseMessage returns the message of an invitation, which is plain text.
func parseMessage(path, s string) (string, []fault.Field) {
	s = Trim(strings.ReplaceAll(s, "\r\n", "\n"))
	if utf8.RuneCountInString(s) > maxMessage {
		return "", []fault.Field{{Path: path, Reason: fault.TooLong,
			Message: fmt.Sprintf("the message is longer than %d characters", maxMessage)}}
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && breaksLine(r) }) {
		return "", []fault.Field{{Path: path, Reason: fault.Malformed,
			Message: "the message contains characters that cannot be displayed safely"}}
	}
	return s, nil
}
