package web_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/graphwarden/graphwarden/internal/web"
)

func ask(h http.Handler, method string, header ...string) *httptest.ResponseRecorder {
	w, r := httptest.NewRecorder(), httptest.NewRequest(method, "/", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	h.ServeHTTP(w, r)
	return w
}

func TestReadinessFollowsTheCheckAndTheStop(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	h := web.NewHealth(func(context.Context) error {
		if broken.Load() {
			return errors.New("dial tcp 10.0.0.7:5432: refused")
		}
		return nil
	})
	expect := func(when string, live, ready int) {
		t.Helper()
		if got := ask(http.HandlerFunc(h.Live), "GET"); got.Code != live {
			t.Errorf("%s: live %d, want %d", when, got.Code, live)
		}
		got := ask(http.HandlerFunc(h.Ready), "GET")
		if got.Code != ready || got.Header().Get("Cache-Control") != "no-store" ||
			strings.Contains(got.Body.String(), "10.0.0.7") {
			t.Errorf("%s: ready %d %s, want %d", when, got.Code, got.Body, ready)
		}
	}
	expect("healthy", 200, 200)
	broken.Store(true)
	expect("broken", 200, 503)
	broken.Store(false)
	expect("repaired", 200, 200)
	h.Stop()
	expect("stopping", 200, 503)
}

func TestAHangingCheckIsNotReady(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := web.NewHealth(func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		if got := ask(http.HandlerFunc(h.Ready), "GET"); got.Code != 503 {
			t.Errorf("%d", got.Code)
		}
	})
}

func TestStaticDocumentsHaveAnETag(t *testing.T) {
	t.Parallel()
	document := `{"keys":[]}`
	h := web.Static("application/jwk-set+json", "public, max-age=300", func() []byte { return []byte(document) })

	first := ask(h, "GET")
	tag := first.Header().Get("ETag")
	if first.Code != 200 || first.Body.String() != document || tag == "" ||
		first.Header().Get("Content-Type") != "application/jwk-set+json" ||
		first.Header().Get("Cache-Control") != "public, max-age=300" {
		t.Fatalf("%d %v %s", first.Code, first.Header(), first.Body)
	}
	if head := ask(h, "HEAD"); head.Code != 200 || head.Body.Len() != 0 || head.Header().Get("ETag") != tag {
		t.Errorf("HEAD: %d %v %s", head.Code, head.Header(), head.Body)
	}
	if same := ask(h, "GET", "If-None-Match", tag); same.Code != 304 || same.Body.Len() != 0 {
		t.Errorf("unchanged: %d %s", same.Code, same.Body)
	}
	document = `{"keys":[1]}`
	if changed := ask(h, "GET", "If-None-Match", tag); changed.Code != 200 || changed.Body.String() != document ||
		changed.Header().Get("ETag") == tag {
		t.Errorf("changed: %d %v %s", changed.Code, changed.Header(), changed.Body)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		if got := ask(h, method); got.Code != 405 || got.Header().Get("Allow") != "GET, HEAD" || got.Body.Len() != 0 {
			t.Errorf("%s: %d %v", method, got.Code, got.Header())
		}
	}
}
