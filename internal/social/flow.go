package social

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/graphwarden/graphwarden/internal/secret"
)

const (
	// flowLife is how long a user may take at the provider.
	flowLife = 10 * time.Minute
	// flowCookie is the name of the cookie of a flow. As for the refresh cookie, browsers insist that this very host sets
	// it, so that a sibling domain cannot plant the flow of another user.
	flowCookie = "__Host-graphwarden_sign_in"
	sealing    = "sign-in flow"
)

// flow is a sign-in under way. It is sealed in a cookie: the answer of the provider only counts in the browser that
// began, and a flow that is not finished leaves nothing in the database.
type flow struct {
	Provider string    `json:"provider"`
	State    string    `json:"state"`
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"` // of PKCE towards the provider (RFC 7636)
	ReturnTo string    `json:"returnTo"`
	Expires  time.Time `json:"expires"`
	// Challenge is that of the page, whose verifier redeems the code.
	Challenge string `json:"challenge"`
}

func (s *Service) newFlow(provider, returnTo, challenge string) *flow {
	return &flow{Provider: provider, State: random(), Nonce: random(), Verifier: oauth2.GenerateVerifier(),
		ReturnTo: returnTo, Challenge: challenge, Expires: s.now().Add(flowLife)}
}

func random() string { return base64.RawURLEncoding.EncodeToString(secret.Random(32)) }

// cookieName differs between servers below different paths of one host, as that of the refresh cookie does.
func (s *Service) cookieName() string { return flowCookie + strings.ReplaceAll(s.publicPath, "/", "|") }

// keep sets the cookie of a flow, or removes it if f is nil. A provider that answers with a POST needs a cookie that
// other sites' forms send too.
func (s *Service) keep(w http.ResponseWriter, p *provider, f *flow) error {
	c := &http.Cookie{Name: s.cookieName(), Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		MaxAge: -1}
	if p.formPost {
		c.SameSite = http.SameSiteNoneMode
	}
	if f != nil {
		plain, err := json.Marshal(f)
		if err != nil {
			return fmt.Errorf("encode flow: %w", err)
		}
		c.Value = base64.RawURLEncoding.EncodeToString(s.secret.Seal(sealing, plain, nil))
		c.MaxAge = int(flowLife.Seconds())
	}
	http.SetCookie(w, c)
	return nil
}

// resume returns the flow of the browser, or nil unless the answer with this state belongs to it.
func (s *Service) resume(r *http.Request, p *provider, state string) *flow {
	cookies := r.CookiesNamed(s.cookieName())
	if len(cookies) != 1 {
		return nil
	}
	sealed, err := base64.RawURLEncoding.DecodeString(cookies[0].Value)
	if err != nil {
		return nil
	}
	plain, _, err := s.secret.Unseal(sealing, sealed, nil)
	if err != nil {
		return nil
	}
	var f flow
	isOwn := json.Unmarshal(plain, &f) == nil && f.Provider == p.name && s.now().Before(f.Expires) &&
		subtle.ConstantTimeCompare([]byte(f.State), []byte(state)) == 1
	if !isOwn {
		return nil
	}
	return &f
}
