// Package account owns users: who they are, how they prove it, and what changes about them. It
// promises that passwords are kept only as bcrypt of a keyed hash, that an unknown address, a wrong
// password and a disabled account look and cost the same, and that a change which takes rights away
// is in force with its commit. It does not know GraphQL or HTTP.
package account

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/password"
	"github.com/graphwarden/graphwarden/internal/session"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
	"github.com/graphwarden/graphwarden/internal/token"
)

// ID names a user; it is the sub of their tokens.
type ID = token.UserID

// The roles this package itself knows. The SDL's enum Role is the whole list.
const (
	RoleUser  token.Role = "USER"
	RoleAdmin token.Role = "ADMIN"
)

// passwordMethod is the amr of a password (RFC 8176).
const passwordMethod = "pwd"

// User is an account.
type User struct {
	ID            ID          `db:"id"`
	Email         string      `db:"email"`
	EmailVerified bool        `db:"email_verified"`
	Username      *string     `db:"username"`
	Name          string      `db:"name"`
	RoleList      string      `db:"roles"`
	CreatedAt     store.Time  `db:"created_at"`
	DisabledAt    *store.Time `db:"disabled_at"`
	Version       int64       `db:"version"`
}

const userColumns = "id, email, email_verified, username, name, roles, created_at, disabled_at, version"

// OwnerID says that a user owns themself, for @auth(owner: true).
func (u *User) OwnerID() ID { return u.ID }

// Roles lists the user's roles, sorted, those that were taken out of the SDL since among them.
func (u *User) Roles() []token.Role { return session.ParseRoles(u.RoleList) }

// Disabled reports whether the account was disabled.
func (u *User) Disabled() bool { return u.DisabledAt != nil }

func (u *User) subject() session.Subject {
	return session.Subject{ID: u.ID, Roles: u.Roles(), Version: u.Version}
}

// credentials is a user with what only this package may see.
type credentials struct {
	User
	PasswordHash string `db:"password_hash"` // empty: none set, or no such user
}

const credentialColumns = userColumns + ", COALESCE(password_hash, '') AS password_hash"

// Service registers, signs in and changes accounts.
type Service struct {
	db       *store.DB
	sessions *session.Service
	throttle *throttle.Throttle
	hasher   *password.Hasher
	policy   password.Policy
	audit    *audit.Log
	hasRole  func(token.Role) bool
	log      *slog.Logger
}

// NewService wires a Service. hasRole tells of the roles of the SDL.
func NewService(db *store.DB, sessions *session.Service, throttle *throttle.Throttle, hasher *password.Hasher, policy password.Policy, audit *audit.Log, hasRole func(token.Role) bool, log *slog.Logger) *Service {
	return &Service{db: db, sessions: sessions, throttle: throttle, hasher: hasher, policy: policy, audit: audit, hasRole: hasRole, log: log}
}

var (
	errInvalidCredentials = fault.New(fault.Unauthenticated, fault.InvalidCredentials, "the e-mail address, username or password is wrong")
	errIDTaken            = errors.New("there is already an account with this id")
	errUserNotFound       = fault.New(fault.NotFound, fault.UserNotFound, "there is no such user")
)

// Registration is what register asks for.
type Registration struct {
	Email    string
	Password string
	Username *string
	Name     *string
}

// Register creates an account with the role USER and signs it in. It answers BAD_USER_INPUT with every
// problem at once, or CONFLICT with EMAIL_TAKEN or USERNAME_TAKEN.
func (s *Service) Register(ctx context.Context, in Registration, from audit.Origin) (*session.Grant, error) {
	u, err := s.validate(in)
	if err != nil {
		return nil, err
	}
	if err := s.hasher.Full(); err != nil {
		return nil, err
	}
	if err := s.throttle.Register(ctx, from.IP); err != nil {
		return nil, err
	}
	hash, err := s.hasher.Hash(ctx, in.Password)
	if err != nil {
		return nil, err
	}
	var grant *session.Grant
	err = s.db.Tx(ctx, func(tx *store.Tx) (err error) {
		if err := create(tx, u, hash, from); err != nil {
			return err
		}
		if err := s.throttle.Remember(tx, u.ID, from.IP); err != nil {
			return err
		}
		grant, err = s.sessions.Start(tx, u.subject(), []string{passwordMethod}, from)
		return err
	})
	return grant, err
}

