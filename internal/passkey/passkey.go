package passkey

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/uuid"

	"github.com/graphwarden/graphwarden/internal/challenge"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

// MaxPerUser is the maximum number of passkeys of a user.
const MaxPerUser = 20

// ID names a passkey.
type ID string

// Passkey is a key pair on a device, or in an account that synchronizes devices. The server has its public key.
type Passkey struct {
	ID         ID           `db:"id"`
	UserID     token.UserID `db:"user_id"`
	Name       string       `db:"name"`
	CreatedAt  store.Time   `db:"created_at"`
	LastUsedAt *store.Time  `db:"last_used_at"` // nil if it was never used
	Key
}

// OwnerID returns the passkey's user, for @auth(owner: true).
func (p *Passkey) OwnerID() token.UserID { return p.UserID }

// Key is what an authenticator says about a new passkey, and what its latest use has changed.
type Key struct {
	// Credential is the id that the authenticator has chosen, in base64url.
	Credential string `db:"credential" json:"credential"`
	PublicKey  string `db:"public_key" json:"publicKey"` // COSE (RFC 9053), in base64url
	// Model is the AAGUID of the authenticator, which many leave zero. Nothing proves it.
	Model      string `db:"model" json:"model"`
	Transports string `db:"transports" json:"transports"` // separated by spaces
	// Syncs is the flag BE: the passkey may leave its device. BackedUp is BS: it has.
	Syncs    bool `db:"syncs" json:"syncs"`
	BackedUp bool `db:"backed_up" json:"backedUp"`
	// SignCount is the number of signatures, or always 0. It has 32 bits without a sign.
	SignCount int64 `db:"sign_count" json:"signCount"`
}

const columns = "id, user_id, name, created_at, last_used_at, credential, public_key, model, transports, syncs, " +
	"backed_up, sign_count"

// Provider returns the product that holds the passkey; empty if its model is not known.
func (k *Key) Provider() string { return providers[k.Model] }

// descriptor names the passkey to a browser.
func (k *Key) descriptor() protocol.CredentialDescriptor {
	var transports []protocol.AuthenticatorTransport
	for _, transport := range strings.Fields(k.Transports) {
		transports = append(transports, protocol.AuthenticatorTransport(transport))
	}
	return protocol.CredentialDescriptor{
		Type: protocol.PublicKeyCredentialType, CredentialID: decode(k.Credential), Transport: transports,
	}
}

// Service stores passkeys and runs their ceremonies.
type Service struct {
	db         *store.DB
	challenges *challenge.Service
	webauthn   *webauthn.WebAuthn // nil if passkeys are off
	site       string
}

// New returns a Service for the passkeys of a site.
func New(db *store.DB, challenges *challenge.Service, site Site) (*Service, error) {
	relyingParty, err := site.relyingParty()
	return &Service{db: db, challenges: challenges, webauthn: relyingParty, site: site.ID}, err
}

var (
	errNotOffered = fault.New(fault.Forbidden, fault.NotOffered, "the settings of this server do not offer this")
	errNotFound   = fault.New(fault.NotFound, fault.PasskeyNotFound, "you have no such passkey")
	errTooMany    = fault.New(fault.Conflict, fault.TooManyPasskeys,
		fmt.Sprintf("you have %d passkeys already: delete one first", MaxPerUser))
	errTaken = fault.New(fault.Conflict, fault.PasskeyTaken, "this device has a passkey for this site already")
)

// List returns the passkeys of each user, the oldest first.
func (s *Service) List(ctx context.Context, users []token.UserID) (map[token.UserID][]*Passkey, error) {
	var q store.Query
	var found []*Passkey
	query := "SELECT " + columns + " FROM passkeys WHERE user_id IN " + store.In(&q, users) + " ORDER BY id"
	if err := s.db.Select(ctx, &found, query, q.Args...); err != nil {
		return nil, fmt.Errorf("list passkeys: %w", err)
	}
	byUser := make(map[token.UserID][]*Passkey, len(users))
	for _, p := range found {
		byUser[p.UserID] = append(byUser[p.UserID], p)
	}
	return byUser, nil
}

// of returns the passkeys of a user within tx.
func of(tx *store.Tx, user token.UserID) (list []*Passkey, err error) {
	err = tx.Select(&list, "SELECT "+columns+" FROM passkeys WHERE user_id = $1 ORDER BY id", user)
	if err != nil {
		return nil, fmt.Errorf("read passkeys: %w", err)
	}
	return list, nil
}

