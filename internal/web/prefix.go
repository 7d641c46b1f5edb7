package web

import (
	"net/http"
	"strings"
)

// Below serves routes both at the root and below prefix, which proxies in front may strip or not. An empty prefix
// is the root alone.
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
