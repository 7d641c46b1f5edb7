package web

import (
	"net/http"
	"strings"
)

// Below serves routes at the root and below prefix, because a proxy in front may or may not strip it. With an empty
// prefix it serves the root only.
func Below(prefix string, routes *http.ServeMux) http.Handler {
	if prefix == "" {
		return routes
	}
	stripped := http.StripPrefix(prefix, routes)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, prefix+"/") {
			stripped.ServeHTTP(w, r)
			return
		}
		if _, route := routes.Handler(r); route == "" && r.URL.Path == prefix {
			http.Redirect(w, r, prefix+"/", http.StatusPermanentRedirect)
			return
		}
		routes.ServeHTTP(w, r)
	})
}
