package web

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"
)

// refreshCookie is the name of the cookie with the refresh token. With the prefix __Host-, browsers insist on
// Secure, on the path / and on this very host, so that no sibling domain can plant one (RFC 6265bis section
// 4.1.3.2).
const refreshCookie = "__Host-graphwarden_refresh"

// cookieName returns a name that differs between servers on one host, whose cookies share the path /. It contains the
// path of the public URL. Such a path has no |, so different paths have different names.
func cookieName(publicPath string) string {
	return refreshCookie + strings.ReplaceAll(publicPath, "/", "|")
}

// jar holds the cookies of one request and collects those of its answer. Resolvers cannot reach the answer's headers,
// and the transport writes them only after all resolvers have run.
type jar struct {
	name    string
	sent    []*http.Cookie
	trusted bool
	refused func() // records that trusted kept a page out

	mu     sync.Mutex // resolvers of one operation may run at once
	header http.Header
}

type jarKey struct{}

// Cookies gives the resolvers behind next the refresh cookie of the request and a way to set it. publicPath is the path
// of the public URL.
func Cookies(o *Origins, publicPath string, next http.Handler) http.Handler {
	name := cookieName(publicPath)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		j := &jar{name: name, sent: r.CookiesNamed(name), trusted: o.trusts(r), header: w.Header(), refused: func() {
			if sent := r.Header.Get("Origin"); sent != "" {
				o.refusals.record(r.Context(), "refused cookies to a page of another origin", sent)
			}
		}}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), jarKey{}, j)))
	})
}

// WithoutCookies returns a context in which no cookie was sent and none can be set.
func WithoutCookies(ctx context.Context) context.Context {
	return context.WithValue(ctx, jarKey{}, (*jar)(nil))
}

// RefreshCookie returns the refresh token of the request's cookie, and whether the request has one. If there are
// several, one of them must have been planted: the token is then empty.
func RefreshCookie(ctx context.Context) (token string, came bool) {
	j, _ := ctx.Value(jarKey{}).(*jar)
	if j == nil || len(j.sent) == 0 {
		return "", false
	}
	if len(j.sent) > 1 {
		return "", true
	}
	return j.sent[0].Value, true
}

// CookieAllowed reports whether the request comes from a page of a trusted origin and may therefore use the refresh
// cookie. It logs a refused origin.
func CookieAllowed(ctx context.Context) bool {
	j, _ := ctx.Value(jarKey{}).(*jar)
	if j != nil && !j.trusted {
		j.refused()
	}
	return j != nil && j.trusted
}

// SetRefreshCookie sets the refresh cookie of the answer, which expires with the session. An empty token removes it.
// The caller must have checked CookieAllowed.
func SetRefreshCookie(ctx context.Context, token string, expires time.Time) {
	j, _ := ctx.Value(jarKey{}).(*jar)
	if j == nil {
		return
	}
	c := &http.Cookie{Name: j.name, Value: token, Path: "/",
		Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode, Expires: expires}
	if token == "" {
		c.MaxAge = -1
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.header.Del("Set-Cookie") // the last word counts; this server sets no other cookie
	j.header.Add("Set-Cookie", c.String())
}
