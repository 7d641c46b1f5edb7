package social_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/config"
	"github.com/graphwarden/graphwarden/internal/social/socialtest"
)

// page is the address of the frontend.
const page = "https://app.example.com/welcome?x=1"

func with(providers ...string) func(*apptest.Options) {
	return func(o *apptest.Options) {
		o.Config.AllowedOrigins = []string{"https://app.example.com", "https://*.preview.example.com"}
		for _, one := range providers {
			o.Config.Provider = append(o.Config.Provider, config.Provider(one))
		}
	}
}

// start runs a server that knows p as acme.
func start(t *testing.T, p *socialtest.Provider, more ...func(*apptest.Options)) (
	*apptest.Server, *socialtest.Browser) {
	t.Helper()
	srv := apptest.Start(t, append(more, with(p.Settings("acme", "label=Acme")))...)
	return srv, socialtest.NewBrowser(srv.URL)
}

func codes(t *testing.T, srv *apptest.Server) int {
	t.Helper()
	return srv.Count(t, "SELECT count(*) FROM challenges WHERE kind = 'federated-sign-in'")
}

func TestTheProvidersAreListed(t *testing.T) {
	t.Parallel()
	p := socialtest.NewProvider(t)
	srv, _ := start(t, p)
	a := srv.Anonymous().Do(t, `{ signInProviders { name label startURL } }`, nil)
	const want = `{"signInProviders":[{"name":"acme","label":"Acme","startURL":"http://127.0.0.1:0/auth/acme/start"}]}`
	if string(a.Data) != want {
		t.Errorf("%s", a.Body)
	}
}

func TestTheStartSendsWhatTheProviderNeeds(t *testing.T) {
	t.Parallel()
	p := socialtest.NewProvider(t)
	_, b := start(t, p)
	started := b.Start(t, "acme", page)
	to, err := url.Parse(started.Location)
	if err != nil || started.Status != http.StatusSeeOther || !strings.HasPrefix(started.Location, p.URL+"/authorize?") {
		t.Fatalf("%d %s", started.Status, started.Location)
	}
	q := to.Query()
	for name, want := range map[string]string{"client_id": socialtest.ClientID, "response_type": "code",
		"scope": "openid email profile", "code_challenge_method": "S256",
		"redirect_uri": "http://127.0.0.1:0/auth/acme/callback"} {
		if q.Get(name) != want {
			t.Errorf("%s is %q", name, q.Get(name))
		}
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if raw, err := base64.RawURLEncoding.DecodeString(q.Get(name)); err != nil || len(raw) < 32 {
			t.Errorf("%s is %q", name, q.Get(name))
		}
	}
	if len(started.Cookies) != 1 {
		t.Fatal(started.Cookies)
	}
	c := started.Cookies[0]
	if c.Name != "__Host-graphwarden_sign_in" || !c.HttpOnly || !c.Secure || c.Path != "/" || c.Domain != "" ||
		c.SameSite != http.SameSiteLaxMode || c.MaxAge != 600 {
		t.Error(c)
	}
	for _, secret := range []string{q.Get("state"), q.Get("nonce"), "example.com"} {
		if raw, _ := base64.RawURLEncoding.DecodeString(c.Value); bytes.Contains(raw, []byte(secret)) {
			t.Errorf("the cookie shows %s", secret)
		}
	}
	if h := started.Header; h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" {
		t.Error(h)
	}
}

func TestTheBrowserComesBackWithACode(t *testing.T) {
	t.Parallel()
	p := socialtest.NewProvider(t)
	srv, b := start(t, p)
	callback := b.Visit(t, "acme", page)
	back := b.Get(t, callback)
	code := socialtest.Code(t, socialtest.Fragment(t, back, page))
	if len(b.Cookies) != 0 {
		t.Error("the cookie is still there")
	}
	if h := back.Header; h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" {
		t.Error(h)
	}
	claims, _, err := srv.App.Social.Check(t.Context(), code, socialtest.Verifier)
	if err != nil || claims.Subject != "jane" || claims.Issuer != p.URL || !claims.EmailVerified || claims.Name != "Jane" {
		t.Errorf("%+v %v", claims, err)
	}
}

