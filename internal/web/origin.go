package web

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rs/cors"
	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

const (
	// preflightLife is how long a browser may cache a preflight; Chromium caps it at 2 h.
	preflightLife = 2 * time.Hour
	// refusalsLoggedEvery bounds what pages of strangers can write into the log.
	refusalsLoggedEvery = time.Minute
	// maxLoggedOrigin bounds a logged origin, in bytes.
	maxLoggedOrigin = 128
)

// OriginOptions say which pages of other origins may call the server.
type OriginOptions struct {
	// Listed are origins, such as https://app.example.com or capacitor://localhost, or patterns for one label of a host
	// name, such as https://*.preview.example.com.
	Listed []string
	// Loopback admits pages of this machine, on any port, without cookies.
	Loopback bool
	// Headers are the request headers that pages may send besides those of the recipes; empty means any.
	Headers []string
}

// Origins are the web origins (RFC 6454) whose pages may call this server. Clients other than browsers send no Origin and
// need no entry. Cookies are accepted from origins that are written out in full only.
type Origins struct {
	exact    map[string]bool
	patterns []originPattern
	options  OriginOptions
	now      func() time.Time
	log      *slog.Logger

	mu     sync.Mutex
	logged time.Time // when the last refusal was
}

// originPattern matches one label in front of a suffix.
type originPattern struct{ scheme, suffix string }

// NewOrigins admits the origin of the public URL and those of o. "*" is refused: with cookies it would let every page on
// the web act for its visitor.
func NewOrigins(publicURL string, o OriginOptions, now func() time.Time, log *slog.Logger) (*Origins, error) {
	own, err := originOf(publicURL)
	if err != nil {
		return nil, fmt.Errorf("the public URL: %w", err)
	}
	origins := &Origins{exact: map[string]bool{own: true}, options: o, now: now, log: log}
	for _, text := range o.Listed {
		if err := origins.list(text); err != nil {
			return nil, fmt.Errorf("%q %w", text, err)
		}
	}
	return origins, nil
}

func (o *Origins) list(text string) error {
	scheme, host, isPattern := strings.Cut(text, "://*.")
	if !isPattern {
		origin, err := canonicalOrigin(text)
		if err != nil {
			return err
		}
		o.exact[origin] = true
		return nil
	}
	suffix, err := canonicalOrigin(scheme + "://" + host)
	if err != nil {
		return err
	}
	scheme, host, _ = strings.Cut(suffix, "://")
	name, _, _ := strings.Cut(host, ":")
	if public, _ := publicsuffix.PublicSuffix(name); public == name {
		return errors.New("would admit pages of other owners: everyone can get a name below " + name)
	}
	o.patterns = append(o.patterns, originPattern{scheme, "." + host})
	return nil
}

// originForm is scheme://host[:port]. The scheme may be an application's own, such as capacitor or chrome-extension, and
// the host then need not be a DNS name.
var originForm = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9+.-]*)://([^/?#@\s*:\[\]]+|\[[0-9a-fA-F:.]+\])(?::([0-9]{1,5}))?/?$`)

// canonicalOrigin writes an origin as browsers send it: lower case, host names in their ASCII form (UTS #46), IP addresses
// in their shortest form, default ports left out.
func canonicalOrigin(text string) (string, error) {
	parts := originForm.FindStringSubmatch(text)
	if parts == nil {
		return "", errors.New("is not an origin, such as https://app.example.com")
	}
	scheme, host, port := strings.ToLower(parts[1]), strings.ToLower(parts[2]), parts[3]
	if scheme == "http" || scheme == "https" {
		address, err := netip.ParseAddr(strings.Trim(host, "[]"))
		switch {
		case err == nil && address.Is6():
			host = "[" + address.String() + "]"
		case err == nil:
			host = address.String()
		default:
			if host, err = hostNames.ToASCII(host); err != nil {
				return "", fmt.Errorf("has no valid host name: %w", err)
			}
		}
	}
	if port == "" {
		return scheme + "://" + host, nil
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", errors.New("has no valid port")
	}
	if scheme == "http" && number == 80 || scheme == "https" && number == 443 {
		return scheme + "://" + host, nil
	}
	return fmt.Sprintf("%s://%s:%d", scheme, host, number), nil
}

var hostNames = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false))

// originOf is the canonical origin of a URL.
func originOf(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil {
		return "", errors.New("is not a URL") // err repeats it
	}
	return canonicalOrigin(u.Scheme + "://" + u.Host)
}

// admits reports whether pages of an origin, as a browser sent it, may read answers.
func (o *Origins) admits(origin string) bool {
	return o.exact[origin] || o.matches(origin) || o.options.Loopback && isLoopback(origin)
}

func (o *Origins) matches(origin string) bool {
	scheme, host, _ := strings.Cut(origin, "://")
	for _, p := range o.patterns {
		label, found := strings.CutSuffix(host, p.suffix)
		if found && scheme == p.scheme && label != "" && !strings.ContainsAny(label, ".:/@") {
			return true
		}
	}
	return false
}

// isLoopback reports whether an origin is a page of this machine. Browsers resolve names below localhost to it.
func isLoopback(origin string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	name := u.Hostname()
	address, err := netip.ParseAddr(name)
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || err == nil && address.IsLoopback()
}

// trusts reports whether a page of a trusted origin sent a request that a cookie authenticates. Browsers name the origin
// in headers that no page can set; without any of them the request is refused, because it may be forged.
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
	return len(origins) == 1 && o.exact[origins[0]]
}

// AdmitsSocket reports whether a page may open a WebSocket: one of an admitted origin, or of the requested host.
func (o *Origins) AdmitsSocket(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if o.admits(origin) || isOwn(origin, r) {
		return true
	}
	o.refused(r, origin)
	return false
}

// isOwn reports whether the request is for the host that its page came from.
func isOwn(origin string, r *http.Request) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host)
}

// refused logs a refused origin, at most one a minute. Malformed ones are not repeated: they may be anything.
func (o *Origins) refused(r *http.Request, origin string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.now().Sub(o.logged) < refusalsLoggedEvery {
		return
	}
	o.logged = o.now()
	if _, err := canonicalOrigin(origin); err != nil {
		origin = "malformed"
	}
	o.log.WarnContext(r.Context(), "refused a page of an origin that is not listed; admit it with --allowed-origins",
		"origin", printable(origin, maxLoggedOrigin))
}

// CORS lets pages of admitted origins read answers. It permits credentials to all of them: what a cookie authenticates
// is up to trusts.
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
			o.refused(r, origin)
		}
		handler.ServeHTTP(w, r)
	})
}
