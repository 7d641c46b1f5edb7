package web

import "net/http"

// SecureHeaders sets on every answer what keeps a browser from guessing its type, framing it,
// holding a handle to its window or telling other sites its URL, which may hold a query. A page of
// its own, such as the IDE, replaces the Content-Security-Policy by one that lets it work.
func SecureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "frame-ancestors 'none'")
		h.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}
