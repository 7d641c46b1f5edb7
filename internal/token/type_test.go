package token_test

import (
	"strings"
	"testing"

	"github.com/graphwarden/graphwarden/internal/token"
)

// Changing the token type must not end sessions, so tokens of the default type still verify. With the default, no other
// type verifies.
func TestTypeOfTokens(t *testing.T) {
	t.Parallel()
	for _, algorithm := range algorithms {
		t.Run(string(algorithm), func(t *testing.T) {
			t.Parallel()
			db := sqlite(t)
			access := newServer(mustOpen(t, db, options(algorithm)))
			o := options(algorithm)
			o.Type = token.TypeJWT
			plain := newServer(mustOpen(t, db, o))

			rfc9068, _ := access.mustIssue(t)
			jwt, _ := plain.mustIssue(t)
			header, _, _ := strings.Cut(jwt, ".")
			if got := mustDecode(t, header); !strings.Contains(got, `"typ":"JWT"`) {
				t.Errorf("header %s, want typ JWT", got)
			}
			plain.mustVerify(t, jwt)
			plain.mustVerify(t, rfc9068)
			access.mustVerify(t, rfc9068)
			access.mustRefuse(t, jwt, token.ErrInvalid)
		})
	}
}
