package graph_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/store"
	"github.com/graphwarden/graphwarden/internal/token"
)

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func unb64(t *testing.T, segment string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// hostileHeaders are headers that attackers put into a token, by name. The other parts are those of the genuine token.
func hostileHeaders(kid string) map[string]string {
	all := map[string]string{
		"duplicate alg": `{"alg":"ES256","kid":"` + kid + `","typ":"at+jwt","alg":"none"}`,
		"not JSON":      `{"alg"`,
		"empty":         ``,
		"a list":        `["ES256"]`,
	}
	for _, alg := range []string{
		`"none"`, `"None"`, `"NONE"`, `"nOnE"`, `""`, `null`, `0`, `["none"]`, `"HS256"`, `"HS512"`, `"RS256"`, `"PS256"`,
		`"ES384"`,
	} {
		all["alg "+alg] = `{"alg":` + alg + `,"kid":"` + kid + `","typ":"at+jwt"}`
	}
	for _, odd := range []string{
		`/dev/null`, `../../../../dev/null`, `|sleep 10`, `x' UNION SELECT 'k`, `https://evil.example/key`, ``, `unknown`,
		kid[1:],
	} {
		all["kid "+odd] = `{"alg":"ES256","kid":"` + odd + `","typ":"at+jwt"}`
	}
	for _, typ := range []string{`"JWT"`, `"rt+jwt"`, `"AT+JWT"`, `null`, `"application/at+jwt"`} {
		all["typ "+typ] = `{"alg":"ES256","kid":"` + kid + `","typ":` + typ + `}`
	}
	for _, member := range []string{`"jwk":{"kty":"oct","k":"AA"}`, `"jku":"https://evil.example/jwks.json"`, `"x5u":"https://evil.example/x.pem"`, `"x5c":["MIIB"]`,
		`"crit":["exp"]`, `"crit":[]`, `"b64":false`, `"zip":"DEF"`, `"cty":"JWT"`} {
		all[member] = `{"alg":"ES256","kid":"` + kid + `","typ":"at+jwt",` + member + `}`
	}
	return all
}

// hostileTokens are forgeries by their method. Forgeries that need the signing key are in package token; these use only
// what an attacker has.
func hostileTokens(t *testing.T, srv *apptest.Server, c *apptest.Client) map[string]string {
	t.Helper()
	parts := strings.Split(c.AccessToken, ".")
	h, p, s := parts[0], parts[1], parts[2]
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(signing string) string {
		sum := sha256.Sum256([]byte(signing))
		r, s, err := ecdsa.Sign(rand.Reader, own, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return signing + "." + b64(string(r.FillBytes(make([]byte, 32)))+string(s.FillBytes(make([]byte, 32))))
	}
	all := map[string]string{
		"own key":         signed(h + "." + p),
		"a refresh token": c.RefreshToken,
		"8,000 dots":      strings.Repeat(".", 8000),
		"one dot":         ".",
		"two dots":        "..",
		"JSON":            `{"payload":"` + p + `","protected":"` + h + `","signature":"` + s + `"}`,
	}
	_, kid, _ := strings.Cut(unb64(t, h), `"kid":"`)
	kid, _, _ = strings.Cut(kid, `"`)
	for name, header := range hostileHeaders(kid) {
		signing := b64(header) + "." + p
		all[name+", unsigned"], all[name+", old signature"], all[name+", own key"] = signing+".", signing+"."+s, signed(
			signing,
		)
		for size, sum := range map[string]func() hash.Hash{"256": sha256.New, "512": sha512.New} {
			mac := hmac.New(sum, srv.App.Keys.JWKS())
			mac.Write([]byte(signing))
			all[name+", public key as HMAC secret, "+size] = signing + "." + b64(string(mac.Sum(nil)))
		}
	}
	payload := unb64(t, p)
	for _, edit := range []string{`"exp":9999999999`, `"exp":"9999999999"`, `"exp":-1`, `"exp":1e400`, `"sub":"root"`, `"sub":["root"]`, `"iss":["x"]`, `"aud":[]`, `"roles":["ADMIN"]`} {
		altered := b64(strings.TrimSuffix(payload, "}") + "," + edit + "}")
		all["claims with "+edit] = h + "." + altered + "." + s
		all["claims with "+edit+", unsigned"] = b64(`{"alg":"none","typ":"at+jwt"}`) + "." + altered + "."
	}
	raw := []byte(unb64(t, s))
	twin := new(big.Int).SetBytes(raw[32:])
	twin.Sub(elliptic.P256().Params().N, twin).FillBytes(raw[32:])
	for name, signature := range map[string]string{"twin": b64(string(raw)), "zero": b64(string(make([]byte, 64))), "of ones": b64(strings.Repeat("\x00", 31) + "\x01" + strings.Repeat("\x00", 31) + "\x01"), "empty": "",
		"cut": s[:len(s)-4], "padded": s + "==", "DER": b64("0\x06\x02\x01\x01\x02\x01\x01"), "longer": s + "AAAA"} {
		all["signature "+name] = h + "." + p + "." + signature
	}
	for n := range 5 {
		if n != 2 {
			all[fmt.Sprintf("%d dots", n)] = strings.Join([]string{h, p, s, s, s, s}[:n+1], ".")
		}
	}
	all["a blank inside"] = h + ". " + p + "." + s
	return all
}

// issueAs signs a token as a service with these keys and names would.
func issueAs(t *testing.T, keys *token.Ring, issuer, audience string, srv *apptest.Server, c *apptest.Client) string {
	t.Helper()
	raw, _, err := token.NewIssuer(keys, issuer, audience, 15*time.Minute, srv.Now).
		Issue(token.Claims{UserID: c.UserID, SessionID: c.SessionID, Generation: 1,
			Roles: []token.Role{
				"USER",
				"ADMIN",
			}, Methods: []string{"pwd"}, AuthTime: srv.Now(), Version: 1}, srv.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Forged tokens are refused at every input for tokens, with the same answer.
func TestHostileTokensOverHTTP(t *testing.T) {
	t.Parallel()
	srv, elsewhere := apptest.Start(t), apptest.Start(t)
	c := srv.As(t)
	names := srv.App.Config
	all := hostileTokens(t, srv, c)
	all["of another deployment"] = elsewhere.As(t).AccessToken
	all["of another deployment with our names"] = issueAs(t, elsewhere.App.Keys, names.Issuer, names.Audience, srv, c)
	all["for another audience"] = issueAs(t, srv.App.Keys, names.Issuer, "https://other.example", srv, c)
	all["of another issuer"] = issueAs(t, srv.App.Keys, "https://other.example", names.Audience, srv, c)
	if raw := issueAs(t, srv.App.Keys, names.Issuer, names.Audience, srv, c); !isSignedIn(t, srv, raw) {
		t.Fatal("the forgeries are broken: even a correct token made in this way is refused")
	}
	answers := map[string]string{}
	note := func(a *apptest.Answer, name string) {
		t.Helper()
		if a.Status >= 500 || len(a.Errors) != 1 || a.Errors[0].Extensions.Code != "UNAUTHENTICATED" || a.Data != nil {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
			return
		}
		refused := a.Errors[0]
		answers[fmt.Sprint(a.Status, refused.Extensions.Code, refused.Extensions.Reason, refused.Message,
			a.Header.Get("WWW-Authenticate"))] = name
	}
	bearer := srv.Anonymous()
	for name, raw := range all {
		bearer.AccessToken = raw
		note(bearer.Do(t, `{ me { id } }`, nil), name)
		if raw != c.RefreshToken {
			note(srv.Anonymous().Redeem(t, raw), name+", as a refresh token")
		}
		var info struct{ VerifyToken struct{ Active bool } }
		if bearer.Do(t, `query($t: String!) { verifyToken(token: $t) { active } }`, map[string]any{"t": raw}).Into(t, &info); info.VerifyToken.Active {
			t.Errorf("%s: active", name)
		}
	}
	note(srv.Anonymous().Redeem(t, c.AccessToken), "an access token, as a refresh token")
	if len(all) < 150 || len(answers) > 4 {
		t.Errorf("%d forgeries got %d different answers: %v", len(all), len(answers), answers)
	}
	if !isSignedIn(t, srv, c.AccessToken) {
		t.Error("the genuine token is refused afterwards")
	}
	c.Refresh(t)
}

func isSignedIn(t *testing.T, srv *apptest.Server, raw string) bool {
	t.Helper()
	bearer := srv.Anonymous()
	bearer.AccessToken = raw
	return len(bearer.Do(t, `{ me { id } }`, nil).Errors) == 0
}

// A retired key verifies but no longer signs. A removed key does neither.
func TestTokensOfFormerKeysOverHTTP(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t)
	c := srv.As(t)
	claims, err := srv.App.Verifier.Verify(c.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	err = srv.App.DB.Tx(t.Context(), func(tx *store.Tx) error { // the next key has been published for long enough
		_, err := tx.Exec("UPDATE signing_keys SET created_at = created_at - $1", (2 * time.Hour).Microseconds())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	unrecorded := func(*store.Tx, string) error { return nil }
	if err := srv.App.Keys.Rotate(t.Context(), unrecorded); err != nil {
		t.Fatal(err)
	}
	if !isSignedIn(t, srv, c.AccessToken) {
		t.Error("a token of the retired key is refused")
	}
	if err := srv.App.Keys.Revoke(t.Context(), claims.KeyID, unrecorded); err != nil {
		t.Fatal(err)
	}
	if isSignedIn(t, srv, c.AccessToken) {
		t.Error("a token of a removed key is accepted")
	}
	c.Do(t, `{ me { id } }`, nil).Refused(t, "UNAUTHENTICATED", "TOKEN_INVALID")
	c.Refresh(t)
	if !isSignedIn(t, srv, c.AccessToken) {
		t.Error("a refresh returns no token of the new key")
	}
}
