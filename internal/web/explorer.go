package web

import (
	"embed"
	"net/http"
)

//go:embed explorer
var explorer embed.FS

// explorerPolicy lets the page load its own script and style and call this server, and nothing else.
const explorerPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

// Explorer serves the page for trying out operations: path / and the two files it loads.
func Explorer() http.Handler {
	files := map[string]struct{ name, contentType string }{
		"/":             {"index.html", "text/html; charset=utf-8"},
		"/explorer.css": {"explorer.css", "text/css; charset=utf-8"},
		"/explorer.js":  {"explorer.js", "text/javascript; charset=utf-8"},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file, ok := files[r.URL.Path]
		body, err := explorer.ReadFile("explorer/" + file.name)
		if !ok || err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Security-Policy", explorerPolicy)
		Static(file.contentType, "no-cache", func() []byte { return body }).ServeHTTP(w, r)
	})
}