func (s *Service) validate(in Registration) (*User, error) {
	u, problems := identity(in)
	problems = append(problems, s.policy.Check("input.password", in.Password, Trim(in.Email), Trim(value(in.Username)))...)
	return u, fault.Invalid(problems)
}

// identity checks all of a registration but its password.
func identity(in Registration) (*User, []fault.Field) {
	u := &User{RoleList: string(RoleUser), Version: 1}
	email, problems := ParseEmail("input.email", in.Email)
	u.Email = email.Address
	if in.Username != nil {
		username, more := ParseUsername("input.username", *in.Username)
		u.Username, problems = &username, append(problems, more...)
	}
	name, more := ParseName("input.name", value(in.Name))
	u.Name, problems = name, append(problems, more...)
	return u, problems
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// create inserts u and reads it back. It keeps an id and a time of creation that u already has.
func create(tx *store.Tx, u *User, hash string, from audit.Origin) error {
	if u.ID == "" {
		id, err := newID(u.CreatedAt)
		if err != nil {
			return err
		}
		u.ID = id
	}
	key, _ := EmailKey(u.Email)
	err := tx.Get(u, `INSERT INTO users (id, email, email_key, email_verified, username, name, roles, password_hash, version, created_at, updated_at)
		VALUES ($1, $2, $3, FALSE, $4, $5, $6, NULLIF($7, ''), 1, COALESCE(NULLIF(CAST($8 AS BIGINT), 0), now_us()), now_us())
		ON CONFLICT (id) DO NOTHING RETURNING `+userColumns,
		u.ID, u.Email, key, u.Username, u.Name, u.RoleList, hash, u.CreatedAt)
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
	if u.RoleList != string(RoleUser) { // nobody has more without a trace
		detail = u.RoleList
	}
	return audit.Record(tx, audit.Event{Action: audit.UserCreated, Outcome: audit.Done, User: u.ID, From: from, Detail: detail})
}

// newID makes a UUID of version 7, with the time at if it is given, because lists are in the order of ids.
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

func taken(err error, doing string) error {
	switch {
	case store.Conflict(err, "email_key"):
		return clash("input.email", fault.EmailTaken, "there is already an account with this e-mail address").Because(err)
	case store.Conflict(err, "username"):
		return clash("input.username", fault.UsernameTaken, "this username is taken").Because(err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// clash names the input at fault, so that a form shows it there like any other problem.
func clash(path string, reason fault.Reason, message string) *fault.Error {
	e := fault.New(fault.Conflict, reason, message)
	e.Fields = []fault.Field{{Path: path, Reason: reason, Message: message}}
	return e
}

// ByID reads a user; NOT_FOUND if there is none.
func (s *Service) ByID(ctx context.Context, id ID) (*User, error) {
	if !isID(id) {
		return nil, errUserNotFound
	}
	var u User
	err := s.db.Get(ctx, &u, "SELECT "+userColumns+" FROM users WHERE id = $1", id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errUserNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read user: %w", err)
	}
	return &u, nil
}

// ByIDs reads users in one query, in the order of ids; nil stands for those that do not exist. It is
// for batched resolvers.
func (s *Service) ByIDs(ctx context.Context, ids []ID) ([]*User, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var q store.Query
	var found []*User
	query := "SELECT " + userColumns + " FROM users WHERE id IN " + store.In(&q, ids)
	if err := s.db.Select(ctx, &found, query, q.Args...); err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	byID := make(map[ID]*User, len(found))
	for _, u := range found {
		byID[u.ID] = u
	}
	users := make([]*User, len(ids))
	for i, id := range ids {
		users[i] = byID[id]
	}
	return users, nil
}

// isID reports whether id can be a user's. Other text need not reach a database, which would choke on some.
func isID(id ID) bool { return uuid.Validate(string(id)) == nil }

// Roles lists the roles of u that are the SDL's: clients know no other, and no field asks for one.
func (s *Service) Roles(u *User) []token.Role {
	return slices.DeleteFunc(u.Roles(), func(r token.Role) bool { return !s.hasRole(r) })
}

func read(tx *store.Tx, id ID) (*User, error) {
	var u User
	err := tx.Get(&u, "SELECT "+userColumns+" FROM users WHERE id = $1", id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errUserNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read user: %w", err)
	}
	return &u, nil
}

// Profile is a change of a user's own data; nil leaves a field as it is. An empty username removes it.
type Profile struct {
	Username *string
	Name     *string
}

// changes reports whether p leaves u other than it is.
func (p Profile) changes(u *User) bool {
	return p.Username != nil && *p.Username != value(u.Username) || p.Name != nil && *p.Name != u.Name
}

// UpdateProfile changes the caller's profile. What changes nothing writes nothing.
func (s *Service) UpdateProfile(ctx context.Context, caller token.Claims, in Profile, from audit.Origin) (*User, error) {
	var problems []fault.Field
	if in.Username != nil {
		username := Trim(*in.Username)
		if in.Username = &username; username != "" {
			_, problems = ParseUsername("input.username", username)
		}
	}
	if in.Name != nil {
		name, more := ParseName("input.name", *in.Name)
		in.Name, problems = &name, append(problems, more...)
	}
	if err := fault.Invalid(problems); err != nil {
		return nil, err
	}
	if u, err := s.ByID(ctx, caller.UserID); err == nil && !in.changes(u) {
		return u, nil
	}
	// In a transaction of its own: a username that is taken is an attempt too, or it would be free to ask for any.
	err := s.db.Tx(ctx, func(tx *store.Tx) error { return s.throttle.Own(tx, caller.UserID, "profile") })
	if err != nil {
		return nil, err
	}
	return s.act(ctx, &caller, caller.UserID, func(tx *store.Tx, u *User) error {
		err := tx.Get(u, `UPDATE users SET username = NULLIF(COALESCE($2, username), ''), name = COALESCE($3, name), updated_at = now_us()
			WHERE id = $1 RETURNING `+userColumns, caller.UserID, in.Username, in.Name)
		if err != nil {
			return taken(err, "update profile")
		}
		if err := index(tx, u); err != nil {
			return err
		}
		return audit.RecordFolded(tx, done(&caller, audit.Event{Action: audit.UserUpdated, User: u.ID, From: from}))
	})
}

// Delete removes the caller's account for good, with its sessions. Tokens still alive are revoked.
// confirmEmail must be the account's address, in any spelling of it.
func (s *Service) Delete(ctx context.Context, caller token.Claims, confirmEmail string, from audit.Origin) error {
	key, possible := EmailKey(confirmEmail)
	_, err := s.act(ctx, &caller, caller.UserID, func(tx *store.Tx, u *User) error {
		own, _ := EmailKey(u.Email)
		if confirmed := possible && key == own || Trim(confirmEmail) == u.Email; !confirmed {
			return fault.Invalid([]fault.Field{{Path: "input.confirmEmail", Reason: fault.Malformed, Message: "this is not the e-mail address of your account"}})
		}
		return s.remove(tx, caller, u, from)
	})
	return err
}

// joinRoles is the column for a set of roles.
func joinRoles(roles []token.Role) string {
	sorted := slices.SortedFunc(slices.Values(roles), cmp.Compare)
	var names []string
	for _, role := range slices.Compact(sorted) {
		names = append(names, string(role))
	}
	return strings.Join(names, " ")
}
