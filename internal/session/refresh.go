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
	case r.ExpiresAt <= r.Now || r.EndsAt.Sub(r.Now) < lastMoments:
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
	err = s.db.Scan(ctx, []any{&p.salt, &p.user}, "SELECT salt, user_id FROM sessions WHERE id = $1", p.id)
	if errors.Is(err, sql.ErrNoRows) {
		return p, errRefreshInvalid.Because(errors.New("unknown session"))
	}
	if err != nil {
		return p, fmt.Errorf("read session: %w", err)
	}
	if !s.macHolds(p) {
		return p, errRefreshInvalid.Because(errors.New("wrong MAC"))
	}
	return p, nil
}

// reread reads the session of p in tx. It refuses p if the session was deleted since the MAC was verified, or if a
// change of password has voided the token.
func reread(tx *store.Tx, p presented) (*row, error) {
	r := new(row)
	err := tx.Scan(r.columns(), "SELECT "+rowColumns+" FROM sessions WHERE id = $1", p.id)
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
//
// A client whose answer is lost after the commit, or whose access token cannot be signed, gets the same successor when
// it presents the token again.
func (s *Service) Refresh(ctx context.Context, raw string, by audit.Actor) (*Grant, error) {
	p, err := s.authentic(ctx, raw, by)
	if err != nil {
		return nil, err
	}
	rate, err := s.throttle.Rate(throttle.Refresh)
	if err != nil {
		return nil, err
	}
	// The access token is issued as of a time before its claims are read. However long this process is suspended in
	// between, the token expires before any revocation that the claims do not know.
	at := s.issuer.Now()
	if err := s.view.CheckClock(); err != nil {
		return nil, err
	}
	r, subject, err := s.advance(ctx, p, rate, by)
	if errors.Is(err, sql.ErrNoRows) {
		r, subject, err = s.settle(ctx, p, rate, by)
	}
	if err != nil {
		return nil, err
	}
	return s.grant(r, subject, at)
}

// swap is the statement that decides a rotation. It also takes an attempt, and reads the user of the new access token.
// It reads the user as of its start, and the session as of the moment in which it has locked the row. Ending all
// sessions raises the version and revokes the sessions in one transaction. In the other order, a session read as live
// could get a token of the raised version, which no revocation covers.
var swap = `UPDATE sessions SET generation = CAST($3 AS BIGINT) + 1, seen_generation = $3,
		rotated_at = now_us(), last_seen_at = now_us(), prior_auth_time = NULL, prior_amr = NULL,
		ip = $4, user_agent = $5, expires_at = ` + idleLimit("$6") + `,
		refresh_empty = ` + throttle.Next("refresh_empty", "$7", "$8") + `
	WHERE id = $1 AND generation = $2 AND salt = $9 AND revoked_at IS NULL AND ` + isLive + `
		AND ` + throttle.HasRoom("refresh_empty", "$7", "$8") + `
		AND EXISTS (SELECT 1 FROM users WHERE users.id = sessions.user_id AND disabled_at IS NULL)
	RETURNING ` + rowColumns + `, (SELECT roles FROM users WHERE users.id = sessions.user_id),
		(SELECT version FROM users WHERE users.id = sessions.user_id),
		(SELECT email_verified FROM users WHERE users.id = sessions.user_id),
		(SELECT has_factor FROM users WHERE users.id = sessions.user_id)`

// swapArgs returns the arguments of swap. expected is the presented generation, or a lower one if the database was
// restored to an earlier state.
func (s *Service) swapArgs(p presented, expected int64, rate throttle.Rate, by audit.Actor) []any {
	interval, tolerance := rate.Args()
	return []any{p.id, expected, p.generation, by.IP, by.UserAgent, s.options.IdleLife.Microseconds(),
		interval, tolerance, p.salt}
}

// advance rotates the session if p is its current token, in one statement. Otherwise it returns sql.ErrNoRows. It also
// does so after the rotation if this replica remembers a revocation that the database has lost.
func (s *Service) advance(
	ctx context.Context, p presented, rate throttle.Rate, by audit.Actor,
) (*row, Subject, error) {
	r, subject := new(row), Subject{ID: p.user}
	dest := append(r.columns(), &subject.Roles, &subject.Version, &subject.EmailVerified, &subject.HasFactor)
	err := s.db.Write(ctx, dest, swap, s.swapArgs(p, p.generation, rate, by)...)
	if err == nil && s.forgotten(subject, p.id) != "" {
		err = sql.ErrNoRows
	}
	if err != nil {
		return nil, subject, fmt.Errorf("rotate session: %w", err)
	}
	return r, subject, nil
}

// settle judges a token for which advance returned no session, and acts on the verdict.
func (s *Service) settle(
	ctx context.Context, p presented, rate throttle.Rate, by audit.Actor,
) (r *row, subject Subject, err error) {
	var refusal error // a value, so that the transaction that ends a session commits although the caller is refused
	err = s.db.Tx(ctx, func(tx *store.Tx) error {
		var err error
		if subject, err = s.subject(tx, p.user); err != nil { // before the session: see swap
			return err
		}
		if err := s.catchUp(tx, &subject, p.id, by); err != nil {
			return err
		}
		var v verdict
		r, v, err = s.rotate(tx, p, rate, by)
		refusal = v.refusal()
		return err
	})
	return r, subject, cmp.Or(err, refusal)
}

// rotate judges p until nothing has changed in between, acts on the verdict and takes an attempt.
func (s *Service) rotate(tx *store.Tx, p presented, rate throttle.Rate, by audit.Actor) (*row, verdict, error) {
	for {
		r, err := reread(tx, p)
		if err != nil {
			return nil, 0, err
		}
		if err := s.throttle.Check(rate, r.RefreshEmpty, r.Now); err != nil {
			return nil, 0, err
		}
		v := r.judge(p.generation, s.options.Grace)
		switch {
		case v == current || v == ahead:
			err = s.rotateFrom(tx, r, p, rate, by)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			return r, v, err
		case v == replay && r.ProofIsOwn:
			if err := s.withdrawProof(tx, r); err != nil {
				return nil, 0, err
			}
			continue
		case v == replay:
			err = s.replay(tx, r, by)
		case v == reused:
			err = s.endReused(tx, r, p, by)
		}
		if err != nil {
			return nil, 0, err
		}
		return r, v, s.takeAttempt(tx, p, rate) // last, because it locks the session, and others lock the user first
	}
}

// rotateFrom rotates the session r, which has the presented generation, or a lower one if the database was restored to
// an earlier state. It returns sql.ErrNoRows if r is outdated.
func (s *Service) rotateFrom(tx *store.Tx, r *row, p presented, rate throttle.Rate, by audit.Actor) error {
	from := r.Generation
	err := tx.Scan(append(r.columns(), new(any), new(any), new(any), new(any)), swap, s.swapArgs(p, from, rate, by)...)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("rotate session: %w", err)
	}
	if err != nil || from == p.generation {
		return err
	}
	return audit.Record(tx, audit.Event{Action: audit.GenerationAhead, User: r.UserID,
		Session: r.ID, By: by, Detail: fmt.Sprintf("database had %d, the client %d", from, p.generation)})
}

