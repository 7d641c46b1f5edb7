package social_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/social"
	"github.com/graphwarden/graphwarden/internal/social/socialtest"
	"github.com/graphwarden/graphwarden/internal/token"
)

// newGitHub starts a server that answers as GitHub documents: errors of the token endpoint have status 200, the id is a
// number, and the address of the profile is not the verified one.
func newGitHub(t *testing.T, user, emails string) (address string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login/oauth/authorize", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("code_challenge_method") != "S256" || q.Get("scope") != "read:user user:email" {
			http.Error(w, r.URL.RawQuery, http.StatusBadRequest)
			return
		}
		back := url.Values{"code": {"the code"}, "state": {q.Get("state")}}
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
	})
	mux.HandleFunc("POST /login/oauth/access_token", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		if r.FormValue("code") != "the code" || r.FormValue("client_secret") != "s" || r.FormValue("code_verifier") == "" {
			fmt.Fprint(w, "error=bad_verification_code&error_description=The+code+passed+is+incorrect+or+expired.")
			return
		}
		fmt.Fprint(w, "access_token=gho_16C7e42F292c6912E7710c838347Ae178B4a&"+
			"scope=read%3Auser%2Cuser%3Aemail&token_type=bearer")
	})
	answer := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer gho_16C7e42F292c6912E7710c838347Ae178B4a" ||
				r.Header.Get("Accept") != "application/vnd.github+json" {
				http.Error(w, `{"message": "Bad credentials"}`, http.StatusUnauthorized)
				return
			}
			fmt.Fprint(w, body)
		}
	}
	mux.HandleFunc("GET /api/v3/user", answer(user))
	mux.HandleFunc("GET /api/v3/user/emails", answer(emails))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func TestGitHub(t *testing.T) {
	t.Parallel()
	const octocat = `{"login": "octocat", "id": 58323116001, "name": "The Octocat", "email": "public@example.com"}`
	for name, test := range map[string]struct {
		user, emails string
		want         *social.Claims
	}{
		"the primary address": {octocat, `[{"email": "other@example.com", "verified": true, "primary": false},
			{"email": "octocat@example.com", "verified": true, "primary": true}]`,
			&social.Claims{Subject: "58323116001", Email: "octocat@example.com", EmailVerified: true}},
		"an address that is not verified": {octocat, `[{"email": "octocat@example.com", "verified": false, "primary": true}]`,
			&social.Claims{Subject: "58323116001"}},
		"no address":      {octocat, `[]`, &social.Claims{Subject: "58323116001"}},
		"an id as text":   {`{"id": "1", "login": "octocat"}`, `[]`, nil},
		"no id":           {`{"sub": "1", "login": "octocat"}`, `[]`, nil},
		"malformed JSON":  {`{`, `[]`, nil},
		"addresses as {}": {octocat, `{"message": "Not Found"}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := apptest.Start(t, with("github issuer="+newGitHub(t, test.user, test.emails)+" client-id=c client-secret=s"))
			fragment := socialtest.NewBrowser(srv.URL).SignIn(t, "github", page)
			if test.want == nil {
				if fragment != "#sign-in-error=PROVIDER_INVALID" {
					t.Error(fragment)
				}
				return
			}
			got, _, err := srv.App.Social.Check(t.Context(), socialtest.Code(t, fragment), socialtest.Verifier)
			if err != nil || got.Subject != test.want.Subject || got.Email != test.want.Email ||
				got.EmailVerified != test.want.EmailVerified || got.Name != "The Octocat" {
				t.Errorf("%+v %v", got, err)
			}
		})
	}
}

func TestGitHubRefusesACodeWithStatus200(t *testing.T) {
	t.Parallel()
	srv := apptest.Start(t, with("github issuer="+newGitHub(t, `{"id": 1}`, `[]`)+" client-id=c client-secret=wrong"))
	fragment := socialtest.NewBrowser(srv.URL).SignIn(t, "github", page)
	if fragment != "#sign-in-error=PROVIDER_INVALID" {
		t.Error(fragment)
	}
}

func TestAppleAnswersWithAPost(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "AuthKey.p8")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	p := socialtest.NewProvider(t)
	p.Announce(func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = []string{"client_secret_post"} })
	p.Claim(map[string]any{"email_verified": "true"})
	srv := apptest.Start(t, with(fmt.Sprintf("apple issuer=%s client-id=%q team=TEAM key-id=KEY key-file=%s",
		p.URL, socialtest.ClientID, file)))
	b := socialtest.NewBrowser(srv.URL)
	callback, err := url.Parse(b.Visit(t, "apple", page))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.Cookies {
		if c.SameSite != http.SameSiteNoneMode || !c.Secure {
			t.Error(c)
		}
	}
	if got := b.Get(t, callback.RequestURI()); got.Status != http.StatusBadRequest {
		t.Errorf("by GET: %d", got.Status)
	}
	code := socialtest.Code(t, socialtest.Fragment(t, b.Post(t, callback.Path, callback.Query()), page))
	if c, _, err := srv.App.Social.Check(t.Context(), code, socialtest.Verifier); err != nil || !c.EmailVerified {
		t.Errorf("%+v %v", c, err)
	}
	secret, err := jwt.Parse(p.SentSecret(), func(*jwt.Token) (any, error) { return &key.PublicKey, nil },
		jwt.WithIssuer("TEAM"), jwt.WithSubject(socialtest.ClientID), jwt.WithAudience(p.URL), jwt.WithExpirationRequired())
	if err != nil || secret.Header["kid"] != "KEY" || secret.Method != jwt.SigningMethodES256 {
		t.Errorf("%v %v", secret, err)
	}
}

func TestMicrosoftKnowsUsersByTheirDirectory(t *testing.T) {
	t.Parallel()
	const tenant = "11111111-2222-3333-4444-555555555555"
	for name, test := range map[string]struct {
		claims   map[string]any
		fragment string
		verified bool
	}{
		"an address of its own domain": {map[string]any{"tid": tenant, "oid": "the object", "xms_edov": 1}, "", true},
		"an address that a tenant's administrator has typed": {
			map[string]any{"tid": tenant, "oid": "the object", "email_verified": true}, "", false},
		"another directory": {
			map[string]any{"tid": "another", "oid": "the object"}, "#sign-in-error=PROVIDER_INVALID", false},
		"no object": {map[string]any{"tid": tenant}, "#sign-in-error=PROVIDER_INVALID", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := socialtest.NewProvider(t)
			p.Claim(test.claims)
			srv := apptest.Start(t, with(p.Settings("microsoft", "tenant="+tenant)))
			fragment := socialtest.NewBrowser(srv.URL).SignIn(t, "microsoft", page)
			if test.fragment != "" {
				if fragment != test.fragment {
					t.Error(fragment)
				}
				return
			}
			c, _, err := srv.App.Social.Check(t.Context(), socialtest.Code(t, fragment), socialtest.Verifier)
			if err != nil || c.Subject != "the object" || c.EmailVerified != test.verified {
				t.Errorf("%+v %v", c, err)
			}
		})
	}
}

func TestSettingsOfAProviderAreChecked(t *testing.T) {
	t.Parallel()
	valid := func(more ...string) map[string]string {
		settings := map[string]string{"issuer": "https://id.example.com", "client-id": "c", "client-secret": "s"}
		for i := 0; i < len(more); i += 2 {
			if settings[more[i]] = more[i+1]; more[i+1] == "" {
				delete(settings, more[i])
			}
		}
		return settings
	}
	deployment := social.Deployment{PublicURL: "https://api.example.com",
		HasRole: func(r token.Role) bool { return r == "EDITOR" }}
	open := func(list ...social.Options) error {
		_, err := social.New(nil, nil, nil, nil, list, deployment, nil, time.Now, slog.New(slog.DiscardHandler))
		return err
	}
	for name, o := range map[string]social.Options{
		"any name":   {Name: "acme", Settings: valid("roles", "groups=a:b:EDITOR,x.y=z:EDITOR")},
		"google":     {Name: "google", Settings: valid("issuer", "")},
		"a preset":   {Name: "work", Settings: valid("preset", "github", "issuer", "https://ghe.example.com")},
		"microsoft":  {Name: "microsoft", Settings: valid("issuer", "", "tenant", "11111111-2222-3333-4444-555555555555")},
		"a loopback": {Name: "acme", Settings: valid("issuer", "http://localhost:8000")},
	} {
		if err := open(o); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for want, o := range map[string]social.Options{
		"its name has other":           {Name: "Acme!", Settings: valid()},
		"there is no such preset":      {Name: "acme", Settings: valid("preset", "facebook")},
		"there is no setting isuer":    {Name: "acme", Settings: valid("isuer", "x")},
		"client-id is missing":         {Name: "acme", Settings: valid("client-id", "")},
		"client-secret is missing":     {Name: "acme", Settings: valid("client-secret", "")},
		"issuer must be":               {Name: "acme", Settings: valid("issuer", "")},
		"issuer must start":            {Name: "acme", Settings: valid("issuer", "http://id.example.com")},
		"tenant must be":               {Name: "microsoft", Settings: valid("tenant", "common")},
		"key-file is missing":          {Name: "apple", Settings: valid("team", "t", "key-id", "k")},
		"key-file:":                    {Name: "apple", Settings: valid("team", "t", "key-id", "k", "key-file", "/nowhere")},
		"the schema has no role ADMIN": {Name: "acme", Settings: valid("roles", "groups=a:ADMIN")},
		"roles must be":                {Name: "acme", Settings: valid("roles", "groups")},
	} {
		err := open(o)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "--provider ") {
			t.Errorf("%s: %v", want, err)
		}
	}
	twice := social.Options{Name: "acme", Settings: valid()}
	if err := open(twice, social.Options{Name: "other", Settings: valid()}); err == nil {
		t.Error("two providers with one issuer")
	}
}

// A claim may be a text, a list, or inside an object.
func TestRolesAreReadFromAnyClaim(t *testing.T) {
	t.Parallel()
	for _, claims := range []string{`{"groups": "staff"}`, `{"groups": ["all", "staff"]}`,
		`{"realm": {"groups": ["staff"]}}`, `{"realm.groups": "staff"}`} {
		p := socialtest.NewProvider(t)
		var more map[string]any
		if err := json.Unmarshal([]byte(claims), &more); err != nil {
			t.Fatal(err)
		}
		p.Claim(more)
		srv := apptest.Start(t, with(p.Settings("acme", "roles=groups=staff:ADMIN,realm.groups=staff:ADMIN")))
		code := socialtest.Code(t, socialtest.NewBrowser(srv.URL).SignIn(t, "acme", page))
		c, _, err := srv.App.Social.Check(t.Context(), code, socialtest.Verifier)
		if err != nil || len(c.Roles) != 1 || c.Roles[0] != "ADMIN" {
			t.Errorf("%s: %+v %v", claims, c, err)
		}
	}
}
