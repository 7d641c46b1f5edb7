package challenge

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// Kind is the purpose of a challenge. A secret of one kind is refused as another.
type Kind string

// The kinds. LoginCode is a code, SecondFactor the id of a sign-in in progress, those of passkeys are ceremonies of a
// browser, and the federated ones belong to sign-ins with other providers; the others are links.
const (
	VerifyEmail   Kind = "verify-email"   // the address of an account, or of a registration, which has no user yet
	ResetPassword Kind = "reset-password" // an account whose password is replaced
	ChangeEmail   Kind = "change-email"   // the new address of an account
	RevertEmail   Kind = "revert-email"   // the previous address of an account
	Invitation    Kind = "invitation"     // an invited address
	LoginCode     Kind = "login-code"     // an address that signs in
	SecondFactor  Kind = "second-factor"  // a sign-in that has proved the first factor

	PasskeyCreation Kind = "passkey-creation" // a passkey for an account
	PasskeyAccount  Kind = "passkey-account"  // a passkey for a registration, which has no user yet
	PasskeyLogin    Kind = "passkey-login"    // a passkey that signs in
	PasskeyProof    Kind = "passkey-proof"    // a passkey of a user that is known
	// FederatedSignIn is a user of another provider, whose browser carries the secret to the page that began.
	FederatedSignIn Kind = "federated-sign-in"
	// FederatedState is a sign-in under way at another provider. Its secrets are made and kept elsewhere, see Spend.
	FederatedState Kind = "federated-state"
)

// isCode reports whether users type the secret.
func (k Kind) isCode() bool { return k == LoginCode }

// life is how long a secret is accepted. Secrets that users type are short, and therefore live briefly (ASVS 6.5.5).
var life = map[Kind]time.Duration{
	VerifyEmail:   24 * time.Hour,
	ResetPassword: time.Hour,
	ChangeEmail:   24 * time.Hour,
	RevertEmail:   7 * 24 * time.Hour,
	Invitation:    7 * 24 * time.Hour,
	LoginCode:     10 * time.Minute,
	SecondFactor:  5 * time.Minute,

	PasskeyCreation: 5 * time.Minute,
	PasskeyAccount:  5 * time.Minute,
	PasskeyLogin:    5 * time.Minute,
	PasskeyProof:    5 * time.Minute,
	FederatedSignIn: time.Minute,
	FederatedState:  10 * time.Minute,
}

// maxAttempts is how often a code may be tried: five guesses at one of a million. A sign-in that waits for a second
// factor has as many.
const maxAttempts = 5

// Challenge is what a secret proves.
type Challenge struct {
	// ID names the challenge. A caller who answers with a code also gives the id.
	ID   string
	Kind Kind
	// User is the account that the secret belongs to. It is empty if there is none, also in a decoy: a challenge that
	// was issued for an unknown address, so that the answer is the same.
	User token.UserID
	// Subject is what was proved, such as an address.
	Subject string
	// Payload is sealed in the table. May be empty.
	Payload []byte
}

// Service issues and redeems challenges.
type Service struct {
	db     *store.DB
	secret *secret.Secret
	now    func() time.Time
	keys   [][]byte // the current one first
}

// New returns a Service.
func New(db *store.DB, s *secret.Secret, now func() time.Time) *Service {
	return &Service{db: db, secret: s, now: now, keys: s.Keys("challenge mac")}
}

// Issue records c, whose ID it sets, in tx. It returns the reference from which Reveal makes the secret in the same
// transaction. The caller must have locked the row of c.User, so that Void in a concurrent transaction does not miss
// the challenge.
func (s *Service) Issue(tx *store.Tx, c *Challenge) (reference string, err error) {
	c.ID = base64.RawURLEncoding.EncodeToString(secret.Random(idSize))
	nonce := base64.RawURLEncoding.EncodeToString(secret.Random(idSize))
	payload := ""
	if len(c.Payload) > 0 {
		payload = base64.StdEncoding.EncodeToString(s.secret.Seal("challenge payload", c.Payload, []byte(c.ID)))
	}
	_, err = tx.Exec(`INSERT INTO challenges (id, kind, user_id, subject, nonce, payload, attempts, expires_at)
		VALUES ($1, $2, NULLIF($3, ''), $4, $5, $6, $7, now_us() + $8)`,
		c.ID, c.Kind, c.User, c.Subject, nonce, payload, maxAttempts, life[c.Kind].Microseconds())
	if err != nil {
		return "", fmt.Errorf("issue challenge: %w", err)
	}
	return string(c.Kind) + " " + c.ID + " " + nonce, nil
}