func TestTheStartRefusesAddressesOfOthers(t *testing.T) {
	t.Parallel()
	p := socialtest.NewProvider(t)
	_, b := start(t, p, func(o *apptest.Options) { o.Config.ReturnTo = []string{"com.example.app:/in"} })
	for _, to := range []string{"", "/", "https://evil.example", "https://app.example.com.evil.example/",
		"https://app.example.com@evil.example/", "https://a.preview.example.com/", "http://app.example.com/",
		"https://app.example.com#x", "javascript:alert(1)", "com.example.app:/other", "//app.example.com/"} {
		if got := b.Start(t, "acme", to); got.Status != http.StatusBadRequest || got.Location != "" || len(b.Cookies) != 0 {
			t.Errorf("%q: %d to %q", to, got.Status, got.Location)
		}
	}
	for _, to := range []string{page, "com.example.app:/in", "http://127.0.0.1:0/x", "http://localhost:5173/"} {
		if got := b.Start(t, "acme", to); got.Status != http.StatusSeeOther {
			t.Errorf("%q: %d %s", to, got.Status, got.Body)
		}
	}
	for _, query := range []string{"", "&challenge=short", "&challenge=" + strings.Repeat("!", 43),
		"&return_to=https://app.example.com/&challenge=" + socialtest.Challenge} {
		got := b.Get(t, "/auth/acme/start?return_to="+url.QueryEscape(page)+query)
		if got.Status != http.StatusBadRequest {
			t.Errorf("%q: %d to %q", query, got.Status, got.Location)
		}
	}
	if got := b.Start(t, "unheard", page); got.Status != http.StatusNotFound {
		t.Errorf("another provider: %d", got.Status)
	}
}

// A page of refusals shows no text of the request.
func TestTheRefusalPageIsInert(t *testing.T) {
	t.Parallel()
	p := socialtest.NewProvider(t)
	_, b := start(t, p)
	got := b.Get(t, "/auth/acme/callback?state=%3Cscript%3E&error=%3Cscript%3E")
	if got.Status != http.StatusBadRequest || strings.Contains(got.Body, "script") ||
		!strings.Contains(got.Body, `href="http://127.0.0.1:0/"`) {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	if csp := got.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
		t.Error(csp)
	}
}

func TestAnAnswerOnlyCountsInTheBrowserThatAsked(t *testing.T) {
	t.Parallel()
	p, other := socialtest.NewProvider(t), socialtest.NewProvider(t)
	srv := apptest.Start(t, with(p.Settings("acme", ""), other.Settings("other", "")))
	refused := func(t *testing.T, got *socialtest.Page) {
		t.Helper()
		if got.Status != http.StatusBadRequest || got.Location != "" || codes(t, srv) != 0 {
			t.Errorf("%d to %q, %d codes", got.Status, got.Location, codes(t, srv))
		}
	}
	t.Run("without the cookie", func(t *testing.T) {
		b := socialtest.NewBrowser(srv.URL)
		callback := b.Visit(t, "acme", page)
		refused(t, socialtest.NewBrowser(srv.URL).Get(t, callback))
	})
	t.Run("in another browser", func(t *testing.T) {
		b, victim := socialtest.NewBrowser(srv.URL), socialtest.NewBrowser(srv.URL)
		callback := b.Visit(t, "acme", page)
		own := victim.Visit(t, "acme", page)
		refused(t, victim.Get(t, callback))
		if got := victim.Get(t, own); got.Status != http.StatusSeeOther {
			t.Errorf("a foreign answer has ended the sign-in: %d", got.Status)
		}
		srv.Exec(t, "DELETE FROM challenges")
	})
	t.Run("with the state of another sign-in", func(t *testing.T) {
		b := socialtest.NewBrowser(srv.URL)
		old := b.Visit(t, "acme", page)
		b.Visit(t, "acme", page)
		refused(t, b.Get(t, old))
	})
	t.Run("at the callback of another provider", func(t *testing.T) {
		b := socialtest.NewBrowser(srv.URL)
		callback := b.Visit(t, "acme", page)
		refused(t, b.Get(t, strings.Replace(callback, "acme", "other", 1)))
	})
	t.Run("with a changed cookie", func(t *testing.T) {
		b := socialtest.NewBrowser(srv.URL)
		callback := b.Visit(t, "acme", page)
		for _, c := range b.Cookies {
			c.Value = string(c.Value[0]^1) + c.Value[1:]
		}
		refused(t, b.Get(t, callback))
	})
	t.Run("by GET", func(t *testing.T) {
		b := socialtest.NewBrowser(srv.URL)
		callback, err := url.Parse(b.Visit(t, "acme", page))
		if err != nil {
			t.Fatal(err)
		}
		refused(t, b.Post(t, callback.Path, callback.Query()))
	})
	t.Run("within ten minutes", func(t *testing.T) {
		b := socialtest.NewBrowser(srv.URL)
		callback := b.Visit(t, "acme", page)
		srv.Shift(11 * time.Minute)
		refused(t, b.Get(t, callback))
	})
}

