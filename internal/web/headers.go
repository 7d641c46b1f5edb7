package web

import (
	"maps"
	"net/http"
)

// SecureHeaders sets headers on every answer that keep a browser from guessing its type, framing it, holding a handle
// to its window, or leaking its URL, which may hold a query, to other sites. A page, such as the explorer, can replace
// the Content-Security-Policy.
//
// If clients use https, browsers must not go back to http: RFC 6797 section 11.2 suggests a year. Subdomains belong to
// others and are not included.
func SecureHeaders(https bool, next http.Handler) http.Handler {
	// The slices are shared by all answers: http.Header's methods replace them and never write into them.
	fixed := http.Header{
		"X-Content-Type-Options":     {"nosniff"},
		"Referrer-Policy":            {"no-referrer"},
		"Content-Security-Policy":    {"frame-ancestors 'none'"},
		"X-Frame-Options":            {"DENY"}, // for browsers that do not know frame-ancestors
		"Cross-Origin-Opener-Policy": {"same-origin"},
	}
	if https {
		fixed.Set("Strict-Transport-Security", "max-age=31536000")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		maps.Copy(w.Header(), fixed)
		next.ServeHTTP(w, r)
	})
}
