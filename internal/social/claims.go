package social

import (
	"fmt"
	"slices"
	"strings"

	"github.com/graphwarden/graphwarden/internal/token"
)

// Claims are what a provider has said about a user, once its answer was verified. Users are known by issuer and
// subject: addresses change hands, and names of users are given again.
type Claims struct {
	Provider string `json:"provider"`
	Issuer   string `json:"issuer"`
	Subject  string `json:"subject"`
	// Email is the address as the provider has it; empty for none.
	Email string `json:"email"`
	// EmailVerified is whether the provider vouches that the user receives mail at Email.
	EmailVerified bool   `json:"emailVerified"`
	Name          string `json:"name"`
	// Roles are those that the settings give to a user with these claims.
	Roles []token.Role `json:"roles"`
}

// maxSubject is the maximum length of a subject (OpenID Connect Core, section 2).
const maxSubject = 255

// read makes Claims of the verified claims of a user.
func (p *provider) read(claims map[string]any) (*Claims, error) {
	c := &Claims{Provider: p.name, Issuer: p.issuer, Subject: text(claims[p.subject]), Email: text(claims["email"]),
		EmailVerified: isTrue(claims[p.verified]), Name: text(claims["name"]), Roles: p.granted(claims)}
	// A database does not take every text.
	if c.Subject == "" || len(c.Subject) > maxSubject || strings.ToValidUTF8(c.Subject, "") != c.Subject ||
		strings.Contains(c.Subject, "\x00") {
		return nil, fmt.Errorf("the claim %s is not the id of a user", p.subject)
	}
	return c, nil
}

func text(claim any) string {
	s, _ := claim.(string)
	return s
}

// isTrue reads a claim that should be a Boolean: some providers send text, and Entra ID sends xms_edov as a number.
func isTrue(claim any) bool {
	return slices.Contains([]string{"true", "1"}, fmt.Sprint(claim))
}
