package web_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/web"
)

func TestBelowServesWithAndWithoutThePrefix(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	for _, path := range []string{"/{$}", "/graphql"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, r.Method+" "+r.URL.Path)
		})
	}
	for _, test := range []struct {
		prefix, method, path, body, location string
		status                               int
	}{
		{"", "POST", "/graphql", "POST /graphql", "", 200},
		{"/api", "POST", "/graphql", "POST /graphql", "", 200},
		{"/api", "POST", "/api/graphql", "POST /graphql", "", 200},
		{"/api", "GET", "/api/", "GET /", "", 200},
		{"/api", "GET", "/api", "", "/api/", 308},
		{"/api", "GET", "/apis", "", "", 404},
		{"/api", "GET", "/api/api/graphql", "", "", 404},
		// A public URL that names the endpoint does not move it.
		{"/graphql", "POST", "/graphql", "POST /graphql", "", 200},
		{"/graphql", "POST", "/graphql/graphql", "POST /graphql", "", 200},
	} {
		w := httptest.NewRecorder()
		web.Below(test.prefix, mux).ServeHTTP(w, httptest.NewRequest(test.method, test.path, nil))
		if w.Code != test.status || test.status == 200 && w.Body.String() != test.body ||
			w.Header().Get("Location") != test.location {
			t.Errorf("prefix %q: %s %s: %d %q %v", test.prefix, test.method, test.path, w.Code, w.Body, w.Header())
		}
	}
}

// Different paths need cookies with different names, because all cookies have the path /.
func TestServersOnOneHostHaveDifferentCookies(t *testing.T) {
	t.Parallel()
	names := map[string]string{}
	for _, path := range []string{"", "/a", "/b", "/a/b", "/a_b", "/a-b", "/a.b", "/a~b"} {
		w := httptest.NewRecorder()
		set := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			web.SetRefreshCookie(r.Context(), "token", time.Now())
		})
		web.Cookies(origins(t, web.OriginOptions{}), path, set).ServeHTTP(w, httptest.NewRequest("POST", "/graphql", nil))
		cookie, err := http.ParseSetCookie(w.Header().Get("Set-Cookie"))
		if err != nil || cookie.Path != "/" {
			t.Fatalf("%q: %v", path, w.Header())
		}
		name := cookie.Name
		if other, taken := names[name]; taken {
			t.Errorf("%q and %q have the cookie %s", path, other, name)
		}
		names[name] = path
	}
	if names["__Host-graphwarden_refresh"] != "" {
		t.Error("without a path, the name has changed")
	}
}
