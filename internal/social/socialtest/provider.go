// Package socialtest is an OpenID provider that can lie, and a browser that visits it.
package socialtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// ClientID and ClientSecret are those of the server under test.
const (
	ClientID     = "the client"
	ClientSecret = "the secret of the client"
)

// Provider is an OpenID provider. Its fields may be changed between requests.
type Provider struct {
	URL string

	mu sync.Mutex
	// Claims are those of the user who signs in, besides the ones that every ID token has.
	claims map[string]any
	// lie changes the claims of an ID token before it is signed.
	lie func(claims map[string]any)
	// sign replaces the signature.
	sign func(claims map[string]any) string
	// announce changes the metadata.
	announce func(metadata map[string]any)
	// answer changes the parameters that the browser brings back.
	answer func(answer url.Values)
	// before runs before each request is answered, and reports whether it has answered it.
	before func(w http.ResponseWriter, r *http.Request) bool
	// userInfo is served at the userinfo endpoint.
	userInfo map[string]any

	key    jose.JSONWebKey
	codes  map[string]url.Values // the request that a code was given for
	secret string                // the last client_secret of a form
}

// NewProvider starts a provider. Its user is Jane, with a verified address.
func NewProvider(tb testing.TB) *Provider {
	tb.Helper()
	p := &Provider{codes: map[string]url.Values{}, claims: map[string]any{
		"sub": "jane", "email": "jane@example.com", "email_verified": true, "name": "Jane",
	}}
	p.Rotate(tb, "first")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.metadata)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /keys", p.keys)
	mux.HandleFunc("GET /userinfo", func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		writeJSON(w, p.userInfo)
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		before := p.before
		p.mu.Unlock()
		if before == nil || !before(w, r) {
			mux.ServeHTTP(w, r)
		}
	}))
	tb.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

// Settings returns the value of --provider for this provider.
func (p *Provider) Settings(name, more string) string {
	return name + ` issuer=` + p.URL + ` client-id="` + ClientID + `" client-secret="` + ClientSecret + `" ` + more
}

// Rotate replaces the signing key.
func (p *Provider) Rotate(tb testing.TB, id string) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.key = jose.JSONWebKey{Key: key, KeyID: id, Algorithm: string(jose.ES256), Use: "sig"}
}

// Claim sets claims of the user; nil removes one.
func (p *Provider) Claim(claims map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, value := range claims {
		if p.claims[name] = value; value == nil {
			delete(p.claims, name)
		}
	}
}

// Lie changes the claims of ID tokens before they are signed.
func (p *Provider) Lie(f func(claims map[string]any)) { set(p, &p.lie, f) }

// Sign replaces the signatures of ID tokens.
func (p *Provider) Sign(f func(claims map[string]any) string) { set(p, &p.sign, f) }

// Announce changes the metadata.
func (p *Provider) Announce(f func(metadata map[string]any)) { set(p, &p.announce, f) }

// Answer changes the parameters that the browser brings back.
func (p *Provider) Answer(f func(answer url.Values)) { set(p, &p.answer, f) }

// Before runs f before each request; if it reports true, it has answered.
func (p *Provider) Before(f func(w http.ResponseWriter, r *http.Request) bool) { set(p, &p.before, f) }

// UserInfo sets what the userinfo endpoint serves.
func (p *Provider) UserInfo(claims map[string]any) { set(p, &p.userInfo, claims) }

// SentSecret returns the client's secret that was last sent in a form.
func (p *Provider) SentSecret() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.secret
}

func set[T any](p *Provider, field *T, value T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*field = value
}

func (p *Provider) metadata(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	metadata := map[string]any{
		"issuer":                                p.URL,
		"authorization_endpoint":                p.URL + "/authorize",
		"token_endpoint":                        p.URL + "/token",
		"jwks_uri":                              p.URL + "/keys",
		"userinfo_endpoint":                     p.URL + "/userinfo",
		"id_token_signing_alg_values_supported": []string{"ES256", "HS256", "none"},
		"authorization_response_iss_parameter_supported": true,
	}
	if p.announce != nil {
		p.announce(metadata)
	}
	writeJSON(w, metadata)
}

// authorize signs the user in at once.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := r.URL.Query()
	if q.Get("client_id") != ClientID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" ||
		q.Get("state") == "" || q.Get("nonce") == "" {
		http.Error(w, "the request is malformed", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	p.codes[code] = q
	answer := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.URL}}
	if p.answer != nil {
		p.answer(answer)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+answer.Encode(), http.StatusFound)
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, secret, isBasic := r.BasicAuth()
	if isBasic {
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
	} else {
		id, secret = r.FormValue("client_id"), r.FormValue("client_secret")
		p.secret = secret
	}
	asked, known := p.codes[r.FormValue("code")]
	delete(p.codes, r.FormValue("code"))
	sum := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	isClient := id == ClientID && (secret == ClientSecret || strings.Count(secret, ".") == 2)
	isProved := known && base64.RawURLEncoding.EncodeToString(sum[:]) == asked.Get("code_challenge")
	if !isClient || !isProved || r.FormValue("redirect_uri") != asked.Get("redirect_uri") {
		w.WriteHeader(http.StatusBadRequest)
		writeJSON(w, map[string]string{"error": "invalid_grant"})
		return
	}
	claims := maps.Clone(p.claims)
	maps.Copy(claims, map[string]any{"iss": p.URL, "aud": ClientID, "nonce": asked.Get("nonce"),
		"exp": time.Now().Add(24 * time.Hour).Unix(), "iat": time.Now().Unix()})
	if p.lie != nil {
		p.lie(claims)
	}
	signed := ""
	if p.sign != nil {
		signed = p.sign(claims)
	} else {
		signed = Signed(jose.ES256, p.key, claims)
	}
	writeJSON(w, map[string]string{"access_token": "an access token", "token_type": "Bearer", "id_token": signed})
}

// Signed returns claims as a JWT.
func Signed(algorithm jose.SignatureAlgorithm, key any, claims map[string]any) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, nil)
	if err != nil {
		return err.Error()
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return err.Error()
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return err.Error()
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		return err.Error()
	}
	return compact
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	writeJSON(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{p.key.Public()}})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
