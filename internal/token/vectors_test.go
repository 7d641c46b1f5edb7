package token_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/c2sp/wycheproof"
	"github.com/go-jose/go-jose/v4"

	"github.com/graphwarden/graphwarden/internal/token"
)

type vectorFile struct {
	NumberOfTests int           `json:"numberOfTests"`
	Groups        []vectorGroup `json:"testGroups"`
}

type vectorGroup struct {
	PublicKeyDER string          `json:"publicKeyDer"`
	Public       json.RawMessage `json:"public"`
	Private      json.RawMessage `json:"private"` // symmetric groups have only this one
	Tests        []vector        `json:"tests"`
}

type vector struct {
	ID      int    `json:"tcId"`
	Comment string `json:"comment"`
	Message string `json:"msg"`
	Sig     string `json:"sig"`
	JWS     string `json:"jws"`
	Result  string `json:"result"`
}

func vectors(t *testing.T, name string) []vectorGroup {
	t.Helper()
	data, err := fs.ReadFile(wycheproof.TestVectors, name)
	if err != nil {
		t.Fatal(err)
	}
	var file vectorFile
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range file.Groups {
		n += len(g.Tests)
	}
	if n == 0 || n != file.NumberOfTests {
		t.Fatalf("%d vectors read, the file says %d", n, file.NumberOfTests)
	}
	return file.Groups
}

// check compares a result with the vector's. deviations maps the ids of vectors with a different result to the reason.
func check(t *testing.T, v vector, err error, deviations map[int]string) {
	t.Helper()
	valid := v.Result == "valid"
	reason, deviates := deviations[v.ID]
	if agrees := valid == (err == nil); agrees == deviates {
		t.Errorf("vector %d (%s) is %s, got %v; expected deviation: %q", v.ID, v.Comment, v.Result, err, reason)
	}
}

// TestWycheproofSignatures runs the two suites on bare signatures. They include malleable and truncated Ed25519
// signatures, and ECDSA signatures with r or s out of range. No deviation is expected.
func TestWycheproofSignatures(t *testing.T) {
	t.Parallel()
	for file, a := range map[string]token.Algorithm{
		"ed25519_test.json":                      token.EdDSA,
		"ecdsa_secp256r1_sha256_p1363_test.json": token.ES256,
	} {
		t.Run(string(a), func(t *testing.T) {
			t.Parallel()
			for _, g := range vectors(t, file) {
				der, err := hex.DecodeString(g.PublicKeyDER)
				if err != nil {
					t.Fatal(err)
				}
				public, err := x509.ParsePKIXPublicKey(der)
				if err != nil {
					t.Fatal(err)
				}
				for _, v := range g.Tests {
					message, err1 := hex.DecodeString(v.Message)
					signature, err2 := hex.DecodeString(v.Sig)
					if err1 != nil || err2 != nil {
						t.Fatal(err1, err2)
					}
					check(t, v, token.CheckSignature(a, public, message, signature), nil)
				}
			}
		})
	}
}

// loaded is the key of a vector.
type loaded struct {
	algorithm token.Algorithm
	public    any
	kid       string
}

// load parses the public half of a JWK as the ring does. It does not require that the kid is the thumbprint, because in
// vectors it is not; TestTamperedRows covers that rule.
func load(text json.RawMessage) (k loaded, err error) {
	var jwk struct{ Alg, Kid, Kty, K, Use string }
	if err := json.Unmarshal(text, &jwk); err != nil {
		return k, err
	}
	k.kid = jwk.Kid
	if k.algorithm, err = token.ParseAlgorithm(jwk.Alg); err != nil {
		return k, err
	}
	if k.algorithm != token.HS256 {
		k.public, err = token.ParsePublicJWK(k.algorithm, string(text))
		return k, err
	}
	if jwk.Kty != "oct" || jwk.Use != "sig" {
		return k, fmt.Errorf("key of type %s for use %s", jwk.Kty, jwk.Use)
	}
	k.public, err = base64.RawURLEncoding.DecodeString(jwk.K)
	return k, err
}

