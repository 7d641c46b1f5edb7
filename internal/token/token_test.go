package token_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/store/storetest"
	"github.com/graphwarden/graphwarden/internal/token"
)

func TestMain(m *testing.M) { storetest.Main(m) }

const (
	issuer   = "https://api.example.com"
	audience = "https://api.example.com/graphql"
	life     = 15 * time.Minute
	leeway   = token.Leeway
)

var algorithms = []token.Algorithm{token.ES256, token.EdDSA, token.RS256, token.HS256}

func options(a token.Algorithm) token.RingOptions {
	return token.RingOptions{
		Algorithm:   a,
		RotateEvery: 30 * 24 * time.Hour,
		Overlap:     time.Hour,
		TokenLife:   life,
		Now:         time.Now,
	}
}

func mustSecret(tb testing.TB, current string, accepted ...string) *secret.Secret {
	tb.Helper()
	pad := func(s string) string { return s + strings.Repeat(".", secret.MinLength) }
	for i := range accepted {
		accepted[i] = pad(accepted[i])
	}
	s, err := secret.New(pad(current), accepted...)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func mustOpen(tb testing.TB, db *store.DB, o token.RingOptions) *token.Ring {
	tb.Helper()
	r, err := token.OpenRing(tb.Context(), db, mustSecret(tb, "one"), o)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// unrecorded is a Record that writes nothing.
func unrecorded(*store.Tx, string) error { return nil }

func mustRotate(tb testing.TB, r *token.Ring) {
	tb.Helper()
	if err := r.Rotate(tb.Context(), unrecorded); err != nil {
		tb.Fatal(err)
	}
}

func sqlite(tb testing.TB) *store.DB {
	tb.Helper()
	return storetest.Open(tb, "sqlite:"+filepath.Join(tb.TempDir(), "test.db"))
}

// server is a replica: a ring with an issuer, a verifier and a clock that tests can set.
type server struct {
	*token.Ring
	*token.Issuer
	*token.Verifier
	now time.Time
}

func newServer(r *token.Ring) *server {
	s := &server{Ring: r, now: time.Now()}
	clock := func() time.Time { return s.now }
	s.Issuer = token.NewIssuer(r, issuer, audience, life, clock)
	s.Verifier = token.NewVerifier(r, issuer, audience, clock)
	return s
}

func (s *server) claims() token.Claims {
	return token.Claims{
		UserID: "user-1", SessionID: "session-1", Generation: 3, Roles: []token.Role{"USER", "ADMIN"},
		AuthTime: s.now.Add(-time.Minute), Methods: []string{"pwd"}, Version: 7,
		EmailVerified: true, HasFactor: true,
	}
}

func (s *server) mustIssue(tb testing.TB) (string, token.Claims) {
	tb.Helper()
	raw, issued, err := s.Issue(s.claims(), s.now.Add(24*time.Hour))
	if err != nil {
		tb.Fatal(err)
	}
	return raw, issued
}

func (s *server) mustVerify(tb testing.TB, raw string) *token.Claims {
	tb.Helper()
	c, err := s.Verify(raw)
	if err != nil {
		tb.Fatalf("verify: %v", err)
	}
	return c
}

func (s *server) mustRefuse(tb testing.TB, raw string, want error) {
	tb.Helper()
	c, err := s.Verify(raw)
	if !errors.Is(err, want) || c != nil {
		tb.Fatalf("got %+v, %v, want %v", c, err, want)
	}
}

func TestIssuedTokenVerifiesToTheSameClaims(t *testing.T) {
	t.Parallel()
	for _, a := range algorithms {
		t.Run(string(a), func(t *testing.T) {
			t.Parallel()
			s := newServer(mustOpen(t, sqlite(t), options(a)))
			raw, issued := s.mustIssue(t)
			for _, state := range []string{"cold", "cached"} {
				if diff := cmp.Diff(&issued, s.mustVerify(t, raw)); diff != "" {
					t.Errorf("%s (-issued +verified):\n%s", state, diff)
				}
			}
			want := s.claims()
			want.ID, want.KeyID = issued.ID, issued.KeyID
			want.AuthTime = want.AuthTime.UTC().Truncate(time.Second)
			want.IssuedAt = s.now.UTC().Truncate(time.Second)
			want.ExpiresAt = want.IssuedAt.Add(life)
			if diff := cmp.Diff(want, issued); diff != "" {
				t.Errorf("(-want +issued):\n%s", diff)
			}
			if !issued.HasRole("ADMIN") || issued.HasRole("admin") {
				t.Error("HasRole is not case-sensitive")
			}
			if other, _ := s.mustIssue(t); other == raw {
				t.Error("two tokens are the same")
			}
		})
	}
}

func TestIssue(t *testing.T) {
	t.Parallel()
	s := newServer(mustOpen(t, sqlite(t), options(token.ES256)))
	t.Run("never past the end of the session", func(t *testing.T) {
		end := s.now.Add(90 * time.Second)
		_, issued, err := s.Issue(s.claims(), end)
		if err != nil || issued.ExpiresAt.After(end) || end.Sub(issued.ExpiresAt) >= time.Second {
			t.Errorf("expires at %s for a session until %s, %v", issued.ExpiresAt, end, err)
		}
	})
	t.Run("missing roles and methods become empty lists", func(t *testing.T) {
		c := s.claims()
		c.Roles, c.Methods = nil, nil
		raw, _, err := s.Issue(c, s.now.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if got := s.mustVerify(t, raw); len(got.Roles)+len(got.Methods) != 0 {
			t.Errorf("got %v, %v", got.Roles, got.Methods)
		}
	})
	t.Run("a proof in the future is dated back to the issue", func(t *testing.T) {
		c := s.claims()
		c.AuthTime = s.now.Add(time.Minute)
		raw, issued, err := s.Issue(c, s.now.Add(time.Hour))
		if err != nil || !issued.AuthTime.Equal(issued.IssuedAt) {
			t.Fatalf("proved at %s, issued at %s, %v", issued.AuthTime, issued.IssuedAt, err)
		}
		s.mustVerify(t, raw)
	})
	for name, spoil := range map[string]func(*token.Claims, *time.Time){
		"no user":          func(c *token.Claims, _ *time.Time) { c.UserID = "" },
		"no session":       func(c *token.Claims, _ *time.Time) { c.SessionID = "" },
		"session is over":  func(_ *token.Claims, end *time.Time) { *end = s.now.Add(-time.Second) },
		"no end of it set": func(_ *token.Claims, end *time.Time) { *end = time.Time{} },
	} {
		t.Run("refuses: "+name, func(t *testing.T) {
			c, end := s.claims(), s.now.Add(time.Hour)
			spoil(&c, &end)
			if raw, _, err := s.Issue(c, end); err == nil || raw != "" {
				t.Errorf("issued %q, %v", raw, err)
			}
		})
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	for name, warm := range map[string]bool{"cold": false, "cached": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(mustOpen(t, sqlite(t), options(token.EdDSA)))
			raw, issued := s.mustIssue(t)
			if warm {
				s.mustVerify(t, raw)
			}
			s.now = issued.ExpiresAt.Add(leeway - time.Nanosecond)
			if warm {
				s.mustVerify(t, raw)
			}
			s.now = issued.ExpiresAt.Add(leeway)
			s.mustRefuse(t, raw, token.ErrExpired)
			s.mustRefuse(t, raw[:len(raw)-2], token.ErrInvalid)
			if !warm && s.Cached() != 0 {
				t.Error("an expired token was cached")
			}
			s.now = issued.ExpiresAt.Add(leeway - time.Nanosecond)
			s.mustVerify(t, raw)
		})
	}
}
