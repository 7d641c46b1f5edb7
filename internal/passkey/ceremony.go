package passkey

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
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

// maxResponse bounds the response of an authenticator, in bytes. That of a long RSA key with an attestation has 6,000.
const maxResponse = 32 << 10

// Ceremony is what a browser needs to create or use a passkey.
type Ceremony struct {
	// Challenge is returned together with the response.
	Challenge string
	// Options are those of navigator.credentials.create or get, as PublicKeyCredential parses them from JSON.
	Options map[string]any
	// ExpiresAt is until when the response is accepted.
	ExpiresAt store.Time
}

// Response is what a browser returns at the end of a ceremony.
type Response struct {
	// Challenge is that of the Ceremony.
	Challenge string
	// Response is the credential in JSON.
	Response map[string]any
}

// Owner is the user whom a ceremony is for.
type Owner struct {
	ID          token.UserID // the user handle, which a device shows: it must not name a person
	Name        string       // an address
	DisplayName string
	keys        []webauthn.Credential
}

// WebAuthnID and the other methods implement webauthn.User.
func (o *Owner) WebAuthnID() []byte { return []byte(o.ID) }

// WebAuthnName returns the address.
func (o *Owner) WebAuthnName() string { return o.Name }

// WebAuthnDisplayName returns the display name.
func (o *Owner) WebAuthnDisplayName() string { return o.DisplayName }

// WebAuthnCredentials returns the passkey that is being used.
func (o *Owner) WebAuthnCredentials() []webauthn.Credential { return o.keys }

// state is the sealed payload of a ceremony's challenge.
type state struct {
	Session webauthn.SessionData `json:"session"`
	// Further is what the caller needs at the end of the ceremony.
	Further json.RawMessage `json:"further,omitempty"`
}

// BeginCreation begins to create a passkey for o. Devices that have one of its passkeys are told not to make another.
// further comes back at the end; it may be nil.
func (s *Service) BeginCreation(tx *store.Tx, kind challenge.Kind, o *Owner, further any) (*Ceremony, error) {
	if s.webauthn == nil {
		return nil, errNotOffered
	}
	owned, err := of(tx, o.ID)
	if err != nil {
		return nil, err
	}
	if len(owned) >= MaxPerUser {
		return nil, errTooMany
	}
	options, session, err := s.webauthn.BeginRegistration(o, webauthn.WithExclusions(descriptors(owned)),
		webauthn.WithCredentialParameters(webauthn.CredentialParametersRecommendedL3()))
	if err != nil {
		return nil, fmt.Errorf("begin creation of a passkey: %w", err)
	}
	c := &challenge.Challenge{Kind: kind, User: o.ID}
	if kind == challenge.PasskeyAccount {
		c.User = "" // it has no row yet
	}
	return s.begin(tx, c, options.Response, session, further)
}

// BeginUse begins the use of a passkey. user is empty if the passkey will tell who signs in.
func (s *Service) BeginUse(tx *store.Tx, kind challenge.Kind, user token.UserID) (*Ceremony, error) {
	if s.webauthn == nil {
		return nil, errNotOffered
	}
	var allowed []*Passkey
	if user != "" {
		var err error
		if allowed, err = of(tx, user); err != nil {
			return nil, err
		}
		if len(allowed) == 0 {
			return nil, errNotFound
		}
	}
	options, session, err := s.webauthn.BeginDiscoverableLogin(webauthn.WithAllowedCredentials(descriptors(allowed)))
	if err != nil {
		return nil, fmt.Errorf("begin use of a passkey: %w", err)
	}
	session.AllowedCredentialIDs = nil // Use compares the user
	return s.begin(tx, &challenge.Challenge{Kind: kind, User: user}, options.Response, session, nil)
}

func (s *Service) begin(tx *store.Tx, c *challenge.Challenge, options any, session *webauthn.SessionData, further any,
) (*Ceremony, error) {
	ceremony := &Ceremony{ExpiresAt: store.TimeOf(s.challenges.Expiry(c.Kind))}
	text, err := json.Marshal(options)
	if err == nil {
		err = json.Unmarshal(text, &ceremony.Options)
	}
	if err != nil {
		return nil, fmt.Errorf("encode options of a ceremony: %w", err)
	}
	st := state{Session: *session}
	if further != nil {
		if st.Further, err = json.Marshal(further); err != nil {
			return nil, fmt.Errorf("encode state of a ceremony: %w", err)
		}
	}
	if c.Payload, err = json.Marshal(st); err != nil {
		return nil, fmt.Errorf("encode state of a ceremony: %w", err)
	}
	reference, err := s.challenges.Issue(tx, c)
	if err != nil {
		return nil, err
	}
	ceremony.Challenge, err = s.challenges.Reveal(reference)
	return ceremony, err
}

