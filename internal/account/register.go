package account

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/passkey"
	"github.com/graphwarden/graphwarden/internal/password"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/web"
)

// Registration is the input of a registration.
type Registration struct {
	Email    string
	Password string
	Username *string
	Name     *string
	Locale   *string
}

// Credential is what a new account signs in with: one of the two.
type Credential struct {
	Hash    string // of a password
	Passkey *passkey.Creation
}

// CreateWith is Create for an account with c. It uses the challenge of a passkey up.
func (s *Service) CreateWith(tx *store.Tx, u *User, c Credential, by audit.Actor) error {
	if c.Passkey == nil {
		return Create(tx, u, c.Hash, by)
	}
	if err := s.passkeys.Redeem(tx, c.Passkey); err != nil {
		return err
	}
	if err := Create(tx, u, "", by); err != nil {
		return err
	}
	_, err := s.addPasskey(tx, u, "", &c.Passkey.Key, by)
	return err
}

// ValidateIdentity is Validate without a password.
func ValidateIdentity(in Registration) (*User, error) {
	u, problems := identity(in)
	if err := fault.Invalid(problems); err != nil {
		return nil, err
	}
	id, err := newID(0)
	u.ID = id
	return u, err
}

// Validate checks a registration and returns the user it describes, with a new id and the role USER. It reports all
// problems at once as BAD_USER_INPUT.
func (s *Service) Validate(in Registration) (*User, error) {
	u, problems := identity(in)
	if err := fault.Invalid(append(problems, s.checkPassword(in)...)); err != nil {
		return nil, err
	}
	id, err := newID(0)
	u.ID = id
	return u, err
}

func (s *Service) checkPassword(in Registration) []fault.Field {
	return s.policy.Check("input.password", in.Password, Trim(in.Email), Trim(value(in.Username)))
}

// RatePassword rates the password of a registration without registering. It judges as Validate does. Each address has
// a limited number of ratings, RATE_LIMITED beyond it.
func (s *Service) RatePassword(ctx context.Context, in Registration, ip string) (*password.Strength, error) {
	if err := s.throttle.TakeLocal(throttle.PasswordRating, web.Network(ip)); err != nil {
		return nil, err
	}
	return s.hasher.Rate(ctx, in.Password, s.checkPassword(in), in.Email, value(in.Username), value(in.Name))
}

// identity checks everything in a registration except the password.
func identity(in Registration) (*User, []fault.Field) {
	u := &User{Roles: token.NewRoles(RoleUser), Version: 1}
	email, problems := ParseEmail("input.email", in.Email)
	u.Email = email.Address
	if in.Username != nil {
		username, more := ParseUsername("input.username", *in.Username)
		u.Username, problems = &username, append(problems, more...)
	}
	name, more := ParseName("input.name", value(in.Name))
	u.Name, problems = name, append(problems, more...)
	if value(in.Locale) != "" {
		locale, more := ParseLocale("input.locale", *in.Locale)
		u.Locale, problems = &locale, append(problems, more...)
	}
	return u, problems
}

// Create inserts u, whose time of creation is kept if it has one, and reads it back. It returns CONFLICT with
// EMAIL_TAKEN or USERNAME_TAKEN.
func Create(tx *store.Tx, u *User, hash string, by audit.Actor) error {
	key, _ := EmailKey(u.Email)
	err := tx.Get(u, `INSERT INTO users (id, email, email_key, email_verified, username, name, roles, password_hash,
			version, created_at, updated_at, locale)
		VALUES ($1, $2, $3, FALSE, $4, $5, $6, NULLIF($7, ''), 1, COALESCE(NULLIF(CAST($8 AS BIGINT), 0), now_us()),
			now_us(), $9)
		ON CONFLICT (id) DO NOTHING RETURNING `+userColumns,
		u.ID, u.Email, key, u.Username, u.Name, u.Roles, hash, u.CreatedAt, u.Locale)
	if errors.Is(err, sql.ErrNoRows) {
		return errIDTaken
	}
	if err != nil {
		return taken(err, "create user")
	}
	if err := index(tx, u); err != nil {
		return err
	}
	detail := ""
	if !slices.Equal(u.Roles, token.NewRoles(RoleUser)) { // record additional roles
		detail = u.Roles.String()
	}
	return audit.Record(tx, audit.Event{Action: audit.UserCreated, By: by, User: u.ID, Detail: detail})
}

// newID returns a UUID of version 7, for the time at unless that is zero: lists are in the order of ids.
func newID(at store.Time) (ID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("user id: %w", err)
	}
	if at > 0 {
		var ms [8]byte
		binary.BigEndian.PutUint64(ms[:], uint64(at.Std().UnixMilli()))
		copy(id[:6], ms[2:])
	}
	return ID(id.String()), nil
}

// taken turns the violation of a unique column into CONFLICT.
func taken(err error, doing string) error {
	switch {
	case store.Conflict(err, "email_key"):
		return conflict("input.email", fault.EmailTaken, "there is already an account with this e-mail address").Because(err)
	case store.Conflict(err, "username"):
		return conflict("input.username", fault.UsernameTaken, "this username is taken").Because(err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// conflict names the input at fault, so that a form can show the message beside it.
func conflict(path string, reason fault.Reason, message string) *fault.Error {
	e := fault.New(fault.Conflict, reason, message)
	e.Fields = []fault.Field{{Path: path, Reason: reason, Message: message}}
	return e
}

// Add creates an account without signing it in. It always has the role USER.
func (s *Service) Add(ctx context.Context, in Registration, roles []token.Role, by audit.Actor) (*User, error) {
	u, err := s.Validate(in)
	if err != nil {
		return nil, err
	}
	u.Roles = token.NewRoles(append(roles, RoleUser)...)
	hash, err := s.hasher.Hash(ctx, in.Password)
	if err != nil {
		return nil, err
	}
	err = s.db.Tx(ctx, func(tx *store.Tx) error { return Create(tx, u, hash, by) })
	return u, err
}