func TestAnAnswerCountsOnce(t *testing.T) {
	t.Parallel()
	p := socialtest.NewProvider(t)
	srv, b := start(t, p)
	callback := b.Visit(t, "acme", page)
	kept := *b
	kept.Cookies = map[string]*http.Cookie{}
	for name, c := range b.Cookies {
		kept.Cookies[name] = c
	}
	socialtest.Code(t, socialtest.Fragment(t, b.Get(t, callback), page))
	if got := b.Get(t, callback); got.Status != http.StatusBadRequest {
		t.Errorf("without the cookie: %d", got.Status)
	}
	fragment := socialtest.Fragment(t, kept.Get(t, callback), page)
	if fragment != "#sign-in-error=CHALLENGE_INVALID" || codes(t, srv) != 1 {
		t.Errorf("%s, %d codes", fragment, codes(t, srv))
	}
}

func TestALyingProviderIsRefused(t *testing.T) {
	t.Parallel()
	foreign, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	claim := func(name string, value any) func(*socialtest.Provider) {
		return func(p *socialtest.Provider) {
			p.Lie(func(claims map[string]any) {
				if claims[name] = value; value == nil {
					delete(claims, name)
				}
			})
		}
	}
	answer := func(name, value string) func(*socialtest.Provider) {
		return func(p *socialtest.Provider) {
			p.Answer(func(answer url.Values) {
				if answer.Set(name, value); value == "" {
					answer.Del(name)
				}
			})
		}
	}
	for name, lie := range map[string]func(*socialtest.Provider){
		"the issuer":                 claim("iss", "https://accounts.google.com"),
		"the audience":               claim("aud", "another client"),
		"no audience":                claim("aud", nil),
		"two audiences":              claim("aud", []string{socialtest.ClientID, "another client"}),
		"the authorized party":       claim("azp", "another client"),
		"the nonce":                  claim("nonce", "another sign-in"),
		"no nonce":                   claim("nonce", nil),
		"the expiry":                 claim("exp", time.Now().Add(-time.Minute).Unix()),
		"no expiry":                  claim("exp", nil),
		"the time of begin":          claim("nbf", time.Now().Add(time.Hour).Unix()),
		"the access token":           claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"),
		"no subject":                 claim("sub", nil),
		"a subject with a NUL":       claim("sub", "ja\x00ne"),
		"a long subject":             claim("sub", strings.Repeat("s", 256)),
		"a subject that is a number": claim("sub", 7),
		"the issuer of the answer":   answer("iss", "https://accounts.google.com"),
		"no issuer of the answer":    answer("iss", ""),
		"the code":                   answer("code", "a code of another sign-in"),
		"no code":                    answer("code", ""),
		"an unknown error":           answer("error", "invalid_scope"),
		"the key": func(p *socialtest.Provider) {
			p.Sign(func(claims map[string]any) string {
				return socialtest.Signed(jose.ES256, jose.JSONWebKey{Key: foreign, KeyID: "first"}, claims)
			})
		},
		"the secret as key": func(p *socialtest.Provider) {
			p.Sign(func(claims map[string]any) string {
				return socialtest.Signed(jose.HS256, []byte(strings.Repeat(socialtest.ClientSecret, 2)), claims)
			})
		},
		"no signature": func(p *socialtest.Provider) {
			p.Sign(func(claims map[string]any) string {
				payload, _ := json.Marshal(claims)
				encode := base64.RawURLEncoding.EncodeToString
				return encode([]byte(`{"alg":"none"}`)) + "." + encode(payload) + "."
			})
		},
		"no ID token": func(p *socialtest.Provider) { p.Sign(func(map[string]any) string { return "" }) },
		"the claims of another user": func(p *socialtest.Provider) {
			p.Claim(map[string]any{"email": nil})
			p.UserInfo(map[string]any{"sub": "joe", "email": "joe@example.com", "email_verified": true})
		},
		"the issuer of the metadata": func(p *socialtest.Provider) {
			p.Announce(func(m map[string]any) { m["issuer"] = "https://accounts.google.com" })
		},
		"an address without TLS": func(p *socialtest.Provider) {
			p.Announce(func(m map[string]any) { m["token_endpoint"] = "http://192.0.2.1/token" })
		},
		"an address that is not a URL": func(p *socialtest.Provider) {
			p.Announce(func(m map[string]any) { m["authorization_endpoint"] = "javascript:alert(1)" })
		},
		"a redirect": func(p *socialtest.Provider) {
			p.Before(func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/token" {
					return false
				}
				http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
				return true
			})
		},
		"an endless answer": func(p *socialtest.Provider) {
			p.Before(func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/keys" {
					return false
				}
				_, _ = w.Write(bytes.Repeat([]byte(" "), 2<<20))
				return true
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := socialtest.NewProvider(t)
			lie(p)
			var log syncBuffer
			srv, b := start(t, p, func(o *apptest.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
			got := b.Start(t, "acme", page)
			if strings.HasPrefix(got.Location, p.URL) {
				there, err := url.Parse(b.Get(t, got.Location).Location)
				if err != nil {
					t.Fatal(err)
				}
				got = b.Get(t, there.RequestURI())
			}
			if fragment := socialtest.Fragment(t, got, page); fragment != "#sign-in-error=PROVIDER_INVALID" {
				t.Error(fragment)
			}
			if n := codes(t, srv); n != 0 {
				t.Errorf("%d codes", n)
			}
			if text := log.String(); !strings.Contains(text, "a sign-in with a provider failed") ||
				strings.Contains(text, "an access token") || strings.Contains(text, socialtest.ClientSecret) {
				t.Error(text)
			}
		})
	}
}

type syncBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func TestSomeClaimsComeFromTheUserInfoEndpoint(t *testing.T) {
	t.Parallel()
	p := socialtest.NewProvider(t)
	p.Claim(map[string]any{"email": nil, "email_verified": nil})
	p.UserInfo(map[string]any{"sub": "jane", "email": "jane@example.org", "email_verified": "true", "name": "Another"})
	srv, b := start(t, p)
	code := socialtest.Code(t, b.SignIn(t, "acme", page))
	claims, _, err := srv.App.Social.Check(t.Context(), code, socialtest.Verifier)
	if err != nil || claims.Email != "jane@example.org" || !claims.EmailVerified || claims.Name != "Jane" {
		t.Errorf("%+v %v", claims, err)
	}
}

func TestANewKeyOfTheProviderIsFound(t *testing.T) {
	t.Parallel()
	p := socialtest.NewProvider(t)
	_, b := start(t, p)
	socialtest.Code(t, b.SignIn(t, "acme", page))
	p.Rotate(t, "second")
	socialtest.Code(t, b.SignIn(t, "acme", page))
}

func TestAUserMayCancel(t *testing.T) {
	t.Parallel()
	p := socialtest.NewProvider(t)
	p.Answer(func(answer url.Values) { answer.Set("error", "access_denied"); answer.Del("code") })
	_, b := start(t, p)
	if fragment := b.SignIn(t, "acme", page); fragment != "#sign-in-error=SIGN_IN_CANCELED" {
		t.Error(fragment)
	}
}

