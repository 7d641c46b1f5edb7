package socialtest

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Verifier is that of the page.
const Verifier = "a verifier of the page, which only this browser has"

// Challenge belongs to Verifier.
var Challenge = func() string {
	sum := sha256.Sum256([]byte(Verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}()

// Browser visits a server and its providers. It follows no redirect by itself.
type Browser struct {
	// Server is the URL of the server under test.
	Server string
	// Cookies are those of the server.
	Cookies map[string]*http.Cookie
}

// NewBrowser returns a browser without cookies.
func NewBrowser(server string) *Browser { return &Browser{server, map[string]*http.Cookie{}} }

// Page is an answer.
type Page struct {
	Status   int
	Header   http.Header
	Location string
	Body     string
	Cookies  []*http.Cookie
}

// Get opens a URL. A path is that of the server.
func (b *Browser) Get(tb testing.TB, to string) *Page { return b.send(tb, http.MethodGet, to, nil) }

// Post submits a form.
func (b *Browser) Post(tb testing.TB, to string, form url.Values) *Page {
	return b.send(tb, http.MethodPost, to, form)
}

func (b *Browser) send(tb testing.TB, method, to string, form url.Values) *Page {
	tb.Helper()
	isOwn := strings.HasPrefix(to, "/")
	if isOwn {
		to = b.Server + to
	}
	r, err := http.NewRequestWithContext(tb.Context(), method, to, strings.NewReader(form.Encode()))
	if err != nil {
		tb.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if isOwn {
		for _, c := range b.Cookies {
			r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
		}
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		tb.Fatal(err)
	}
	page := &Page{Status: response.StatusCode, Header: response.Header, Location: response.Header.Get("Location"),
		Body: string(body), Cookies: response.Cookies()}
	for _, c := range page.Cookies {
		if b.Cookies[c.Name] = c; c.MaxAge < 0 {
			delete(b.Cookies, c.Name)
		}
	}
	return page
}

// Start begins a sign-in on a page of the server's own origin, and returns the answer.
func (b *Browser) Start(tb testing.TB, provider, returnTo string) *Page {
	tb.Helper()
	query := url.Values{"return_to": {returnTo}, "challenge": {Challenge}}
	return b.Get(tb, "/auth/"+provider+"/start?"+query.Encode())
}

// Visit begins a sign-in and goes to the provider. It returns the path to which the provider sends the browser back.
func (b *Browser) Visit(tb testing.TB, provider, returnTo string) (callback string) {
	tb.Helper()
	started := b.Start(tb, provider, returnTo)
	if started.Status != http.StatusSeeOther {
		tb.Fatalf("start: %d %s", started.Status, started.Body)
	}
	there := b.Get(tb, started.Location)
	back, err := url.Parse(there.Location)
	if err != nil || there.Status != http.StatusFound {
		tb.Fatalf("%s: %d %s", started.Location, there.Status, there.Body)
	}
	return back.RequestURI()
}

// SignIn goes to the provider and back. It returns the fragment with which the browser comes back to the page.
func (b *Browser) SignIn(tb testing.TB, provider, returnTo string) (fragment string) {
	tb.Helper()
	callback := b.Visit(tb, provider, returnTo)
	return Fragment(tb, b.Get(tb, callback), returnTo)
}

// Fragment returns what follows returnTo in the address that a page redirects to.
func Fragment(tb testing.TB, p *Page, returnTo string) string {
	tb.Helper()
	fragment, ok := strings.CutPrefix(p.Location, returnTo)
	if p.Status != http.StatusSeeOther || !ok {
		tb.Fatalf("%d to %q: %s", p.Status, p.Location, p.Body)
	}
	return fragment
}

// Code returns the code in a fragment.
func Code(tb testing.TB, fragment string) string {
	tb.Helper()
	code, ok := strings.CutPrefix(fragment, "#sign-in=")
	if !ok {
		tb.Fatalf("no code in %q", fragment)
	}
	return code
}