// Opens reports whether a user has a passkey that works at this site. The caller must have locked the user's row.
func (s *Service) Opens(tx *store.Tx, user token.UserID) (opens bool, err error) {
	if s.webauthn == nil {
		return false, nil
	}
	err = tx.Get(&opens, "SELECT EXISTS (SELECT 1 FROM passkeys WHERE user_id = $1 AND site = $2)", user, s.site)
	if err != nil {
		return false, fmt.Errorf("look for passkeys: %w", err)
	}
	return opens, nil
}

// Add gives a user, whose row the caller must have locked, a passkey. It returns CONFLICT with TOO_MANY_PASSKEYS or
// PASSKEY_TAKEN.
func (s *Service) Add(tx *store.Tx, user token.UserID, name string, k *Key) (*Passkey, error) {
	owned, err := of(tx, user)
	if err != nil {
		return nil, err
	}
	if len(owned) >= MaxPerUser {
		return nil, errTooMany
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("passkey id: %w", err)
	}
	var p Passkey
	err = tx.Get(&p, `INSERT INTO passkeys (id, user_id, site, name, created_at, credential, public_key, model, transports,
			syncs, backed_up, sign_count)
		VALUES ($1, $2, $3, $4, now_us(), $5, $6, $7, $8, $9, $10, $11) RETURNING `+columns,
		id.String(), user, s.site, name, k.Credential, k.PublicKey, k.Model, k.Transports, k.Syncs, k.BackedUp,
		k.SignCount)
	if store.Conflict(err, "credential") {
		return nil, errTaken.Because(err)
	}
	if err != nil {
		return nil, fmt.Errorf("add passkey: %w", err)
	}
	return &p, nil
}

// Rename names a passkey of a user, or returns NOT_FOUND.
func Rename(tx *store.Tx, user token.UserID, id ID, name string) (*Passkey, error) {
	return change(tx, "UPDATE passkeys SET name = $3 WHERE id = $1 AND user_id = $2 RETURNING "+columns, id, user, name)
}

// Remove removes a passkey of a user, or returns NOT_FOUND.
func Remove(tx *store.Tx, user token.UserID, id ID) (*Passkey, error) {
	return change(tx, "DELETE FROM passkeys WHERE id = $1 AND user_id = $2 RETURNING "+columns, id, user)
}

func change(tx *store.Tx, statement string, id ID, args ...any) (*Passkey, error) {
	if uuid.Validate(string(id)) != nil {
		id = "" // other text must not reach the database, which rejects some of it
	}
	var p Passkey
	err := tx.Get(&p, statement, append([]any{id}, args...)...)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("change passkey: %w", err)
	}
	return &p, nil
}

// RemoveAll removes all passkeys of a user.
func RemoveAll(tx *store.Tx, user token.UserID) error {
	if _, err := tx.Exec("DELETE FROM passkeys WHERE user_id = $1", user); err != nil {
		return fmt.Errorf("remove passkeys: %w", err)
	}
	return nil
}

// Held is what is stored about a passkey, except its keys.
type Held struct {
	ID         ID          `db:"id" json:"id"`
	Name       string      `db:"name" json:"name"`
	Model      string      `db:"model" json:"model"`
	BackedUp   bool        `db:"backed_up" json:"backedUp"`
	CreatedAt  store.Time  `db:"created_at" json:"createdAt"`
	LastUsedAt *store.Time `db:"last_used_at" json:"lastUsedAt"`
}

// Export returns the passkeys of a user.
func Export(tx *store.Tx, user token.UserID) (held []Held, err error) {
	held = []Held{} // not null in JSON
	err = tx.Select(&held, `SELECT id, name, model, backed_up, created_at, last_used_at FROM passkeys
		WHERE user_id = $1 ORDER BY id`, user)
	if err != nil {
		return nil, fmt.Errorf("export passkeys: %w", err)
	}
	return held, nil
}

// Elsewhere returns the number of passkeys that were made for another site, and do not work at this one.
func Elsewhere(ctx context.Context, db *store.DB, site Site) (n int, err error) {
	if err := db.Get(ctx, &n, "SELECT count(*) FROM passkeys WHERE site <> $1", site.ID); err != nil {
		return 0, fmt.Errorf("count passkeys of other sites: %w", err)
	}
	return n, nil
}
