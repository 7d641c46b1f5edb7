package token_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/go-jose/go-jose/v4"

	"github.com/graphwarden/graphwarden/internal/token"
)

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func mustDecode(tb testing.TB, segment string) string {
	tb.Helper()
	b, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

// genuine is a valid token, split into its parts to build forgeries from.
type genuine struct {
	tb                         testing.TB
	server                     *server
	raw                        string
	header, payload, signature string // segments
	kid                        string
}

func newGenuine(tb testing.TB, a token.Algorithm) genuine {
	s := newServer(mustOpen(tb, sqlite(tb), options(a)))
	raw, issued := s.mustIssue(tb)
	p := strings.Split(raw, ".")
	return genuine{tb: tb, server: s, raw: raw, header: p[0], payload: p[1], signature: p[2], kid: issued.KeyID}
}

// sign signs any text with the ring's key, so that only the rule under test can refuse the token.
func (g genuine) sign(header, payload string) string {
	raw, err := g.server.Sign(header, payload)
	if err != nil {
		g.tb.Fatal(err)
	}
	return raw
}

func (g genuine) withHeader(header string) string { return g.sign(header, mustDecode(g.tb, g.payload)) }

func (g genuine) withPayload(payload string) string {
	return g.sign(mustDecode(g.tb, g.header), payload)
}

// edit sets a member of a JSON object, or removes it if value is empty.
func (g genuine) edit(segment, name, value string) string {
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(mustDecode(g.tb, segment)), &members); err != nil {
		g.tb.Fatal(err)
	}
	delete(members, name)
	if value != "" {
		members[name] = json.RawMessage(value)
	}
	// encoding/json would refuse values that are not JSON.
	var list []string
	for _, name := range slices.Sorted(maps.Keys(members)) {
		list = append(list, strconv.Quote(name)+":"+string(members[name]))
	}
	return "{" + strings.Join(list, ",") + "}"
}

func (g genuine) claim(name, value string) string {
	return g.withPayload(g.edit(g.payload, name, value))
}

func (g genuine) parameter(name, value string) string {
	return g.withHeader(g.edit(g.header, name, value))
}

// also appends members to a JSON object, even if they are already present.
func also(object, members string) string {
	return strings.TrimSuffix(object, "}") + "," + members + "}"
}

// refuseAll checks that every forgery is refused, and that the genuine token verifies before and after each.
func (g genuine) refuseAll(t *testing.T, forgeries map[string]string) {
	t.Helper()
	g.server.mustVerify(t, g.raw)
	for name, forgery := range forgeries {
		t.Run(name, func(t *testing.T) {
			if forgery == g.raw {
				t.Fatal("the forgery is the genuine token")
			}
			g.server.mustRefuse(t, forgery, token.ErrInvalid)
			if _, err := g.server.Verify(forgery); errors.Is(err, token.ErrExpired) {
				t.Error("the error is ErrExpired")
			}
			g.server.mustVerify(t, g.raw)
		})
	}
	if n := g.server.Cached(); n != 1 {
		t.Errorf("%d tokens cached, want the genuine one only", n)
	}
}

func forEachAlgorithm(t *testing.T, f func(t *testing.T, g genuine)) {
	for _, a := range algorithms {
		t.Run(string(a), func(t *testing.T) {
			t.Parallel()
			f(t, newGenuine(t, a))
		})
	}
}

// otherUnusedBits encodes the same bytes with unused bits set. A segment without unused bits is truncated instead.
func otherUnusedBits(segment string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	if len(segment)%4 == 0 {
		return segment[:len(segment)-1]
	}
	last := strings.IndexByte(alphabet, segment[len(segment)-1])
	return segment[:len(segment)-1] + string(alphabet[last|1])
}