func descriptors(list []*Passkey) []protocol.CredentialDescriptor {
	named := make([]protocol.CredentialDescriptor, len(list))
	for i, p := range list {
		named[i] = p.descriptor()
	}
	return named
}

// The refusals of a passkey. They are UNAUTHENTICATED, as that of a wrong password is.
var (
	errRefused = fault.New(fault.Unauthenticated, fault.InvalidCredentials, "this passkey was not accepted")
	errUnknown = fault.New(fault.Unauthenticated, fault.PasskeyUnknown,
		"this passkey is not known here: it was deleted, or belongs to another server")
	errMalformed = fault.Invalid([]fault.Field{{Path: "input.response", Reason: fault.Malformed,
		Message: "this is not the response of a passkey that was created here"}})
)

// AsInput turns the refusal of a passkey that is one input of several into BAD_USER_INPUT: clients answer
// UNAUTHENTICATED with a refresh, and would repeat the call forever.
func AsInput(err error) error {
	f := fault.As(err)
	if f == nil || f.Code != fault.Unauthenticated {
		return err
	}
	const path = "input.passkey"
	return fault.As(fault.Invalid([]fault.Field{{Path: path, Reason: f.Reason, Message: f.Message}})).Because(err)
}

// ErrCopied is the cause of the refusal of a passkey that may have been copied.
var ErrCopied = errors.New("the signature counter went back, or the passkey stopped being one that synchronizes")

// check returns the state of a ceremony, and the text of a response to it for its parser.
func (s *Service) check(ctx context.Context, kind challenge.Kind, r Response) (
	c *challenge.Challenge, st state, text []byte, err error) {
	if s.webauthn == nil {
		return nil, st, nil, errNotOffered
	}
	if c, err = s.challenges.Check(ctx, kind, r.Challenge); err != nil {
		return nil, st, nil, err
	}
	if err := json.Unmarshal(c.Payload, &st); err != nil {
		return nil, st, nil, fmt.Errorf("decode state of a ceremony: %w", err)
	}
	text, err = json.Marshal(r.Response)
	if err != nil || len(text) > maxResponse {
		return nil, st, nil, errMalformed
	}
	return c, st, text, nil
}

// Creation is a new passkey that has not been stored yet.
type Creation struct {
	Key
	// User is whom the ceremony was begun for.
	User      token.UserID
	further   json.RawMessage
	challenge *challenge.Challenge
}

// Further decodes what the ceremony was begun with.
func (c *Creation) Further(into any) error { return json.Unmarshal(c.further, into) }

