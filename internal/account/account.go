package account

import (
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/graphwarden/graphwarden/internal/challenge"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/mail"
	"github.com/graphwarden/graphwarden/internal/mfa"
	"github.com/graphwarden/graphwarden/internal/passkey"
	"github.com/graphwarden/graphwarden/internal/password"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/social"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
	"github.com/graphwarden/graphwarden/internal/token"
)

// ID names a user; it is the sub of their tokens.
type ID = token.UserID

// The roles that this package knows. The SDL's enum Role has the complete list.
const (
	RoleUser  token.Role = "USER"
	RoleAdmin token.Role = "ADMIN"
)

// User is an account.
type User struct {
	ID            ID          `db:"id"`
	Email         string      `db:"email"`
	EmailVerified bool        `db:"email_verified"`
	Username      *string     `db:"username"`
	Name          string      `db:"name"`
	Roles         token.Roles `db:"roles"` // including roles that the SDL no longer has
	CreatedAt     store.Time  `db:"created_at"`
	DisabledAt    *store.Time `db:"disabled_at"`
	DeletesAt     *store.Time `db:"deletes_at"` // nil unless the user has deleted the account, and can still sign in
	Version       int64       `db:"version"`
	// PasswordChangeRequired keeps the password from starting sessions until it is replaced.
	PasswordChangeRequired bool `db:"password_change_required"`
	// HasFactor is whether sign-ins need a second factor.
	HasFactor bool `db:"has_factor"`
	// Locale is the language of the user's mails (BCP 47); nil for the default.
	Locale *string `db:"locale"`
	// Notifications are the notices that the user gets by mail.
	Notifications
}

const userColumns = "id, email, email_verified, username, name, roles, created_at, disabled_at, deletes_at, version, " +
	"password_change_required, has_factor, locale, notify_sign_in"

// columns returns the destinations of userColumns.
func (u *User) columns() []any {
	return []any{&u.ID, &u.Email, &u.EmailVerified, &u.Username, &u.Name, &u.Roles, &u.CreatedAt, &u.DisabledAt,
		&u.DeletesAt, &u.Version, &u.PasswordChangeRequired, &u.HasFactor, &u.Locale, &u.NewSignIn}
}

// OwnerID returns the user's own id, for @auth(owner: true).
func (u *User) OwnerID() ID { return u.ID }

// Disabled reports whether the account is disabled.
func (u *User) Disabled() bool { return u.DisabledAt != nil }

// Hidden reports whether the user has deleted the account, which only a sign-in can still keep.
func (u *User) Hidden() bool { return u.DeletesAt != nil }

// Subject returns the user as the subject of tokens.
func (u *User) Subject() session.Subject {
	return session.Subject{ID: u.ID, Roles: u.Roles, Version: u.Version, EmailVerified: u.EmailVerified,
		HasFactor: u.HasFactor}
}

// Service reads, registers and changes accounts.
type Service struct {
	db          *store.DB
	sessions    *session.Service
	throttle    *throttle.Throttle
	hasher      *password.Hasher
	policy      password.Policy
	view        *View
	hasRole     func(token.Role) bool
	deleteGrace time.Duration
	mailing     Mailing
	factors     *mfa.Service
	passkeys    *passkey.Service
	social      *social.Service
}

// Mailing is what the flows need that send mail.
type Mailing struct {
	Challenges *challenge.Service
	Outbox     *mail.Outbox
	// Silent hides from callers of Register whether an address has an account.
	Silent bool
	// Closed refuses to register accounts.
	Closed bool
	// Invites is set with Closed if invitations are how accounts are made.
	Invites bool
	// Verifies sends a verification mail to new accounts, and Requires lets them sign in only after it.
	Verifies, Requires bool
	// Codes lets users sign in with a code from a mail.
	Codes bool
}

// NewService returns a Service. view may be nil, and then every read goes to the database. hasRole reports whether the
// SDL has a role. deleteGrace is how long after Delete a user can still cancel it; 0 for not at all.
func NewService(db *store.DB, sessions *session.Service, throttle *throttle.Throttle, hasher *password.Hasher,
	policy password.Policy, view *View, hasRole func(token.Role) bool, deleteGrace time.Duration,
	mailing Mailing, factors *mfa.Service, passkeys *passkey.Service, social *social.Service) *Service {
	return &Service{
		db:          db,
		sessions:    sessions,
		throttle:    throttle,
		hasher:      hasher,
		policy:      policy,
		view:        view,
		hasRole:     hasRole,
		deleteGrace: deleteGrace,
		mailing:     mailing,
		factors:     factors,
		passkeys:    passkeys,
		social:      social,
	}
}

var (
	errIDTaken      = errors.New("there is already an account with this id")
	errUserNotFound = fault.New(fault.NotFound, fault.UserNotFound, "there is no such user")
)

// isID reports whether id can be a user's. Other text must not reach a database, which rejects some of it.
func isID(id ID) bool { return uuid.Validate(string(id)) == nil }

// Roles returns those of roles that the SDL has.
func (s *Service) Roles(roles token.Roles) []token.Role {
	return slices.DeleteFunc(slices.Clone(roles), func(r token.Role) bool { return !s.hasRole(r) })
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
