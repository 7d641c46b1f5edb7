package session

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/throttle"
	"github.com/graphwarden/graphwarden/internal/token"
	"github.com/graphwarden/graphwarden/internal/web"
)

// A refresh token is refreshPrefix and base64url(session id | generation | MAC). It is not stored. The MAC covers the
// session's salt, which only the database has, under a key that only the deployment has, so neither a dump of the
// database nor the secret is enough to forge one.
const (
	refreshPrefix = "gwr_" // lets secret scanners identify a leaked token
	macOffset     = 16 + 8
	refreshBytes  = macOffset + sha256.Size
	refreshLength = len(refreshPrefix) + (refreshBytes*8+5)/6
)

var errMalformed = errors.New("malformed refresh token")

// presented is a refresh token as a client presents it.
type presented struct {
	id         ID
	generation int64
	mac        []byte
	// The salt that the MAC was verified with, and the session's user.
	salt string
	user token.UserID
}

// parseRefresh parses a refresh token and accepts exactly one spelling of it. Go's decoder skips line breaks and
// ignores unused bits, so the decoded bytes must encode to the same text.
func parseRefresh(raw string) (presented, error) {
	if len(raw) != refreshLength || !strings.HasPrefix(raw, refreshPrefix) {
		return presented{}, errMalformed
	}
	text := raw[len(refreshPrefix):]
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) != refreshBytes || base64.RawURLEncoding.EncodeToString(b) != text {
		return presented{}, errMalformed
	}
	generation := binary.BigEndian.Uint64(b[16:macOffset])
	if generation == 0 || generation > 1<<62 {
		return presented{}, errMalformed
	}
	return presented{
		id:         ID(uuid.UUID(b[:16]).String()),
		generation: int64(generation),
		mac:        b[macOffset:],
	}, nil
}

// Named returns the session id in a refresh token. It does not verify the token.
func Named(raw string) (ID, bool) {
	p, err := parseRefresh(raw)
	return p.id, err == nil
}

func (s *Service) refreshToken(id ID, generation int64, salt string) (string, error) {
	u, err := uuid.Parse(string(id))
	if err != nil {
		return "", fmt.Errorf("session id: %w", err)
	}
	b := binary.BigEndian.AppendUint64(u[:], uint64(generation))
	b = append(b, mac(s.macKeys[0], id, generation, salt)...)
	return refreshPrefix + base64.RawURLEncoding.EncodeToString(b), nil
}

func mac(key []byte, id ID, generation int64, salt string) []byte {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "%s|%d|%s", id, generation, salt) // unambiguous: ids and salts contain no bar
	return h.Sum(nil)
}

func (s *Service) macHolds(p presented) bool {
	for _, key := range s.macKeys {
		if hmac.Equal(p.mac, mac(key, p.id, p.generation, p.salt)) {
			return true
		}
	}
	return false
}

func newSalt() string { return base64.RawURLEncoding.EncodeToString(secret.Random(16)) }

var (
	errRefreshInvalid = fault.New(fault.Unauthenticated, fault.RefreshInvalid,
		"this refresh token is not valid: sign in again")
	errSessionExpired = fault.New(fault.Unauthenticated, fault.SessionExpired,
		"this session has expired: sign in again")
	errSessionRevoked = fault.New(fault.Unauthenticated, fault.SessionRevoked,
		"this session was ended: sign in again")
	errRefreshReused = fault.New(fault.Unauthenticated, fault.RefreshReused,
		"this refresh token was used before, so its session was ended: sign in again")
)

// verdict is the judgement of a refresh token with a valid MAC.
type verdict int

const (
	current verdict = iota // rotate
	ahead                  // the database was restored to an earlier state: catch up, then rotate
	replay                 // return the same successor again
	reused                 // another client has used the successor: end the session
	expired
	revoked
)

// refusal returns the error for the client, or nil if the client gets a grant.
func (v verdict) refusal() error {
	switch v {
	case expired:
		return errSessionExpired
	case revoked:
		return errSessionRevoked
	case reused:
		return errRefreshReused
	}
	return nil
}

// judge returns the verdict on generation g at the time r.Now.
func (r *row) judge(g int64, grace time.Duration) verdict {
	switch {
	case r.RevokedAt != nil:
		return revoked
	case r.ExpiresAt <= r.Now:
		return expired
	case g > r.Generation:
		return ahead
	case g == r.Generation:
		return current
	case g < r.Generation-1:
		return reused
	case r.Now.Sub(r.RotatedAt).Abs() <= grace: // RotatedAt is in the future if the database's clock was set back
		return replay
	case r.SeenGeneration < r.Generation:
		return replay // the successor was never used, so the answer with it was lost
	}
	return reused
}