// CheckCreation returns the passkey that the response to a challenge has created, without using the challenge up. It
// returns BAD_USER_INPUT with CHALLENGE_INVALID or MALFORMED.
func (s *Service) CheckCreation(ctx context.Context, kind challenge.Kind, r Response) (*Creation, error) {
	c, st, text, err := s.check(ctx, kind, r)
	if err != nil {
		return nil, err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(text)
	if err != nil {
		return nil, fault.As(errMalformed).Because(err)
	}
	made, err := s.webauthn.CreateCredential(&Owner{ID: token.UserID(st.Session.UserID)}, st.Session, parsed)
	if err != nil {
		return nil, fault.As(errMalformed).Because(err)
	}
	model, err := uuid.FromBytes(made.Authenticator.AAGUID)
	if err != nil {
		return nil, fault.As(errMalformed).Because(err)
	}
	key := Key{
		Credential: encode(made.ID),
		PublicKey:  encode(made.PublicKey),
		Model:      model.String(),
		Transports: knownTransports(made.Transport),
		Syncs:      made.Flags.BackupEligible,
		BackedUp:   made.Flags.BackupState,
		SignCount:  int64(made.Authenticator.SignCount),
	}
	return &Creation{Key: key, User: token.UserID(st.Session.UserID), further: st.Further, challenge: c}, nil
}

// knownTransports drops words that no browser uses, because they come from the client.
func knownTransports(list []protocol.AuthenticatorTransport) string {
	var known []string
	for _, transport := range list {
		switch transport {
		case protocol.USB, protocol.NFC, protocol.BLE, protocol.SmartCard, protocol.Hybrid, protocol.Internal:
			known = append(known, string(transport))
		}
	}
	return strings.Join(known, " ")
}

// Redeem uses the challenge of c up in tx.
func (s *Service) Redeem(tx *store.Tx, c *Creation) error {
	return s.challenges.Redeem(tx, c.challenge)
}

// Use is a passkey that has signed a challenge.
type Use struct {
	// User is the passkey's owner.
	User token.UserID
	// Syncs is whether the passkey may leave its device.
	Syncs      bool
	credential string
	backedUp   bool
	count      int64
	challenge  *challenge.Challenge
}

// CheckUse returns the use of a passkey that the response to a challenge proves, without using the challenge up. It
// returns BAD_USER_INPUT with CHALLENGE_INVALID, or UNAUTHENTICATED with PASSKEY_UNKNOWN or INVALID_CREDENTIALS. With
// the latter, use names the passkey's owner, for the audit log.
func (s *Service) CheckUse(ctx context.Context, kind challenge.Kind, r Response) (Use, error) {
	return s.checkUse(ctx, kind, r, func(credential string) (*Passkey, error) { return s.byCredential(ctx, credential) })
}

// CheckUseOf is CheckUse for the passkey of a registration, which is not stored yet.
func (s *Service) CheckUseOf(ctx context.Context, p *Passkey, kind challenge.Kind, r Response) (Use, error) {
	return s.checkUse(ctx, kind, r, func(credential string) (*Passkey, error) {
		if credential != p.Credential {
			return nil, errUnknown
		}
		return p, nil
	})
}

func (s *Service) checkUse(
	ctx context.Context, kind challenge.Kind, r Response, find func(credential string) (*Passkey, error),
) (use Use, err error) {
	c, st, text, err := s.check(ctx, kind, r)
	if err != nil {
		return use, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(text)
	if err != nil {
		return use, fault.As(errMalformed).Because(err)
	}
	p, err := find(encode(parsed.RawID))
	if err != nil {
		return use, err
	}
	flags := parsed.Response.AuthenticatorData.Flags
	use = Use{User: p.UserID, Syncs: flags.HasBackupEligible(), credential: p.Credential,
		backedUp: flags.HasBackupState(), count: int64(parsed.Response.AuthenticatorData.Counter), challenge: c}
	if c.User != "" && c.User != p.UserID {
		return use, errRefused
	}
	// The library refuses every change of the flag BE. Redeem decides about it.
	key := webauthn.Credential{ID: parsed.RawID, PublicKey: decode(p.PublicKey),
		Flags: webauthn.CredentialFlags{BackupEligible: use.Syncs}}
	owner := func(_, _ []byte) (webauthn.User, error) {
		return &Owner{ID: p.UserID, keys: []webauthn.Credential{key}}, nil
	}
	if _, _, err := s.webauthn.ValidatePasskeyLogin(owner, st.Session, parsed); err != nil {
		return use, errRefused.Because(err)
	}
	return use, nil
}

func (s *Service) byCredential(ctx context.Context, credential string) (*Passkey, error) {
	var p Passkey
	err := s.db.Get(ctx, &p, "SELECT "+columns+" FROM passkeys WHERE credential = $1", credential)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("read passkey: %w", err)
	}
	return &p, nil
}

// RedeemUse uses the challenge of u up in tx, in which the user's row is locked, and records the use. It returns
// CHALLENGE_INVALID, or UNAUTHENTICATED: with PASSKEY_UNKNOWN if the passkey has been deleted since, and with
// INVALID_CREDENTIALS because of ErrCopied.
//
// A passkey that counts must count up (WebAuthn level 3, section 7.2, step 22). One that synchronizes must not stop to:
// the flag is a property of the key. The reverse is accepted, because devices learned to synchronize existing keys.
func (s *Service) RedeemUse(tx *store.Tx, u Use) error {
	if err := s.challenges.Redeem(tx, u.challenge); err != nil {
		return err
	}
	used, err := tx.Exec(`UPDATE passkeys SET sign_count = $2, syncs = $3, backed_up = $4, last_used_at = now_us()
		WHERE credential = $1 AND (sign_count < $2 OR sign_count = 0 AND $2 = 0) AND ($3 OR NOT syncs)`,
		u.credential, u.count, u.Syncs, u.backedUp)
	if err != nil {
		return fmt.Errorf("use passkey: %w", err)
	}
	if used > 0 {
		return nil
	}
	var exists bool
	if err := tx.Get(&exists, "SELECT EXISTS (SELECT 1 FROM passkeys WHERE credential = $1)", u.credential); err != nil {
		return fmt.Errorf("look for passkey: %w", err)
	}
	if exists {
		return errRefused.Because(ErrCopied)
	}
	return errUnknown
}

func encode(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// decode returns the bytes of a text that encode has written.
func decode(text string) []byte {
	raw, _ := base64.RawURLEncoding.DecodeString(text)
	return raw
}