const unavailable = "#sign-in-error=PROVIDER_UNAVAILABLE"

func failing(path string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != path {
			return false
		}
		w.WriteHeader(http.StatusBadGateway)
		return true
	}
}

func TestADeadProviderIsUnavailable(t *testing.T) {
	t.Parallel()
	p := socialtest.NewProvider(t)
	p.Before(failing("/.well-known/openid-configuration"))
	srv, b := start(t, p)
	started := b.Start(t, "acme", page)
	if fragment := socialtest.Fragment(t, started, page); fragment != unavailable || len(b.Cookies) != 0 {
		t.Errorf("%s %v", fragment, b.Cookies)
	}
	p.Before(nil)
	if fragment := socialtest.Fragment(t, b.Start(t, "acme", page), page); fragment != unavailable {
		t.Errorf("it was asked again at once: %s", fragment)
	}
	srv.Shift(6 * time.Second)
	for _, path := range []string{"/token", "/keys"} {
		p.Before(failing(path))
		if fragment := b.SignIn(t, "acme", page); fragment != unavailable {
			t.Errorf("%s: %s", path, fragment)
		}
	}
	p.Before(nil)
	socialtest.Code(t, b.SignIn(t, "acme", page))
	// What the provider has announced serves beyond its life while the provider is down.
	srv.Shift(2 * time.Hour)
	p.Before(failing("/.well-known/openid-configuration"))
	socialtest.Code(t, b.SignIn(t, "acme", page))
}

func TestASlowProviderOnlyDelaysItsOwnSignIns(t *testing.T) {
	t.Parallel()
	p, quick := socialtest.NewProvider(t), socialtest.NewProvider(t)
	asked, released := make(chan struct{}, 8), make(chan struct{})
	p.Before(func(http.ResponseWriter, *http.Request) bool {
		asked <- struct{}{}
		<-released
		return false
	})
	srv := apptest.Start(t, with(p.Settings("acme", ""), quick.Settings("quick", "")))
	var group sync.WaitGroup
	group.Go(func() { socialtest.NewBrowser(srv.URL).Start(t, "acme", page) })
	<-asked
	srv.As(t)
	socialtest.Code(t, socialtest.NewBrowser(srv.URL).SignIn(t, "quick", page))
	close(released)
	group.Wait()
	if len(asked) != 0 {
		t.Errorf("it was asked %d times more", len(asked))
	}
}

func TestAProviderThatHangsIsUnavailable(t *testing.T) {
	t.Parallel()
	p := socialtest.NewProvider(t)
	p.Before(func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	})
	srv, b := start(t, p)
	srv.App.Social.Hurry(50 * time.Millisecond)
	if fragment := socialtest.Fragment(t, b.Start(t, "acme", page), page); fragment != unavailable {
		t.Error(fragment)
	}
}

func TestReturnsAreThrottled(t *testing.T) {
	t.Parallel()
	p := socialtest.NewProvider(t)
	_, b := start(t, p, func(o *apptest.Options) { o.Config.RedeemLimit.Burst = 1 })
	socialtest.Code(t, b.SignIn(t, "acme", page))
	if fragment := b.SignIn(t, "acme", page); fragment != "#sign-in-error=TOO_MANY_ATTEMPTS" {
		t.Error(fragment)
	}
}