// authentic verifies the MAC of raw, outside any transaction, and returns the salt and the user of its session. The
// caller must then call reread, which notices a salt that was renewed in between. A token that is not valid counts
// against the caller's address.
func (s *Service) authentic(ctx context.Context, raw string, by audit.Actor) (presented, error) {
	p, err := s.check(ctx, raw)
	if fault.Is(err, fault.RefreshInvalid) {
		err = cmp.Or(s.throttle.TakeLocal(throttle.RefreshInvalid, web.Network(by.IP)), err)
	}
	return p, err
}

func (s *Service) check(ctx context.Context, raw string) (presented, error) {
	p, err := parseRefresh(raw)
	if err != nil {
		return p, errRefreshInvalid.Because(err)
	}
	var r row
	err = s.db.Get(ctx, &r, "SELECT salt, user_id FROM sessions WHERE id = $1", p.id)
	if errors.Is(err, sql.ErrNoRows) {
		return p, errRefreshInvalid.Because(errors.New("unknown session"))
	}
	if err != nil {
		return p, fmt.Errorf("read session: %w", err)
	}
	p.salt, p.user = r.Salt, r.UserID
	if !s.macHolds(p) {
		return p, errRefreshInvalid.Because(errors.New("wrong MAC"))
	}
	return p, nil
}

// reread reads the session of p in tx. It refuses p if the session was deleted since the MAC was verified, or if a
// change of password has voided the token.
func reread(tx *store.Tx, p presented) (*row, error) {
	r := new(row)
	err := tx.Get(r, "SELECT "+rowColumns+" FROM sessions WHERE id = $1", p.id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, errSessionRevoked
	case err != nil:
		return nil, fmt.Errorf("read session: %w", err)
	case r.Salt != p.salt:
		return nil, errRefreshInvalid.Because(errors.New("the salt was renewed"))
	}
	return r, nil
}

// Refresh redeems a refresh token. The previous token gets the same successor within the grace, and also later if
// the successor was never used. Any older token ends the session. Refusals are UNAUTHENTICATED with REFRESH_INVALID,
// REFRESH_REUSED, SESSION_EXPIRED or SESSION_REVOKED.
func (s *Service) Refresh(ctx context.Context, raw string, by audit.Actor) (*Grant, error) {
	p, err := s.authentic(ctx, raw, by)
	if err != nil {
		return nil, err
	}
	var grant *Grant
	var refusal error // a value, so that the transaction that ends a session commits although the caller is refused
	err = s.db.Tx(ctx, func(tx *store.Tx) error {
		grant, refusal = nil, nil
		if err := s.throttle.TakeIn(tx, throttle.Refresh, string(p.id)); err != nil {
			return err
		}
		// Read the user before the session. Ending all sessions raises the version and revokes the sessions in one
		// transaction. In the other order, a session read as live could get a token of the raised version, which no
		// revocation covers.
		subject, err := s.subject(tx, p.user)
		if err != nil {
			return err
		}
		if err := s.catchUp(tx, &subject, p.id, by); err != nil {
			return err
		}
		r, v, err := s.rotate(tx, p, by)
		if err != nil {
			return err
		}
		if refusal = v.refusal(); refusal != nil {
			return nil
		}
		grant, err = s.grant(r, subject)
		return err
	})
	if err := cmp.Or(err, refusal); err != nil {
		return nil, err
	}
	return grant, nil
}

// rotate advances the session past the presented generation, or returns the verdict that forbids it. The
// compare-and-swap comes first and decides alone. The row is judged only if it fails.
func (s *Service) rotate(tx *store.Tx, p presented, by audit.Actor) (*row, verdict, error) {
	for expected := p.generation; ; {
		r, err := s.swap(tx, p, expected, by)
		if err == nil || !errors.Is(err, sql.ErrNoRows) {
			return r, current, err
		}
		if r, err = reread(tx, p); err != nil {
			return nil, 0, err
		}
		switch v := r.judge(p.generation, s.options.Grace); v {
		case current, ahead: // the row changed between the two statements, or the database was restored
			expected = r.Generation
		case replay:
			if r.ProofIsOwn {
				if err := s.withdrawProof(tx, r); err != nil {
					return nil, 0, err
				}
				continue // judge again: the row may have changed since it was read
			}
			return r, v, s.replay(tx, r, by)
		case reused:
			return r, v, s.endReused(tx, r, p, by)
		default:
			return r, v, nil
		}
	}
}