func TestRefusesOtherSpellings(t *testing.T) {
	t.Parallel()
	forEachAlgorithm(t, func(t *testing.T, g genuine) {
		h, p, s := g.header, g.payload, g.signature
		jwsJSON := `{"payload":"` + p + `","protected":"` + h + `","signature":"` + s + `"}`
		forgeries := map[string]string{
			"nothing": "", "a dot": ".", "two dots": "..", "one segment": h, "two segments": h + "." + p,
			"no signature": h + "." + p + ".", "no payload": h + ".." + s, "no header": "." + p + "." + s,
			"fourth segment": g.raw + "." + s, "empty fourth segment": g.raw + ".", "five segments": g.raw + ".a.b",
			"doubled": g.raw + g.raw, "list": g.raw + "," + g.raw, "with its scheme": "Bearer " + g.raw,
			"JSON serialization": jwsJSON, "quoted": `"` + g.raw + `"`,
			"blank before": " " + g.raw, "blank after": g.raw + " ", "line break after": g.raw + "\n",
			"NUL after": g.raw + "\x00", "byte order mark": "\ufeff" + g.raw, "0xFF": g.raw + "\xff",
			"another alphabet":       h + "." + p + "." + base64.RawStdEncoding.EncodeToString(bytes.Repeat([]byte{0xfb}, 64)),
			"8 KB":                   g.raw + strings.Repeat("A", token.MaxSize),
			"1 MB of dots":           strings.Repeat(".", 1<<20),
			"payload of the largest": h + "." + strings.Repeat("A", token.MaxSize-len(h)-len(s)-2) + "." + s,
		}
		for i, name := range []string{"header", "payload", "signature"} {
			part := func(change func(string) string) string {
				parts := []string{h, p, s}
				parts[i] = change(parts[i])
				return strings.Join(parts, ".")
			}
			for what, insert := range map[string]string{
				"LF": "\n", "CR": "\r", "CRLF": "\r\n", "tab": "\t", "blank": " ", "NUL": "\x00", "percent": "%41",
			} {
				forgeries[what+" inside the "+name] = part(func(s string) string { return s[:9] + insert + s[9:] })
			}
			forgeries["padded "+name] = part(func(s string) string { return s + "=" })
			forgeries["padded twice "+name] = part(func(s string) string { return s + "==" })
			forgeries["line break at the end of the "+name] = part(func(s string) string { return s + "\n" })
			forgeries["unused bits in the "+name] = part(otherUnusedBits)
			forgeries["cut "+name] = part(func(s string) string { return s[1:] })
		}
		g.refuseAll(t, forgeries)
	})
}

func TestRefusesOtherSignatures(t *testing.T) {
	t.Parallel()
	forEachAlgorithm(t, func(t *testing.T, g genuine) {
		good := []byte(mustDecode(t, g.signature))
		forgeries := map[string]string{}
		add := func(name string, signature []byte) {
			forgeries[name] = g.header + "." + g.payload + "." + encode(signature)
		}
		for _, n := range []int{0, 1, len(good) / 2, len(good) - 1} {
			add(fmt.Sprintf("first %d bytes", n), good[:n])
		}
		add("without its first byte", good[1:])
		add("zero byte more", append(slices.Clone(good), 0))
		add("zero byte before", append([]byte{0}, good...))
		add("doubled", append(slices.Clone(good), good...))
		add("zero", make([]byte, len(good)))
		add("0xFF", bytes.Repeat([]byte{0xff}, len(good)))
		add("halves swapped", append(slices.Clone(good[len(good)/2:]), good[:len(good)/2]...))
		for bit := 0; bit < len(good)*8; bit += 13 {
			flipped := slices.Clone(good)
			flipped[bit/8] ^= 1 << (bit % 8)
			add(fmt.Sprintf("bit %d flipped", bit), flipped)
		}
		another, _ := g.server.mustIssue(t)
		_, theirs, _ := strings.Cut(another[len(g.header)+1:], ".")
		add("of another token", []byte(mustDecode(t, theirs)))
		for i := 0; i < len(g.payload); i += 17 {
			b := []byte(g.payload)
			b[i] ^= 1
			if strings.IndexByte("=./+", b[i]) < 0 {
				forgeries[fmt.Sprintf("payload changed at %d", i)] = g.header + "." + string(b) + "." + g.signature
			}
		}
		g.refuseAll(t, forgeries)
	})
}

