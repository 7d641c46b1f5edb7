package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/cors"
)

const (
	// preflightLife is how long a browser may cache a preflight; Chromium caps it at 2 h.
	preflightLife = 2 * time.Hour
	// refusalsLoggedEvery is how often one refused origin is logged.
	refusalsLoggedEvery = time.Minute
	// maxLoggedOrigins bounds the lines per refusalsLoggedEvery, and with them what pages of strangers can write into the
	// log.
	maxLoggedOrigins = 16
)

// OriginOptions are the pages of other origins that may call the server.
type OriginOptions struct {
	// Listed are origins, such as https://app.example.com or capacitor://localhost, or patterns for one label of a
	// host name, such as https://*.preview.example.com.
	Listed []string
	// Loopback admits pages of this machine, on any port, without cookies.
	Loopback bool
	// Returns are addresses of native applications to which a browser may be sent back, see AdmitsReturn.
	Returns []string
	// Headers are the request headers that pages may send in addition to the standard ones; empty means any.
	Headers []string
}

// Origins are the web origins (RFC 6454) whose pages may call this server. Other clients send no Origin and need no
// entry. Cookies are accepted only from origins that are listed in full.
type Origins struct {
	exact    map[origin]bool
	patterns []originPattern
	returns  []*url.URL
	options  OriginOptions
	refusals refusals
}

// NewOrigins admits the origin of the public URL and those of o. It refuses "*": with cookies, every page on the web
// could act for its visitor. Errors name the flag.
func NewOrigins(publicURL string, o OriginOptions, now func() time.Time, log *slog.Logger) (*Origins, error) {
	own, err := originOf(publicURL)
	if err != nil {
		return nil, fmt.Errorf("--public-url: its origin %w", err)
	}
	origins := &Origins{exact: map[origin]bool{own: true}, options: o, refusals: refusals{now: now, log: log}}
	for _, text := range o.Listed {
		if err := origins.list(text); err != nil {
			return nil, fmt.Errorf("--allowed-origins: %q %w", printable(text, maxOrigin), err)
		}
	}
	for _, text := range o.Returns {
		u, err := parseReturn(text)
		if err != nil {
			return nil, fmt.Errorf("--return-to: %q %w", printable(text, maxReturn), err)
		}
		origins.returns = append(origins.returns, u)
	}
	return origins, nil
}

func (o *Origins) list(text string) error {
	if scheme, rest, isPattern := strings.Cut(text, "://*."); isPattern {
		pattern, err := parsePattern(scheme, rest)
		o.patterns = append(o.patterns, pattern)
		return err
	}
	exact, err := parseOrigin(text)
	o.exact[exact] = true
	return err
}

// admits reports whether pages of an origin, as sent by a browser, may read answers.
func (o *Origins) admits(sent string) bool {
	from, err := parseOrigin(sent)
	return err == nil && (o.exact[from] || o.options.Loopback && from.isLoopback() ||
		slices.ContainsFunc(o.patterns, func(p originPattern) bool { return p.matches(from) }))
}

// isExact reports whether an origin is listed in full.
func (o *Origins) isExact(sent string) bool {
	from, err := parseOrigin(sent)
	return err == nil && o.exact[from]
}

// trusts reports whether a page of a trusted origin sent a request that a cookie authenticates. Browsers set these
// headers, and pages cannot change them. Without any of them the request is refused, because it may be forged.
func (o *Origins) trusts(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	if len(origins) > 1 {
		return false
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin":
		return len(origins) == 0 || origins[0] != "null"
	case "none":
		return false // typed into the address bar, which posts nothing
	}
	return len(origins) == 1 && o.isExact(origins[0])
}

// AdmitsSocket reports whether a page may open a WebSocket. Its origin must be admitted or have the requested host.
func (o *Origins) AdmitsSocket(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if o.admits(origin) || isOwn(origin, r) {
		return true
	}
	o.refusals.record(r.Context(), "refused a page of another origin", origin)
	return false
}

// isOwn reports whether the request is for the host of its page.
func isOwn(origin string, r *http.Request) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

// CORS lets pages of admitted origins read answers. It permits credentials to all of them, because trusts decides about
// cookies.
func (o *Origins) CORS(next http.Handler) http.Handler {
	headers := []string{"*"}
	if len(o.options.Headers) > 0 {
		headers = append([]string{"Accept", "Authorization", "Content-Type", headerRequestID}, o.options.Headers...)
	}
	handler := cors.New(cors.Options{
		AllowOriginFunc:  o.admits,
		AllowCredentials: true,
		AllowedMethods:   []string{http.MethodGet, http.MethodPost},
		AllowedHeaders:   headers,
		ExposedHeaders:   []string{headerRequestID, "Retry-After", "WWW-Authenticate", "traceresponse"},
		MaxAge:           int(preflightLife.Seconds()),
	}).Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if origin := r.Header.Get("Origin"); origin != "" && !o.admits(origin) && !isOwn(origin, r) {
			o.refusals.record(r.Context(), "refused a page of another origin", origin)
		}
		handler.ServeHTTP(w, r)
	})
}

// refusals logs each refused origin once a minute, so that a developer finds the missing setting.
type refusals struct {
	now func() time.Time
	log *slog.Logger

	mu     sync.Mutex
	since  time.Time
	logged map[string]bool
}

// record logs that pages of an origin were refused. The number of lines a minute is bounded, because any page on the
// web can cause one. It does not quote text that is not an origin, which may hold anything.
func (f *refusals) record(ctx context.Context, what, sent string) {
	from, err := parseOrigin(sent)
	switch {
	case err != nil && f.isDue(what+err.Error()):
		f.log.WarnContext(ctx, what+"; its origin cannot be listed", "reason", "it "+err.Error())
	case err == nil && f.isDue(what+from.String()):
		f.log.WarnContext(ctx, what+"; list it in full to admit it",
			"origin", from.String(), "flag", "--allowed-origins="+from.String())
	}
}

func (f *refusals) isDue(line string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now().Sub(f.since) >= refusalsLoggedEvery {
		f.since, f.logged = f.now(), map[string]bool{}
	}
	if f.logged[line] || len(f.logged) >= maxLoggedOrigins {
		return false
	}
	f.logged[line] = true
	return true
}