// swap is the one statement that decides a rotation. expected is the presented generation, or a lower one if the
// database was restored to an earlier state.
func (s *Service) swap(tx *store.Tx, p presented, expected int64, by audit.Actor) (*row, error) {
	r := new(row)
	err := tx.Get(r, `UPDATE sessions SET generation = CAST($3 AS BIGINT) + 1, seen_generation = $3,
			rotated_at = now_us(), last_seen_at = now_us(), prior_auth_time = NULL, prior_amr = NULL,
			ip = $4, user_agent = $5, expires_at = `+idleLimit("$6")+`
		WHERE id = $1 AND generation = $2 AND revoked_at IS NULL AND expires_at > now_us() RETURNING `+rowColumns,
		p.id, expected, p.generation, by.IP, by.UserAgent, s.options.IdleLife.Microseconds())
	if errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("rotate session: %w", err)
	}
	if expected == p.generation {
		return r, nil
	}
	return r, audit.Record(tx, audit.Event{Action: audit.GenerationAhead, User: r.UserID,
		Session: r.ID, By: by, Detail: fmt.Sprintf("database had %d, the client %d", expected, p.generation)})
}

// withdrawProof restores the auth_time and amr from before the reauthentication that made r's generation. It runs
// before a replay returns that generation's refresh token: the client of a replay has not shown the password, but
// could redeem that token next. The access token from the reauthentication keeps the proof.
func (s *Service) withdrawProof(tx *store.Tx, r *row) error {
	_, err := tx.Exec(`UPDATE sessions SET auth_time = prior_auth_time, amr = prior_amr,
			prior_auth_time = NULL, prior_amr = NULL
		WHERE id = $1 AND generation = $2 AND prior_auth_time IS NOT NULL`, r.ID, r.Generation)
	if err != nil {
		return fmt.Errorf("withdraw proof: %w", err)
	}
	return nil
}

// replay counts a replay and audits it if it comes from a different client than the rotation. It extends nothing.
func (s *Service) replay(tx *store.Tx, r *row, by audit.Actor) error {
	tx.OnCommit(func() { s.replayed.Add(1) })
	if r.IP == by.IP && r.UserAgent == by.UserAgent {
		return nil
	}
	return audit.Record(tx, audit.Event{Action: audit.AuthnTokenReplayedElsewhere, User: r.UserID,
		Session: r.ID, By: by})
}

// endReused ends the session of p if the row still shows that p is spent. r may be outdated: another transaction may
// have changed the row.
func (s *Service) endReused(tx *store.Tx, r *row, p presented, by audit.Actor) error {
	if err := Lock(tx, r.UserID); err != nil {
		return err
	}
	ended, err := s.end(tx, `id = $1 AND (generation - 1 > $2
		OR (generation - 1 = $2 AND seen_generation >= generation))`, r.ID, p.generation)
	if err != nil || len(ended) == 0 {
		return err
	}
	return audit.Record(tx, audit.Event{
		Action:  audit.AuthnTokenReuse,
		Outcome: audit.Refused,
		User:    r.UserID,
		Session: r.ID,
		By:      by,
		Detail:  fmt.Sprintf("generation %d of %d", p.generation, r.Generation),
	})
}

// catchUp repeats in the database the revocations that this replica remembers and that the database has lost by a
// restore to an earlier state: that of session id, or of the tokens of subject's version. It runs before a token is
// issued. id is empty for a new session.
func (s *Service) catchUp(tx *store.Tx, subject *Subject, id ID, by audit.Actor) error {
	reason, _ := s.view.look(&token.Claims{UserID: subject.ID, SessionID: id, Version: subject.Version})
	switch {
	case reason == fault.TokenRevoked && id != "":
		if err := Lock(tx, subject.ID); err != nil {
			return err
		}
		ended, err := s.end(tx, "id = $1", id)
		if err != nil {
			return err
		}
		return recordEnd(tx, subject.ID, ended, "forgotten by the database", by)
	case reason != "":
		version, err := s.raiseVersion(tx, subject.ID)
		subject.Version = version
		return err
	}
	return nil
}

// subject reads the user of a new access token in the transaction that issues it.
func (s *Service) subject(tx *store.Tx, user token.UserID) (Subject, error) {
	var u struct {
		Subject
		Disabled bool `db:"disabled"`
	}
	err := tx.Get(&u, `SELECT id, roles, version, email_verified, disabled_at IS NOT NULL AS disabled
		FROM users WHERE id = $1`, user)
	if errors.Is(err, sql.ErrNoRows) || err == nil && u.Disabled {
		return Subject{}, errSessionRevoked
	}
	if err != nil {
		return Subject{}, fmt.Errorf("read user: %w", err)
	}
	return u.Subject, nil
}