// TestRefusesOtherHeaders signs wrong headers with the genuine key, so that only the rules for headers can refuse them.
func TestRefusesOtherHeaders(t *testing.T) {
	t.Parallel()
	forEachAlgorithm(t, func(t *testing.T, g genuine) {
		header := mustDecode(t, g.header)
		forgeries := map[string]string{
			"duplicate alg":       g.withHeader(also(header, `"alg":"none"`)),
			"duplicate equal alg": g.withHeader(also(header, member(t, header, "alg"))),
			"duplicate kid":       g.withHeader(also(header, `"kid":"`+g.kid+`"`)),
			"ALG beside alg":      g.withHeader(also(header, `"ALG":"none"`)),
			"array":               g.withHeader("[" + header + "]"),
			"null":                g.withHeader("null"),
			"text":                g.withHeader(strconv.Quote(header)),
			"empty object":        g.withHeader("{}"),
			"nothing":             g.withHeader(""),
			"two objects":         g.withHeader(header + header),
			"garbage after":       g.withHeader(header + "x"),
			"white space":         g.withHeader(header + " "),
			"byte order mark":     g.withHeader("\ufeff" + header),
			"not UTF-8":           g.withHeader(strings.Replace(header, "at+jwt", "at+jwt\xff", 1)),
			"UTF-16":              g.withHeader(toUTF16(header)),
		}
		members := map[string][]string{
			"alg": {"", "null", "true", "0", `""`, `["ES256"]`, `"none"`, `"None"`, `"NONE"`, `"nOnE"`, `"HS384"`, `"HS512"`,
				`"ES384"`, `"ES512"`, `"RS384"`, `"RS512"`, `"PS256"`, `"PS384"`, `"es256"`, `"Ed25519"`, `"ES256K"`},
			"typ": {"", "null", "true", "0", `""`, `["at+jwt"]`, `"JWT"`, `"rt+jwt"`, `"id+jwt"`, `"AT+JWT"`, `"at+JWT"`,
				`"application/at+jwt"`, `"at+jwt "`, `"dpop+jwt"`, `"logout+jwt"`},
			"kid": {"", "null", "true", "0", `""`, `["x"]`, `{}`, `"/dev/null"`, `"../../../../dev/null"`, `"|sleep 10"`,
				`"x\u0000"`, `"x' UNION SELECT 'k"`, `"` + strings.ToLower(g.kid) + `A"`, `"` + g.kid[1:] + `"`,
				`"https://evil.example/key"`},
			"crit": {"[]", `["x"]`, `["b64"]`, `["exp"]`, `"x"`, "null", "{}"},
			"b64":  {"false", "true"},
			"zip":  {`"DEF"`, "null"},
			"cty":  {`"JWT"`},
			"jku":  {`"https://evil.example/jwks.json"`},
			"x5u":  {`"https://evil.example/cert.pem"`},
			"x5c":  {`["MIIB"]`},
			"jwk":  {`{"kty":"oct","k":"AA"}`, "null"},
		}
		for _, a := range algorithms {
			if !strings.Contains(header, string(a)) {
				members["alg"] = append(members["alg"], strconv.Quote(string(a)))
			}
		}
		for name, values := range members {
			for _, value := range values {
				forgery := g.parameter(name, value)
				forgeries[name+" "+value] = forgery
				if name == "alg" { // the usual attacks: without a signature, and with the original one
					cut := forgery[:strings.LastIndexByte(forgery, '.')+1]
					forgeries["unsigned, alg "+value] = cut
					forgeries["old signature, alg "+value] = cut + g.signature
				}
			}
		}
		g.refuseAll(t, forgeries)
	})
}

// TestRefusesMalleatedSignatures turns (r, s) into (r, n-s), which needs no key and is valid ECDSA.
func TestRefusesMalleatedSignatures(t *testing.T) {
	t.Parallel()
	g := newGenuine(t, token.ES256)
	for range 20 { // half of all raw signatures are high-S
		raw, _ := g.server.mustIssue(t)
		g.server.mustVerify(t, raw)
		at := strings.LastIndexByte(raw, '.') + 1
		signature := []byte(mustDecode(t, raw[at:]))
		s := new(big.Int).SetBytes(signature[32:])
		s.Sub(elliptic.P256().Params().N, s).FillBytes(signature[32:])
		g.server.mustRefuse(t, raw[:at]+encode(signature), token.ErrInvalid)
	}
}

