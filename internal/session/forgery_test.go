package session_test

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/audit"
	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/secret"
	"github.com/graphwarden/graphwarden/internal/session"
)

const prefix = "gwr_"

// remade decodes a refresh token, applies change to its bytes and encodes it again.
func remade(tb testing.TB, raw string, change func(b []byte)) string {
	tb.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(raw, prefix))
	if err != nil {
		tb.Fatal(err)
	}
	change(b)
	return prefix + base64.RawURLEncoding.EncodeToString(b)
}

// unusedBit returns raw with a bit set that the decoder ignores.
func unusedBit(tb testing.TB, raw string) string {
	tb.Helper()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(raw) - 1
	altered := raw[:last] + string(alphabet[strings.IndexByte(alphabet, raw[last])|1])
	if a, b := remade(tb, raw, func([]byte) {}), remade(tb, altered, func([]byte) {}); a != b || altered == raw {
		tb.Fatalf("%s is not another spelling of %s", altered, raw)
	}
	return altered
}

// forgeries are the variants of a genuine token that can be made without the key: other spellings and other contents.
func forgeries(tb testing.TB, raw string) map[string]string {
	tb.Helper()
	body := strings.TrimPrefix(raw, prefix)
	generation := func(g uint64) string {
		return remade(tb, raw, func(b []byte) { binary.BigEndian.PutUint64(b[16:], g) })
	}
	return map[string]string{
		"trailing line break":                raw + "\n",
		"line break inside":                  raw[:40] + "\n" + raw[40:],
		"carriage return inside":             raw[:40] + "\r" + raw[40:],
		"line break in place of a character": raw[:len(raw)-1] + "\n",
		"padding":                            raw + "=", "unused bits": unusedBit(tb, raw),
		"standard alphabet": prefix + strings.NewReplacer("-", "+", "_", "/").Replace(body) + "+",
		"blank in front":    " " + raw, "blank behind": raw + " ", "NUL behind": raw + "\x00",
		"cut": raw[:len(raw)-1], "longer": raw + "A", "doubled": raw + raw, "without prefix": body,
		"upper prefix": "GWR_" + body, "other prefix": "gwa_" + body, "prefix only": prefix, "empty": "",
		"a megabyte":   prefix + strings.Repeat("A", 1000000),
		"MAC altered":  remade(tb, raw, func(b []byte) { b[len(b)-1] ^= 1 }),
		"MAC zero":     remade(tb, raw, func(b []byte) { clear(b[24:]) }),
		"generation 0": generation(0), "generation 2": generation(2), "generation 3": generation(3),
		"generation negative":    generation(1 << 63),
		"generation of all ones": generation(1<<64 - 1), "another session": remade(tb, raw, func(b []byte) { b[15] ^= 1 }),
		"no session": remade(tb, raw, func(b []byte) { clear(b[:16]) }),
	}
}

func TestForgedRefreshTokens(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		before, message := stateOf(t, srv, c.SessionID), ""
		refused := func(t *testing.T, raw string) {
			t.Helper()
			answer := srv.Anonymous().Redeem(t, raw)
			answer.Refused(t, "UNAUTHENTICATED", "REFRESH_INVALID")
			if message == "" {
				message = answer.Errors[0].Message
			}
			if got := answer.Errors[0].Message; got != message {
				t.Errorf("%q, but %q for another forgery", got, message)
			}
		}
		for name, raw := range forgeries(t, c.RefreshToken) {
			if len(raw) < 1000000 { // not above the limit of a request body
				t.Run(name, func(t *testing.T) { refused(t, raw) })
			}
		}
		t.Run("another session's id with the MAC of this one", func(t *testing.T) {
			other := srv.As(t)
			id := uuid.MustParse(string(other.SessionID))
			refused(t, remade(t, c.RefreshToken, func(b []byte) { copy(b, id[:]) }))
			wantAlive(t, srv, other.AccessToken, other.RefreshToken)
		})
		t.Run("an access token", func(t *testing.T) { refused(t, c.AccessToken) })
		t.Run("a token of a deleted session", func(t *testing.T) {
			gone := srv.As(t)
			srv.Exec(t, "DELETE FROM sessions WHERE id = $1", gone.SessionID)
			refused(t, gone.RefreshToken)
		})
		if diff := cmp.Diff(before, stateOf(t, srv, c.SessionID)); diff != "" {
			t.Errorf("forgeries changed the genuine session (-before +after):\n%s", diff)
		}
		wantAlive(t, srv, c.AccessToken, c.RefreshToken)
	})
}

func TestRefreshTokenIsNotAnAccessToken(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		bearer(srv, c.RefreshToken).Do(t, meQuery, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_INVALID")
		if verify(t, srv, c.RefreshToken) {
			t.Error("verifyToken reports it as active")
		}
	})
}

func TestSpellingsOfASpentTokenNeitherIssueNorRevoke(t *testing.T) {
	t.Parallel()
	apptest.OnBoth(t, func(t *testing.T, srv *apptest.Server) {
		c := srv.As(t)
		spent := c.RefreshToken
		c.Refresh(t)
		c.Refresh(t)
		for name, raw := range forgeries(t, spent) {
			if _, err := srv.App.Sessions.Refresh(t.Context(), raw, audit.Actor{}); !fault.Is(err, fault.RefreshInvalid) {
				t.Errorf("%s: got %v, want REFRESH_INVALID", name, err)
			}
		}
		wantAlive(t, srv, c.AccessToken, c.RefreshToken)
	})
}

// The parser accepts only tokens in the spelling that the server issues.
func FuzzRefreshToken(f *testing.F) {
	key, err := secret.New("a secret for tests, of more than 32 bytes")
	if err != nil {
		f.Fatal(err)
	}
	sessions := session.NewService(nil, nil, key, nil, nil, session.Options{}) // reading a token needs only the key
	genuine := sessions.MustToken("01890a5d-ac96-774b-bcce-b302099a8057", 1)
	f.Add(genuine)
	for _, raw := range forgeries(f, genuine) {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		id, generation, accepted := sessions.ReadToken(raw)
		if id != "" && (generation < 1 || uuid.Validate(string(id)) != nil) {
			t.Errorf("%q is accepted as generation %d of %q", raw, generation, id)
		}
		if accepted && raw != sessions.MustToken(id, generation) {
			t.Errorf("%q is accepted, but was never issued", raw)
		}
		if raw == genuine && !accepted {
			t.Error("the genuine token is refused")
		}
	})
}
