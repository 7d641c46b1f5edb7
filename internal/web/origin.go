package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rs/cors"
)

// preflightLife is how long a browser may remember what a preflight allowed.
const preflightLife = 10 * time.Minute

// Origins are the web origins (RFC 6454) whose pages may use this server with cookies and read its
// answers. Clients that are no browsers, and pages that send a header instead of a cookie, need none.
type Origins struct {
	trusted map[string]bool
	listed  []string
}

// NewOrigins trusts the origin of the public URL and those listed. "*" is refused: with cookies it
// would let every page on the web act as whoever looks at it.
func NewOrigins(publicURL string, listed []string) (*Origins, error) {
	own, err := url.Parse(publicURL)
	if err != nil {
		return nil, fmt.Errorf("the public URL is no URL")
	}
	o := &Origins{trusted: map[string]bool{own.Scheme + "://" + own.Host: true}, listed: listed}
	for _, origin := range listed {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || origin != u.Scheme+"://"+u.Host || strings.Contains(origin, "*") {
			return nil, fmt.Errorf("%q is not an origin, such as https://app.example.com", origin)
		}
		o.trusted[origin] = true
	}
	return o, nil
}

// trusts tells whether a request that a cookie authenticates was sent by a page of a trusted origin.
// A browser says where a request comes from in headers that no page can set; without any of them it
// is refused, for then nothing tells it from a forgery.
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
	return len(origins) == 1 && o.trusted[origins[0]]
}

// CORS lets pages of the listed origins read answers, with cookies; others get no permission.
func (o *Origins) CORS(next http.Handler) http.Handler {
	if len(o.listed) == 0 {
		return next
	}
	return cors.New(cors.Options{
		AllowedOrigins:   o.listed,
		AllowCredentials: true,
		AllowedMethods:   []string{http.MethodGet, http.MethodPost},
		AllowedHeaders:   []string{"Accept", "Authorization", "Content-Type", headerRequestID},
		ExposedHeaders:   []string{headerRequestID, "Retry-After", "WWW-Authenticate"},
		MaxAge:           int(preflightLife.Seconds()),
	}).Handler(next)
}