func toUTF16(s string) string {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, utf16.Encode([]rune(s))) // a bytes.Buffer never fails
	return b.String()
}

// TestRefusesAttackersKeys signs with an attacker's own key, offered in every way of RFC 7515 section 4.1, and with the
// public keys as HMAC secrets.
func TestRefusesAttackersKeys(t *testing.T) {
	t.Parallel()
	forEachAlgorithm(t, func(t *testing.T, g genuine) {
		own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		jwk := jose.JSONWebKey{Key: own.Public(), KeyID: g.kid, Algorithm: "ES256", Use: "sig"}
		text, err := json.Marshal(jwk)
		if err != nil {
			t.Fatal(err)
		}
		var fetched atomic.Int32
		host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fetched.Add(1)
			_, _ = fmt.Fprintf(w, `{"keys":[%s]}`, text)
		}))
		t.Cleanup(host.Close)
		payload := mustDecode(t, g.payload)
		forgeries := map[string]string{"own key, genuine header": signES256(t, own, mustDecode(t, g.header), payload)}
		url := strconv.Quote(host.URL)
		for name, value := range map[string]string{"jwk": string(text), "jku": url, "x5u": url} {
			for _, kid := range []string{strconv.Quote(g.kid), `"mine"`, ""} {
				h := g.edit(g.header, "alg", `"ES256"`)
				h = g.edit(encode([]byte(h)), "kid", kid)
				forgeries["own key by "+name+", kid "+kid] = signES256(t, own, also(h, `"`+name+`":`+value), payload)
			}
		}
		for name, key := range publicSpellings(t, g.server.JWKS()) {
			for _, alg := range []string{"HS256", ""} { // "" leaves the genuine algorithm in the header
				h := mustDecode(t, g.header)
				if alg != "" {
					h = g.edit(g.header, "alg", strconv.Quote(alg))
				}
				signing := encode([]byte(h)) + "." + g.payload
				mac := hmac.New(sha256.New, key)
				mac.Write([]byte(signing))
				forgeries[name+" as HMAC secret "+alg] = signing + "." + encode(mac.Sum(nil))
			}
		}
		g.refuseAll(t, forgeries)
		if n := fetched.Load(); n != 0 {
			t.Errorf("%d requests to the attacker's host", n)
		}
	})
}