var takeAttempt = "UPDATE sessions SET refresh_empty = " + throttle.Next("refresh_empty", "$2", "$3") +
	" WHERE id = $1 AND " + throttle.HasRoom("refresh_empty", "$2", "$3")

// takeAttempt counts a refresh that did not rotate.
func (s *Service) takeAttempt(tx *store.Tx, p presented, rate throttle.Rate) error {
	interval, tolerance := rate.Args()
	taken, err := tx.Exec(takeAttempt, p.id, interval, tolerance)
	if err != nil {
		return fmt.Errorf("count refresh: %w", err)
	}
	if taken > 0 {
		return nil
	}
	r, err := reread(tx, p)
	if err != nil {
		return err
	}
	return s.throttle.Check(rate, r.RefreshEmpty, r.Now)
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
	reason := s.forgotten(*subject, id)
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

// forgotten returns why this replica refuses tokens for subject and session id; empty if it does not. If the database
// disagrees, it has lost a revocation.
func (s *Service) forgotten(subject Subject, id ID) fault.Reason {
	reason, _ := s.view.look(&token.Claims{UserID: subject.ID, SessionID: id, Version: subject.Version})
	return reason
}

// subject reads the user of a new access token in the transaction that issues it.
func (s *Service) subject(tx *store.Tx, user token.UserID) (Subject, error) {
	subject, disabled := Subject{ID: user}, false
	err := tx.Scan([]any{&subject.Roles, &subject.Version, &subject.EmailVerified, &subject.HasFactor, &disabled},
		"SELECT roles, version, email_verified, has_factor, disabled_at IS NOT NULL FROM users WHERE id = $1", user)
	if errors.Is(err, sql.ErrNoRows) || disabled {
		return Subject{}, errSessionRevoked
	}
	if err != nil {
		return Subject{}, fmt.Errorf("read user: %w", err)
	}
	return subject, nil
}
