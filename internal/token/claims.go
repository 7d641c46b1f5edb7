// Package token owns the signing keys and the access tokens made with them: the ring of keys in the
// database and their life cycle, issuing, verification, and the public key set (JWKS).
//
// It promises that a verified token was issued by a key of this ring for this service and has not
// expired. Whether its session still stands it does not know: that is package session's.
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

// Claims is what a verified access token says. Times are whole seconds, UTC.
type Claims struct {
	UserID    UserID    // sub
	SessionID SessionID // sid
	// Generation is the refresh generation that the token was issued with (gen).
	Generation int64
	Roles      Roles
	// AuthTime is when a credential was last proved (auth_time).
	AuthTime time.Time
	// Methods says how (amr, RFC 8176).
	Methods []string
	// Version is the user's authorization version (ver): roles count only while it is current.
	Version   int64
	ID        string // jti
	IssuedAt  time.Time
	ExpiresAt time.Time
	// KeyID names the key that signed the token.
	KeyID string
}

// HasRole reports whether the token carries the role.
func (c *Claims) HasRole(r Role) bool { return c.Roles.Has(r) }

// payload is the claims with what only verification looks at.
type payload struct {
	Claims
	issuer    string
	audience  []string
	notBefore time.Time // zero without the claim
}

// parsePayload accepts only what RFC 7519 section 4 leaves no room to read in two ways: unique and
// exact names, numbers as JSON integers, valid UTF-8, nothing missing. The signature is already
// checked, so this guards against other software that holds a key of the ring, and against a mistake
// of this one. Unknown claims pass, or a newer replica could never add one.
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

// reader takes claims by exact name and type and keeps the last fault.
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

// audience is one string or several (RFC 7519 section 4.1.3).
func (r *reader) audience() []string {
	if strings.HasPrefix(string(r.member("aud")), `"`) {
		return []string{r.text("aud")}
	}
	return r.list("aud")
}

func (r *reader) integer(name string) int64 {
	// The member is a valid JSON value, so only an integer literal gets through: no "1", 1.0 or 1e9.
	n, err := strconv.ParseInt(string(r.member(name)), 10, 64)
	if err != nil || n < 0 {
		r.refuse(name)
	}
	return n
}

func (r *reader) time(name string) time.Time {
	const year9999 = 253402300799 // beyond it time arithmetic and RFC 3339 give out
	n := r.integer(name)
	if n > year9999 {
		r.refuse(name)
	}
	return time.Unix(n, 0).UTC()
}

// refuseCaseVariants keeps `EXP` from standing beside `exp` for a reader that folds case, as
// encoding/json does.
func (r *reader) refuseCaseVariants() {
	for name := range r.members {
		for asked := range r.asked {
			if name != asked && strings.EqualFold(name, asked) {
				r.err = fmt.Errorf("claim %q is a case variant of %s", name, asked)
			}
		}
	}
}

// isPlain refuses the empty string, what is longer than any name this product gives, and what two
// readers could see differently. U+FFFD is what a lone surrogate escape decodes to.
func isPlain(s string) bool {
	return s != "" && len(s) <= 2048 && !strings.ContainsFunc(s, func(c rune) bool {
		return c == utf8.RuneError || unicode.IsControl(c)
	})
}

func all(list []string, ok func(string) bool) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return !ok(s) })
}
