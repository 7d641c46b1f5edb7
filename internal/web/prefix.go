package web

import "net/http"

// Below serves next both at the root and below prefix, the path of the public URL: proxies in front may strip it or not.
// An empty prefix is next alone.
func Below(prefix string, next http.Handler) http.Handler {
	if prefix == "" {
		return next
	}
	stripped := http.StripPrefix(prefix, next)
	mux := http.NewServeMux()
	mux.Handle("/", next)
	mux.Handle(prefix+"/", stripped)
	return mux
}