func signES256(t *testing.T, key *ecdsa.PrivateKey, header, payload string) string {
	t.Helper()
	signing := encode([]byte(header)) + "." + encode([]byte(payload))
	sum := sha256.Sum256([]byte(signing))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return signing + "." + encode(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// publicSpellings returns encodings of the public keys, and secrets that an attacker would guess.
func publicSpellings(t *testing.T, jwks []byte) map[string][]byte {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(jwks, &set); err != nil {
		t.Fatal(err)
	}
	spellings := map[string][]byte{"empty": {}, "common": []byte("secret"), "the JWKS": jwks}
	for i, jwk := range set.Keys {
		der, err := x509.MarshalPKIXPublicKey(jwk.Key)
		if err != nil {
			t.Fatal(err)
		}
		block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		text, err := json.Marshal(jwk)
		if err != nil {
			t.Fatal(err)
		}
		for name, b := range map[string][]byte{
			"DER":                    der,
			"PEM":                    block,
			"PEM without line break": bytes.TrimSpace(block),
			"JWK":                    text,
		} {
			spellings[fmt.Sprintf("%s of key %d", name, i)] = b
		}
		if raw, ok := jwk.Key.(ed25519.PublicKey); ok {
			spellings[fmt.Sprintf("bytes of key %d", i)] = raw
		}
	}
	return spellings
}

// TestRefusesOtherClaims signs wrong claims with the genuine key, so that only the rules for claims can refuse them.
func TestRefusesOtherClaims(t *testing.T) {
	t.Parallel()
	g := newGenuine(t, token.EdDSA)
	payload := mustDecode(t, g.payload)
	forgeries := map[string]string{
		"array":                        g.withPayload("[" + payload + "]"),
		"null":                         g.withPayload("null"),
		"text":                         g.withPayload(strconv.Quote(payload)),
		"empty object":                 g.withPayload("{}"),
		"nothing":                      g.withPayload(""),
		"two objects":                  g.withPayload(payload + payload),
		"garbage after":                g.withPayload(payload + "x"),
		"byte order mark":              g.withPayload("\ufeff" + payload),
		"UTF-16":                       g.withPayload(toUTF16(payload)),
		"more than 8 KB":               g.withPayload(also(payload, `"note":"`+strings.Repeat("x", token.MaxSize)+`"`)),
		"not UTF-8":                    g.withPayload(strings.Replace(payload, "user-1", "user-1\xff", 1)),
		"not UTF-8 in another":         g.withPayload(also(payload, `"note":"`+"\xff"+`"`)),
		"lone surrogate":               g.claim("sub", `"user-1\ud800"`),
		"control character":            g.claim("sub", `"user-1\u0000"`),
		"issuer in upper case":         g.claim("iss", strconv.Quote(strings.ToUpper(issuer))),
		"issuer with slash":            g.claim("iss", strconv.Quote(issuer+"/")),
		"issuer a prefix":              g.claim("iss", strconv.Quote(issuer[:len(issuer)-1])),
		"issuer a list":                g.claim("iss", `["`+issuer+`"]`),
		"audience other":               g.claim("aud", `"https://other.example.com"`),
		"audience in upper case":       g.claim("aud", strconv.Quote(strings.ToUpper(audience))),
		"audience list of others":      g.claim("aud", `["https://other.example.com"]`),
		"audience empty list":          g.claim("aud", `[]`),
		"audience nested list":         g.claim("aud", `[["`+audience+`"]]`),
		"audience mixed list":          g.claim("aud", `["`+audience+`",1]`),
		"audience list with null":      g.claim("aud", `["`+audience+`",null]`),
		"roles a text":                 g.claim("roles", `"ADMIN"`),
		"roles with an empty one":      g.claim("roles", `[""]`),
		"exp beyond any calendar":      g.claim("exp", "253402300800"),
		"exp beyond 64 bits":           g.claim("exp", "18446744073709551616"),
		"expired, and of other issuer": g.withPayload(g.edit(encode([]byte(g.edit(g.payload, "exp", "1"))), "iss", `"x"`)),
		"expired, and a claim missing": g.withPayload(g.edit(encode([]byte(g.edit(g.payload, "exp", "1"))), "sid", "")),
	}
	future := strconv.FormatInt(g.server.now.Add(leeway+2*time.Second).Unix(), 10)
	for _, name := range []string{"iat", "nbf", "auth_time"} {
		forgeries[name+" in the future"] = g.claim(name, future)
	}
	numbers := []string{"exp", "iat", "auth_time", "gen", "ver", "nbf"}
	for _, name := range numbers {
		for _, value := range []string{
			`"1999999999"`, `"soon"`, "1.5", "1999999999.0", "2e9", "1e400", "-1",
			"NaN", "Infinity", "0x7fffffff", "01999999999", "+1999999999",
		} {
			forgeries[name+" "+value] = g.claim(name, value)
		}
	}
	for _, name := range append(numbers, "iss", "sub", "aud", "jti", "sid", "roles", "amr") {
		for _, value := range []string{"null", "true", "{}", `""`, `[1]`, `[null]`, `[[]]`} {
			forgeries[name+" "+value] = g.claim(name, value)
		}
		upper := strings.ToUpper(name)
		if name != "nbf" {
			forgeries[name+" missing"] = g.claim(name, "")
			forgeries["duplicate "+name] = g.withPayload(also(payload, member(t, payload, name)))
			forgeries["only "+upper] = g.withPayload(strings.Replace(payload, `"`+name+`"`, `"`+upper+`"`, 1))
		}
		forgeries[upper+" beside "+name] = g.withPayload(also(payload, `"`+upper+`":1999999999`))
		if name == "sub" || name == "iss" || name == "sid" || name == "roles" { // U+017F folds to s
			forgeries["long s for "+name] = g.withPayload(also(payload, `"`+strings.Replace(name, "s", "\u017f", 1)+`":"x"`))
		}
	}
	for _, flag := range []string{"email_verified", "has_factor"} {
		for _, value := range []string{"null", "false", `"true"`, "1", "{}", "[true]"} {
			forgeries[flag+" "+value] = g.claim(flag, value)
		}
		forgeries[strings.ToUpper(flag)] = g.claim(strings.ToUpper(flag), "true")
	}
	g.refuseAll(t, forgeries)
}

// member returns `"name":value` of an object.
func member(t *testing.T, object, name string) string {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(object), &members); err != nil {
		t.Fatal(err)
	}
	return strconv.Quote(name) + ":" + string(members[name])
}

func TestVerifyAccepts(t *testing.T) {
	t.Parallel()
	g := newGenuine(t, token.ES256)
	payload := mustDecode(t, g.payload)
	at := func(d time.Duration) string { return strconv.FormatInt(g.server.now.Add(d).Unix(), 10) }
	for name, raw := range map[string]string{
		"audience list with ours":         g.claim("aud", `["https://other.example.com","`+audience+`"]`),
		"nbf in the past":                 g.claim("nbf", at(-time.Hour)),
		"iat in the future by the leeway": g.claim("iat", at(leeway)),
		"exp past by less than leeway":    g.claim("exp", at(-leeway+2*time.Second)),
		"a claim of a later version":      g.withPayload(also(payload, `"scope":"all"`)),
		"white space in the JSON":         g.withPayload(" " + payload + "\n"),
	} {
		t.Run(name, func(t *testing.T) { g.server.mustVerify(t, raw) })
	}
	t.Run("refuses exp past by the leeway", func(t *testing.T) {
		g.server.mustRefuse(t, g.claim("exp", at(-leeway)), token.ErrExpired)
	})
}

func TestOtherServersTokens(t *testing.T) {
	t.Parallel()
	ring := mustOpen(t, sqlite(t), options(token.ES256))
	now := time.Now
	ours := token.NewVerifier(ring, issuer, audience, now)
	otherRing := mustOpen(t, sqlite(t), options(token.ES256))
	for name, other := range map[string]*token.Issuer{
		"same ring, other issuer":              token.NewIssuer(ring, "https://evil.example", audience, life, now),
		"same ring, other audience":            token.NewIssuer(ring, issuer, "https://evil.example", life, now),
		"same ring, no issuer and audience":    token.NewIssuer(ring, "", "", life, now),
		"other ring, same issuer and audience": token.NewIssuer(otherRing, issuer, audience, life, now),
	} {
		t.Run(name, func(t *testing.T) {
			raw, _, err := other.Issue((&server{now: now()}).claims(), now().Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ours.Verify(raw); !errors.Is(err, token.ErrInvalid) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestFloodsDoNotGrowTheCache(t *testing.T) {
	t.Parallel()
	g := newGenuine(t, token.HS256)
	keys := mustKeys(t, g.server.Ring)
	for i := range 2 * token.CacheSize {
		header := strings.Replace(mustDecode(t, g.header), g.kid, fmt.Sprintf("unknown-%d", i), 1)
		g.server.mustRefuse(t, encode([]byte(header))+"."+g.payload+"."+g.signature, token.ErrInvalid)
	}
	if n := g.server.Cached(); n != 0 {
		t.Errorf("%d forgeries cached", n)
	}
	for range token.CacheSize + token.CacheSize/2 {
		raw, _ := g.server.mustIssue(t)
		g.server.mustVerify(t, raw)
	}
	if n := g.server.Cached(); n > token.CacheSize {
		t.Errorf("%d tokens cached", n)
	}
	if after := mustKeys(t, g.server.Ring); !slices.Equal(keys, after) {
		t.Errorf("the keys changed from %v to %v", keys, after)
	}
}

func TestVerifyConcurrently(t *testing.T) {
	t.Parallel()
	s := newServer(mustOpen(t, sqlite(t), options(token.EdDSA)))
	raws := make([]string, 8)
	for i := range raws {
		raws[i], _ = s.mustIssue(t)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 100 {
				raw := raws[(i+j)%len(raws)]
				if _, err := s.Verify(raw); err != nil {
					t.Error(err)
				}
				if _, err := s.Verify(raw + "A"); err == nil {
					t.Error("a forgery verified")
				}
			}
		})
	}
	for range 20 {
		if err := s.Reload(t.Context()); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}
