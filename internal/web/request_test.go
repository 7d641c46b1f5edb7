package web_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/graphwarden/graphwarden/internal/web"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

// identified sends r through Identify and returns the Request in the next handler's context.
func identified(r *http.Request) (web.Request, http.Header) {
	var got web.Request
	w := httptest.NewRecorder()
	web.Identify(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = web.RequestFrom(r.Context())
	}), new(web.Proxies).ClientIP).ServeHTTP(w, r)
	return got, w.Header()
}

func TestRequestIsInTheContext(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("PATCH", "/", nil)
	r.RemoteAddr = "192.0.2.7:4711"
	r.Header.Set("X-Request-Id", "a.B_9-")
	r.Header.Set("User-Agent", "test/1")
	got, header := identified(r)
	want := web.Request{ID: "a.B_9-", IP: "192.0.2.7", UserAgent: "test/1", Method: "PATCH"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if header.Get("X-Request-Id") != got.ID {
		t.Errorf("header: %q", header.Get("X-Request-Id"))
	}
	if none := web.RequestFrom(context.Background()); none != (web.Request{}) {
		t.Errorf("without Identify: %+v", none)
	}
}

func TestInvalidRequestIDsAreReplaced(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for name, sent := range map[string][]string{
		"none": nil, "empty": {""}, "two": {"a", "a"}, "too long": {strings.Repeat("a", 65)},
		"blank": {"a b"}, "comma": {"a,b"}, "line break": {"a\nlevel=ERROR"}, "trailing line break": {"a\n"},
		"markup": {"<script>"}, "not ASCII": {"ä"}, "not UTF-8": {"\xff"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["X-Request-Id"] = sent
		got, header := identified(r)
		id, err := uuid.Parse(got.ID)
		if err != nil || id.Version() != 7 || seen[got.ID] || header.Get("X-Request-Id") != got.ID {
			t.Errorf("%s: %q", name, got.ID)
		}
		seen[got.ID] = true
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Request-Id", strings.Repeat("a", 64))
	if got, _ := identified(r); got.ID != strings.Repeat("a", 64) {
		t.Errorf("longest: %q", got.ID)
	}
}

func TestUserAgentIsPrintableAndBounded(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{
		"":                                     "",
		"Mozilla/5.0 (X11; ä)":                 "Mozilla/5.0 (X11; ä)",
		"a\r\nb\x00c\x7fd\u0085e\tf":           "abcdef",
		"a\u2028b\u2029c\u202ed\u200be\ufefff": "abcdef",
		"a\xffb\xc3":                           "ab",
		strings.Repeat("a", 300):               strings.Repeat("a", 256),
		"a" + strings.Repeat("ä", 200):         "a" + strings.Repeat("ä", 127),
		strings.Repeat("a", 255) + "🏃bb":       strings.Repeat("a", 255),
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("User-Agent", sent)
		if got, _ := identified(r); got.UserAgent != want || !utf8.ValidString(got.UserAgent) {
			t.Errorf("%q: %q, want %q", sent, got.UserAgent, want)
		}
	}
}

// get sends a request to h over TCP and returns the response without its body.
func get(tb testing.TB, h http.Handler, path string, headers ...string) *http.Response {
	tb.Helper()
	server := httptest.NewServer(h)
	tb.Cleanup(server.Close)
	response, err := http.DefaultClient.Do(webtest.Request(tb, "GET", server.URL+path, "", headers...))
	if err != nil {
		tb.Fatal(err)
	}
	_ = response.Body.Close()
	return response
}

func TestSecureHeadersLetAPageReplaceThem(t *testing.T) {
	t.Parallel()
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/page" {
			w.Header().Set("Content-Security-Policy", "default-src 'self'")
		}
		_, _ = io.WriteString(w, "{}")
	})
	h := web.SecureHeaders(false, next)
	want := map[string]string{
		"X-Content-Type-Options":     "nosniff",
		"Referrer-Policy":            "no-referrer",
		"Content-Security-Policy":    "frame-ancestors 'none'",
		"X-Frame-Options":            "DENY",
		"Cross-Origin-Opener-Policy": "same-origin",
		"Server":                     "",
		"X-Powered-By":               "",
		"Strict-Transport-Security":  "",
	}
	for path, policy := range map[string]string{"/": "frame-ancestors 'none'", "/page": "default-src 'self'"} {
		want["Content-Security-Policy"] = policy
		got := get(t, h, path)
		for header, value := range want {
			if got.Header.Get(header) != value {
				t.Errorf("%s: %s: %q, want %q", path, header, got.Header.Get(header), value)
			}
		}
	}
	behindTLS := get(t, web.SecureHeaders(true, next), "/")
	if got := behindTLS.Header.Get("Strict-Transport-Security"); got != "max-age=31536000" {
		t.Errorf("Strict-Transport-Security: %q", got)
	}
}
