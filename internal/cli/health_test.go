package cli_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
	"github.com/graphwarden/graphwarden/internal/cli"
)

func TestHealthAsksTheServer(t *testing.T) {
	t.Parallel()
	ready := true
	srv := apptest.Start(t, func(o *apptest.Options) {
		o.Handler = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/readyz" && !ready {
					http.Error(w, "the database is not available", http.StatusServiceUnavailable)
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	})
	address := strings.TrimPrefix(srv.URL, "http://")
	health := func(args ...string) (code int, message string) {
		var out, stderr bytes.Buffer
		code = cli.Main(t.Context(), append([]string{"health"}, args...), strings.NewReader(""), &out, &stderr)
		return code, out.String() + stderr.String()
	}
	for _, args := range [][]string{{"--listen", address}, {"--listen", address, "--ready"}} {
		if code, message := health(args...); code != 0 || message != "" {
			t.Errorf("%v: %d %s", args, code, message)
		}
	}
	ready = false
	if code, message := health("--listen", address); code != 0 {
		t.Errorf("a server that is not ready is alive: %d %s", code, message)
	}
	code, message := health("--listen", address, "--ready")
	if code != 1 || !strings.Contains(message, "503") || !strings.Contains(message, "the database is not available") {
		t.Errorf("%d %s", code, message)
	}
	if code, message := health("--listen", "127.0.0.1:1"); code != 1 || !strings.Contains(message, "no answer") {
		t.Errorf("%d %s", code, message)
	}
}
