package session

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
	"github.com/graphwarden/graphwarden/internal/token"
)

// ID names a session; it is the sid of its tokens.
type ID = token.SessionID

// MaxPerUser is the maximum number of live sessions per user. Another sign-in ends the oldest.
const MaxPerUser = 100

// Session is one sign-in of one user on one device.
type Session struct {
	ID         ID           `db:"id"`
	UserID     token.UserID `db:"user_id"`
	CreatedAt  store.Time   `db:"created_at"`
	LastSeenAt store.Time   `db:"last_seen_at"` // up to a minute behind
	ExpiresAt  store.Time   `db:"expires_at"`   // moves with each refresh
	IP         string       `db:"ip"`           // of the last sign-in or refresh
	UserAgent  string       `db:"user_agent"`   // of the last sign-in or refresh
	Current    bool         `db:"-"`            // whether it is that of the caller who reads it
}

// OwnerID returns the session's user, for @auth(owner: true).
func (s *Session) OwnerID() token.UserID { return s.UserID }

const columns = "id, user_id, created_at, last_seen_at, expires_at, ip, user_agent"

// columns returns the destinations of columns.
func (s *Session) columns() []any {
	return []any{&s.ID, &s.UserID, &s.CreatedAt, &s.LastSeenAt, &s.ExpiresAt, &s.IP, &s.UserAgent}
}

// Subject is the user that tokens are issued to, as the issuing transaction reads it.
type Subject struct {
	ID      token.UserID `db:"id"`
	Roles   token.Roles  `db:"roles"`
	Version int64        `db:"version"`
	// EmailVerified is whether the user has proved their address.
	EmailVerified bool `db:"email_verified"`
	// HasFactor is whether the account demands a second factor.
	HasFactor bool `db:"has_factor"`
}

// Grant is a pair of new tokens and their session.
type Grant struct {
	AccessToken  string
	RefreshToken *string // nil if the client gets it in a cookie
	Session      *Session
	claims       token.Claims
}

// Principal returns the claims of the access token. The guard judges the fields of the payload by them.
func (g *Grant) Principal() *token.Claims { return &g.claims }

// TokenType returns the scheme of the Authorization header (RFC 6750).
func (g *Grant) TokenType() string { return "Bearer" }

// ExpiresAt returns the expiry of the access token.
func (g *Grant) ExpiresAt() store.Time { return store.TimeOf(g.claims.ExpiresAt) }

// ExpiresIn returns the lifetime of the access token in seconds (RFC 6749, section 5.1), for clients whose clock is
// wrong.
func (g *Grant) ExpiresIn() int32 {
	return int32(g.claims.ExpiresAt.Sub(g.claims.IssuedAt) / time.Second)
}

// RefreshExpiresAt returns the expiry of the refresh token, which is the session's idle limit.
func (g *Grant) RefreshExpiresAt() store.Time { return g.Session.ExpiresAt }

// Options are the limits of a session.
type Options struct {
	// IdleLife is the maximum time between two refreshes.
	IdleLife time.Duration
	// MaxLife is the maximum session lifetime.
	MaxLife time.Duration
	// Grace is how long after a rotation the previous refresh token still gets the same successor, by the database's
	// clock.
	Grace time.Duration
}

// Service starts, refreshes and ends sessions.
type Service struct {
	db       *store.DB
	issuer   *token.Issuer
	macKeys  [][]byte // the current key first
	view     *View
	throttle *throttle.Throttle
	options  Options
	replayed atomic.Int64
}

// NewService returns a Service.
func NewService(db *store.DB, issuer *token.Issuer, s *secret.Secret, view *View, throttle *throttle.Throttle,
	o Options) *Service {
	macKeys := s.Keys("refresh token mac")
	return &Service{db: db, issuer: issuer, macKeys: macKeys, view: view, throttle: throttle, options: o}
}

// Replayed returns how many previous refresh tokens got the same successor again.
func (s *Service) Replayed() int64 { return s.replayed.Load() }

// row is a session with the columns that a rotation needs.
type row struct {
	Session
	Salt           string
	Generation     int64
	SeenGeneration int64
	AuthTime       store.Time
	Methods        string
	ProofIsOwn     bool // whether a reauthentication made the current generation
	RotatedAt      store.Time
	EndsAt         store.Time
	RevokedAt      *int64
	RefreshEmpty   store.Time // the bucket of refreshes
	Now            store.Time
}

