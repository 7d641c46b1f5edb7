package token

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4/json" // unlike encoding/json: exact names only, duplicates refused
)

// UserID is a user's id, the subject of a token.
type UserID string

// SessionID is the id of the session that a token belongs to.
type SessionID string

// Claims are the claims of a verified access token. Times are whole seconds in UTC.
type Claims struct {
	UserID    UserID    // sub
	SessionID SessionID // sid
	// Generation is the refresh generation that the token was issued with (gen).
	Generation int64
	Roles      Roles
	// AuthTime is the time of the last authentication (auth_time).
	AuthTime time.Time
	// Methods are the authentication methods (amr, RFC 8176).
	Methods []string
	// Version is the user's authorization version (ver). The roles are valid only while it is current.
	Version int64
	// EmailVerified is whether the user has proved their address (email_verified). Like the roles, it is valid only while
	// the version is current.
	EmailVerified bool
	// HasFactor is whether the account demands a second factor (has_factor). It too needs the current version.
	HasFactor bool
	ID        string // jti
	IssuedAt  time.Time
	ExpiresAt time.Time
	// KeyID names the key that signed the token.
	KeyID string
}

// MultiFactor is the method of a session in which the user has proved two factors (RFC 8176).
const MultiFactor = "mfa"

// IsMultiFactor reports whether the user has proved two factors in the session.
func (c *Claims) IsMultiFactor() bool { return slices.Contains(c.Methods, MultiFactor) }

// HasRole reports whether the token carries the role.
func (c *Claims) HasRole(r Role) bool { return c.Roles.Has(r) }

// payload is the claims plus those that only verification reads.
type payload struct {
	Claims
	issuer    string
	audience  []string
	notBefore time.Time // zero without the claim
}

// parsePayload parses claims that every JSON parser reads alike (RFC 7519 section 4): exact and unique names, numbers
// as JSON integers, valid UTF-8, and no claim missing. The signature is already verified, so this guards against bugs
// here and in other software that holds a key of the ring. It ignores unknown claims, so that a newer version can add
// some.
func parsePayload(data []byte) (*payload, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("claims are not UTF-8")
	}
	r := reader{asked: map[string]bool{}}
	if err := json.Unmarshal(data, &r.members); err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	p := &payload{
		Claims: Claims{
			UserID:     UserID(r.text("sub")),
			SessionID:  SessionID(r.text("sid")),
			Generation: r.integer("gen"),
			AuthTime:   r.time("auth_time"),
			Methods:    r.list("amr"),
			Version:    r.integer("ver"),
			ID:         r.text("jti"),
			IssuedAt:   r.time("iat"),
			ExpiresAt:  r.time("exp"),

			EmailVerified: r.flag("email_verified"),
			HasFactor:     r.flag("has_factor"),
		},
		issuer:   r.text("iss"),
		audience: r.audience(),
	}
	roles := r.list("roles")
	p.Roles = make(Roles, len(roles))
	for i, role := range roles {
		p.Roles[i] = Role(role)
	}
	r.asked["nbf"] = true
	if _, ok := r.members["nbf"]; ok {
		p.notBefore = r.time("nbf")
	}
	r.refuseCaseVariants()
	return p, r.err
}

// reader reads claims by exact name and type. err is the last error.
type reader struct {
	members map[string]json.RawMessage
	asked   map[string]bool
	err     error
}

func (r *reader) member(name string) json.RawMessage {
	r.asked[name] = true
	return r.members[name]
}

func (r *reader) refuse(name string) { r.err = fmt.Errorf("claim %s is missing or malformed", name) }

func (r *reader) text(name string) string {
	var s string // stays empty for null
	if err := json.Unmarshal(r.member(name), &s); err != nil || !isPlain(s) {
		r.refuse(name)
	}
	return s
}

func (r *reader) list(name string) []string {
	var list []string // stays nil for null
	if err := json.Unmarshal(r.member(name), &list); err != nil || list == nil || !all(list, isPlain) {
		r.refuse(name)
	}
	return list
}

// flag reads a claim that is either true or absent.
func (r *reader) flag(name string) bool {
	raw := r.member(name)
	if raw != nil && string(raw) != "true" {
		r.refuse(name)
	}
	return raw != nil
}

// audience reads aud, which is a string or a list (RFC 7519 section 4.1.3).
func (r *reader) audience() []string {
	if strings.HasPrefix(string(r.member("aud")), `"`) {
		return []string{r.text("aud")}
	}
	return r.list("aud")
}

func (r *reader) integer(name string) int64 {
	// The member is a valid JSON value, so ParseInt accepts only integer literals: not "1", 1.0 or 1e9.
	n, err := strconv.ParseInt(string(r.member(name)), 10, 64)
	if err != nil || n < 0 {
		r.refuse(name)
	}
	return n
}

func (r *reader) time(name string) time.Time {
	const year9999 = 253402300799 // RFC 3339 cannot represent later times
	n := r.integer(name)
	if n > year9999 {
		r.refuse(name)
	}
	return time.Unix(n, 0).UTC()
}

// refuseCaseVariants refuses claims such as EXP beside exp, because case-insensitive parsers such as encoding/json
// would read the wrong one.
func (r *reader) refuseCaseVariants() {
	for name := range r.members {
		for asked := range r.asked {
			if name != asked && strings.EqualFold(name, asked) {
				r.err = fmt.Errorf("claim %q is a case variant of %s", name, asked)
			}
		}
	}
}

// isPlain refuses empty and overlong strings, and characters that parsers may read differently. A lone surrogate escape
// decodes to U+FFFD.
func isPlain(s string) bool {
	return s != "" && len(s) <= 2048 && !strings.ContainsFunc(s, func(c rune) bool {
		return c == utf8.RuneError || unicode.IsControl(c)
	})
}

func all(list []string, ok func(string) bool) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return !ok(s) })
}