// Expiry returns until when the secret of a challenge that is issued now is accepted.
func (s *Service) Expiry(kind Kind) time.Time { return s.now().Add(life[kind]) }

// Check returns the challenge of a link's or a ceremony's token, without using it up. It returns CHALLENGE_INVALID for every token that
// is malformed, of another kind, used, void or expired.
func (s *Service) Check(ctx context.Context, kind Kind, token string) (*Challenge, error) {
	id, mac := splitToken(token)
	var r row
	err := s.db.Get(ctx, &r, "SELECT "+columns+" FROM challenges WHERE "+open, id, kind)
	return s.judge(&r, err, kind.Refusal(), func(key []byte) bool { return r.hasToken(key, mac) })
}

// Try is Check at the cost of one of five attempts.
func (s *Service) Try(ctx context.Context, kind Kind, token string) (*Challenge, error) {
	c, err := s.Check(ctx, kind, token)
	if err != nil {
		return nil, err
	}
	var tried int64
	err = s.db.Tx(ctx, func(tx *store.Tx) (err error) {
		tried, err = tx.Exec("UPDATE challenges SET attempts = attempts - 1 WHERE "+open+" AND attempts > 0", c.ID, kind)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count attempt: %w", err)
	}
	if tried == 0 {
		return nil, kind.Refusal()
	}
	return c, nil
}

// CheckCode returns the challenge id if code is its code, without using it up. Each call costs one of five attempts. It
// returns CHALLENGE_INVALID in all other cases.
func (s *Service) CheckCode(ctx context.Context, kind Kind, id, code string) (*Challenge, error) {
	if !isID(id) {
		id = "" // other text must not reach the database, which rejects some of it
	}
	var r row
	err := s.db.Tx(ctx, func(tx *store.Tx) error {
		err := tx.Get(&r, "UPDATE challenges SET attempts = attempts - 1 WHERE "+open+
			" AND attempts > 0 RETURNING "+columns, id, kind)
		if errors.Is(err, sql.ErrNoRows) {
			r = row{}
			return nil
		}
		return err
	})
	if err == nil && r.ID == "" {
		err = sql.ErrNoRows
	}
	return s.judge(&r, err, kind.Refusal(), func(key []byte) bool { return r.hasCode(key, code) })
}

// Redeem uses c up in tx. Of several concurrent transactions, one succeeds; the others get CHALLENGE_INVALID.
func (s *Service) Redeem(tx *store.Tx, c *Challenge) error {
	used, err := tx.Exec("UPDATE challenges SET used_at = now_us() WHERE "+open, c.ID, c.Kind)
	if err != nil {
		return fmt.Errorf("redeem challenge: %w", err)
	}
	if used == 0 {
		return c.Kind.Refusal()
	}
	return nil
}

// Spend uses up in tx a secret that another place has made and keeps, for instance sealed in a cookie, and that is not
// accepted for longer than the kind lives. A second Spend of the same secret returns CHALLENGE_INVALID.
func Spend(tx *store.Tx, kind Kind, secret string) error {
	sum := sha256.Sum256([]byte(string(kind) + " " + secret))
	spent, err := tx.Exec(`INSERT INTO challenges (id, kind, subject, nonce, payload, attempts, expires_at, used_at)
		VALUES ($1, $2, '', '', '', 0, now_us() + $3, now_us()) ON CONFLICT (id) DO NOTHING`,
		base64.RawURLEncoding.EncodeToString(sum[:idSize]), kind, life[kind].Microseconds())
	if err != nil {
		return fmt.Errorf("spend secret: %w", err)
	}
	if spent == 0 {
		return kind.Refusal()
	}
	return nil
}

// Void makes the challenges of a user useless: those of the given kinds, or all without kinds. The caller must have
// locked the user's row.
func Void(tx *store.Tx, user token.UserID, kinds ...Kind) error {
	q := store.Query{}
	query := "DELETE FROM challenges WHERE user_id = " + q.Arg(user)
	if len(kinds) > 0 {
		query += " AND kind IN " + store.In(&q, kinds)
	}
	if _, err := tx.Exec(query, q.Args...); err != nil {
		return fmt.Errorf("void challenges: %w", err)
	}
	return nil
}

// VoidSubject makes all challenges of a kind and subject useless.
func VoidSubject(tx *store.Tx, kind Kind, subject string) error {
	if _, err := tx.Exec("DELETE FROM challenges WHERE kind = $1 AND subject = $2", kind, subject); err != nil {
		return fmt.Errorf("void challenges: %w", err)
	}
	return nil
}

// Prune deletes expired challenges.
func (s *Service) Prune(ctx context.Context) error {
	return s.db.Prune(ctx, "challenges", "id", "expires_at < now_us()")
}

// row is a challenge as it is stored.
type row struct {
	ID      string       `db:"id"`
	Kind    Kind         `db:"kind"`
	User    token.UserID `db:"user_id"`
	Subject string       `db:"subject"`
	Nonce   string       `db:"nonce"`
	Payload string       `db:"payload"`
}

const columns = "id, kind, COALESCE(user_id, '') AS user_id, subject, nonce, payload"

// open is the condition of a challenge $1 of kind $2 that can be redeemed.
const open = "id = $1 AND kind = $2 AND used_at IS NULL AND expires_at > now_us()"

// Refusal returns CHALLENGE_INVALID. It is BAD_USER_INPUT and names the input, so that a form can show the message.
func (k Kind) Refusal() error {
	switch k {
	case LoginCode:
		return errCode
	case FederatedSignIn, FederatedState:
		return errFederated
	case SecondFactor:
		return errSignIn
	case PasskeyCreation, PasskeyAccount, PasskeyLogin, PasskeyProof:
		return errCeremony
	}
	return errToken
}

var (
	errToken = fault.Invalid([]fault.Field{{Path: "input.token", Reason: fault.ChallengeInvalid,
		Message: "this link is not valid: it was used before, has expired, or is not the latest one"}})
	errCode = fault.Invalid([]fault.Field{{Path: "input.code", Reason: fault.ChallengeInvalid,
		Message: "this code is not valid: check it, or request another one"}})
	errCeremony = fault.Invalid([]fault.Field{{Path: "input.challenge", Reason: fault.ChallengeInvalid,
		Message: "this took too long, or was done before: begin again"}})
	errFederated = fault.Invalid([]fault.Field{{Path: "input.code", Reason: fault.ChallengeInvalid,
		Message: "this sign-in is not valid: it was completed before, has expired, or began on another page"}})
	errSignIn = fault.Invalid([]fault.Field{{Path: "input.challenge", Reason: fault.ChallengeInvalid,
		Message: "this sign-in has expired, was completed, or had too many attempts: sign in again"}})
)

// judge returns the challenge r if the secret matches under any accepted key, else the refusal.
func (s *Service) judge(r *row, err, refusal error, matches func(key []byte) bool) (*Challenge, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return nil, refusal
	}
	if err != nil {
		return nil, fmt.Errorf("read challenge: %w", err)
	}
	ok := false
	for _, key := range s.keys {
		ok = matches(key) || ok
	}
	if !ok {
		return nil, refusal
	}
	c := &Challenge{ID: r.ID, Kind: r.Kind, User: r.User, Subject: r.Subject}
	if r.Payload == "" {
		return c, nil
	}
	sealed, err := base64.StdEncoding.DecodeString(r.Payload)
	if err == nil {
		c.Payload, _, err = s.secret.Unseal("challenge payload", sealed, []byte(r.ID))
	}
	if err != nil {
		return nil, fmt.Errorf("unseal challenge: %w", err)
	}
	return c, nil
}