const rowColumns = columns + `, salt, generation, seen_generation, auth_time, amr,
	prior_auth_time IS NOT NULL, rotated_at, ends_at, revoked_at, refresh_empty, now_us()`

// columns returns the destinations of rowColumns.
func (r *row) columns() []any {
	return append(r.Session.columns(), &r.Salt, &r.Generation, &r.SeenGeneration, &r.AuthTime, &r.Methods,
		&r.ProofIsOwn, &r.RotatedAt, &r.EndsAt, &r.RevokedAt, &r.RefreshEmpty, &r.Now)
}

// Start creates a session for subject. The caller must have locked the user's row in tx, so that the cap is exact.
// methods becomes the amr claim (RFC 8176).
func (s *Service) Start(tx *store.Tx, subject Subject, methods []string, by audit.Actor) (*Grant, error) {
	if err := s.view.CheckClock(); err != nil {
		return nil, err
	}
	if err := s.catchUp(tx, &subject, "", by); err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("session id: %w", err)
	}
	var r row
	err = tx.Scan(r.columns(), `INSERT INTO sessions (id, user_id, salt, generation, seen_generation, auth_time, amr,
			created_at, rotated_at, last_seen_at, expires_at, ends_at, ip, user_agent)
		VALUES ($1, $2, $3, 1, 0, now_us(), $4, now_us(), now_us(), now_us(), now_us() + $5, now_us() + $6, $7, $8)
		RETURNING `+rowColumns,
		id.String(), subject.ID, newSalt(), strings.Join(methods, " "),
		min(s.options.IdleLife, s.options.MaxLife-lastMoments).Microseconds(), s.options.MaxLife.Microseconds(),
		by.IP, by.UserAgent)
	if err != nil {
		return nil, fmt.Errorf("start session: %w", err)
	}
	if err := s.endOldest(tx, subject.ID, by); err != nil {
		return nil, err
	}
	return s.grant(&r, subject, s.issuer.Now())
}

// beyondMax is the SQL for whether a session of a user is beyond MaxPerUser.
var beyondMax = fmt.Sprintf(`user_id = $1 AND id NOT IN (SELECT id FROM sessions
	WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > now_us()
	ORDER BY created_at DESC, id DESC LIMIT %d)`, MaxPerUser) // as an argument, SQLite would plan each execution again

// endOldest ends the oldest sessions of user beyond MaxPerUser.
func (s *Service) endOldest(tx *store.Tx, user token.UserID, by audit.Actor) error {
	ended, err := s.end(tx, beyondMax, user)
	if err != nil {
		return err
	}
	for _, one := range ended {
		event := audit.Event{Action: audit.SessionCapReached, User: user, Session: one.ID, By: by}
		if err := audit.Record(tx, event); err != nil {
			return err
		}
	}
	return nil
}

// lastMoments is the end of a session's life in which no access token is issued. Token times are whole seconds of this
// replica's clock, so such a token might never be valid. The published end of a session lies before it.
const lastMoments = token.Leeway + time.Second

// isLive is the SQL for whether a session has not expired and is not in its last moments.
var isLive = fmt.Sprintf("expires_at > now_us() AND ends_at >= now_us() + %d", lastMoments.Microseconds())

// grant issues both tokens for the current generation of r, as of the time at.
func (s *Service) grant(r *row, subject Subject, at time.Time) (*Grant, error) {
	if r.EndsAt.Sub(r.Now) < lastMoments {
		return nil, errSessionExpired
	}
	refresh, err := s.refreshToken(r.ID, r.Generation, r.Salt)
	if err != nil {
		return nil, err
	}
	access, claims, err := s.issuer.IssueAt(at, token.Claims{
		UserID: subject.ID, SessionID: r.ID, Generation: r.Generation, Roles: subject.Roles, Version: subject.Version,
		EmailVerified: subject.EmailVerified, HasFactor: subject.HasFactor,
		AuthTime: r.AuthTime.Std(), Methods: strings.Fields(r.Methods),
	}, r.EndsAt.Std())
	if err != nil {
		return nil, fmt.Errorf("issue access token: %w", err)
	}
	r.Current = true
	return &Grant{AccessToken: access, RefreshToken: &refresh, Session: &r.Session, claims: claims}, nil
}