// keys loads the keys of a group. Like the table's primary key, it refuses duplicate kids.
func (g vectorGroup) keys() ([]loaded, error) {
	text := g.Public
	if text == nil {
		text = g.Private
	}
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, err
	}
	if set.Keys == nil {
		set.Keys = []json.RawMessage{text}
	}
	var keys []loaded
	for _, text := range set.Keys {
		k, err := load(text)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(keys, func(other loaded) bool { return other.kid == k.kid }) {
			return nil, fmt.Errorf("two keys have the kid %s", k.kid)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// run checks the vectors of a group. It expects the header of the first valid vector, because an issuer always writes
// the same header. Without a valid vector, it expects the key's kid and algorithm.
func (g vectorGroup) run(t *testing.T, deviations map[int]string) {
	t.Helper()
	keys, loadErr := g.keys()
	for _, v := range g.Tests {
		err := loadErr
		for _, k := range keys {
			header := base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"alg":%q,"kid":%q}`, k.algorithm, k.kid))
			if i := slices.IndexFunc(g.Tests, func(v vector) bool { return v.Result == "valid" }); i >= 0 && len(keys) == 1 {
				header, _, _ = strings.Cut(g.Tests[i].JWS, ".")
			}
			if err = token.Authenticate(k.algorithm, k.public, header, v.JWS); err == nil {
				break
			}
		}
		check(t, v, err, deviations)
	}
}

// explain returns the deviations by vector id. reasons maps a reason to ids and ranges of ids, such as "1 4-6".
func explain(t *testing.T, reasons map[string]string) map[int]string {
	t.Helper()
	table := map[int]string{}
	for reason, list := range reasons {
		for _, item := range strings.Fields(list) {
			from, to, isRange := strings.Cut(item, "-")
			if !isRange {
				to = from
			}
			first, err1 := strconv.Atoi(from)
			last, err2 := strconv.Atoi(to)
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			for id := first; id <= last; id++ {
				table[id] = reason
			}
		}
	}
	return table
}

// TestWycheproofJWS checks the part of Verify before the claims.
func TestWycheproofJWS(t *testing.T) {
	t.Parallel()
	deviations := explain(t, map[string]string{
		"refused: not an algorithm of a ring":           "264-275 287 288 320-323 325-328 346 347 350 351",
		"refused: the JWK lacks use=sig":                "259-263 349",
		"refused: the header differs from the issuer's": "372 376 377",
		"refused: a question mark is not base64url":     "373",
		"accepted: identical to the valid vector 357":   "367 370",
	})
	for _, g := range vectors(t, "json_web_signature_test.json") {
		g.run(t, deviations)
	}
}

// TestWycheproofJWK checks the loading of keys.
func TestWycheproofJWK(t *testing.T) {
	t.Parallel()
	deviations := explain(t, map[string]string{
		"accepted: mixing symmetric and public keys is safe, because a key is bound to one algorithm": "1",
		"accepted: a ring generates its RSA keys with a library that is not vulnerable to ROCA":       "7",
		"refused: not an algorithm of a ring":                                                         "14 15",
	})
	for _, g := range vectors(t, "json_web_key_test.json") {
		g.run(t, deviations)
	}
}

// TestWeakRSAKeys checks that weak keys are refused. With e = 1 every text is its own signature; with e = 3 sloppy
// padding checks accept forgeries.
func TestWeakRSAKeys(t *testing.T) {
	t.Parallel()
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(mustOpen(t, sqlite(t), options(token.RS256)).JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	good := string(set.Keys[0])
	if _, err := token.ParsePublicJWK(token.RS256, good); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"e = 1":     strings.Replace(good, `"AQAB"`, `"AQ"`, 1),
		"e = 3":     strings.Replace(good, `"AQAB"`, `"Aw"`, 1),
		"1024 bits": regexp.MustCompile(`"n":"(.{170})[^"]*"`).ReplaceAllString(good, `"n":"$1"`),
	} {
		if _, err := token.ParsePublicJWK(token.RS256, bad); bad == good || err == nil {
			t.Errorf("%s: accepted %s", name, bad)
		}
	}
}

// TestThumbprints checks the examples of RFC 7638 section 3.1 and RFC 8037 appendix A.3, and the thumbprint of a
// symmetric key, computed with OpenSSL.
func TestThumbprints(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ jwk, want string }{
		"RFC 7638": {`{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6` +
			`tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Qvz` +
			`qY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2` +
			`NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-0` +
			`4-29"}`,
			"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
		"RFC 8037": {`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
			"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
		"symmetric": {`{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}`,
			"WqjPPRvAP8oYbAqCwMErhzTg-Quaz-vLx_cef07yhOs"},
	} {
		t.Run(name, func(t *testing.T) {
			var jwk jose.JSONWebKey
			if err := jwk.UnmarshalJSON([]byte(c.jwk)); err != nil {
				t.Fatal(err)
			}
			got, err := token.Thumbprint(jwk.Key)
			if err != nil || got != c.want {
				t.Errorf("got %s, %v, want %s", got, err, c.want)
			}
		})
	}
}
