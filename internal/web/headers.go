package web

import "net/http"

// SecureHeaders sets on every answer what keeps a browser from guessing its type, framing it,
// holding a handle to its window or telling other sites its URL, which may hold a query. A page of
// its own, such as the IDE, replaces the Content-Security-Policy by one that lets it work.
//
// Where clients come by https, it also keeps a browser from ever going back to http: RFC 6797 section
// 11.2 suggests a year. Subdomains belong to others, and are left alone.
func SecureHeaders(https bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "frame-ancestors 'none'")
		h.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		if https {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}