// Rotate records in tx that the user has proved a credential again. The session gets its next generation, and a new
// auth_time if the proof is complete: all that the account demands. methods are added to those of the session, because
// a later proof does not undo an earlier one. The previous refresh token stays usable within the grace, but does not
// get the new auth_time. Rotate refuses a session that has ended with SESSION_REVOKED.
func (s *Service) Rotate(
	tx *store.Tx, id ID, subject Subject, methods []string, complete bool, by audit.Actor,
) (*Grant, error) {
	if err := s.view.CheckClock(); err != nil {
		return nil, err
	}
	methods, err := unite(tx, id, methods)
	if err != nil {
		return nil, err
	}
	var r row
	err = tx.Scan(r.columns(), `UPDATE sessions SET generation = generation + 1, seen_generation = generation,
			rotated_at = now_us(), prior_auth_time = auth_time, prior_amr = amr, amr = $3,
			auth_time = CASE WHEN $7 THEN now_us() ELSE auth_time END,
			ip = $4, user_agent = $5, expires_at = `+idleLimit("$6")+`
		WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL AND expires_at > now_us() RETURNING `+rowColumns,
		id, subject.ID, strings.Join(methods, " "), by.IP, by.UserAgent, s.options.IdleLife.Microseconds(), complete)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errSessionRevoked
	}
	if err != nil {
		return nil, fmt.Errorf("rotate session: %w", err)
	}
	return s.grant(&r, subject, s.issuer.Now())
}

// unite returns the methods of a session followed by those of added that are new. It locks the session's row against
// a refresh that withdraws a proof.
func unite(tx *store.Tx, id ID, added []string) ([]string, error) {
	var column string
	err := tx.Get(&column, "UPDATE sessions SET amr = amr WHERE id = $1 RETURNING amr", id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errSessionRevoked
	}
	if err != nil {
		return nil, fmt.Errorf("read methods of session: %w", err)
	}
	united := strings.Fields(column)
	for _, method := range added {
		if !slices.Contains(united, method) {
			united = append(united, method)
		}
	}
	return united, nil
}

// idleLimit returns the SQL for the next idle limit: life microseconds from now, but never within lastMoments of the
// absolute limit. SQLite's two-argument MIN and Postgres's LEAST have no common name.
func idleLimit(life string) string {
	last := fmt.Sprintf("ends_at - %d", lastMoments.Microseconds())
	return "CASE WHEN now_us() + " + life + " < " + last + " THEN now_us() + " + life + " ELSE " + last + " END"
}

// byUser lists the live sessions of a user. Ids are UUIDv7, and therefore in order of creation.
var byUser = store.Owned[token.UserID, Session]{
	Table:     "sessions",
	Columns:   columns,
	Into:      (*Session).columns,
	Condition: "revoked_at IS NULL AND expires_at > (SELECT now_us())", // once, and not for each row
	Owner:     "user_id",
	OwnerOf:   (*Session).OwnerID,
	Order:     store.Order{Columns: []store.Column{{Name: "id"}}, Descending: true},
	Position:  func(s *Session) store.Position { return store.Position{string(s.ID)} },
}

// List returns the same window of the live sessions of each user, newest first. current is the caller's session.
func (s *Service) List(
	ctx context.Context, users []token.UserID, current ID, w store.Window,
) (map[token.UserID]*store.Page[Session], error) {
	pages, err := byUser.Pages(ctx, s.db, users, w)
	for _, page := range pages {
		for _, one := range page.Rows {
			one.Current = one.ID == current
		}
	}
	return pages, err
}

// ByID returns a live session, or NOT_FOUND. current is the caller's session.
func (s *Service) ByID(ctx context.Context, id, current ID) (*Session, error) {
	if uuid.Validate(string(id)) != nil {
		return nil, errSessionNotFound
	}
	one := Session{Current: id == current}
	err := s.db.Scan(ctx, one.columns(), "SELECT "+columns+` FROM sessions
		WHERE id = $1 AND revoked_at IS NULL AND expires_at > now_us()`, id)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errSessionNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read session: %w", err)
	}
	return &one, nil
}

// Count returns the number of live sessions of each user. Users without any are not in the map.
func (s *Service) Count(ctx context.Context, users []token.UserID) (map[token.UserID]int, error) {
	return byUser.Counts(ctx, s.db, users)
}
