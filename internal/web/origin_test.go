package web_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/web"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

const publicURL = "https://api.example.com"

func origins(tb testing.TB, o web.OriginOptions) *web.Origins {
	tb.Helper()
	made, err := web.NewOrigins(publicURL, o, time.Now, quiet())
	if err != nil {
		tb.Fatal(err)
	}
	return made
}

func TestInvalidOriginsAreRefused(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{
		"*", "null", "", "app.example.com", "https://", "https://app.example.com/x", "https://app.example.com?x",
		"https://app.example.com#x",
		"https://ada@app.example.com", "https://a b.example.com", "https://app.example.com:port",
		"https://app.example.com:65536",
		"https://[::1", "https://xn--a.example.com", "https://[1.2.3.4]",
		"https://" + strings.Repeat("a", 600) + ".example.com",
		"http://127.1", "http://0x7f.0.0.1", "http://010.0.0.1", "https://app.example.com/", "https://app%2eexample.com",
		"https://a|b.example.com",
		"file://host", "wss://app.example.com", "ftp://app.example.com", "capacitor://bücher", "capacitor://*.localhost",
		"https://*", "https://*.*.example.com", "https://app*.example.com", "https://app.*.example.com",
		"https://*.com", "https://*.co.uk", "https://*.vercel.app", "https://*.github.io", "https://*.localhost",
		"https://*.com.", "https://*.kawasaki.jp", "https://*.192.168.1.20", "https://*.[::1]",
	} {
		if _, err := web.NewOrigins(publicURL, web.OriginOptions{Listed: []string{origin}}, nil, nil); err == nil {
			t.Errorf("%q is accepted as an origin", origin)
		}
	}
}

// preflight returns the headers of the response to a preflight request.
func preflight(tb testing.TB, o *web.Origins, origin, headers string) http.Header {
	tb.Helper()
	r := webtest.Request(tb, "OPTIONS", "http://127.0.0.1:8080/graphql", "", "Origin", origin,
		"Access-Control-Request-Method", "POST")
	if headers != "" {
		r.Header.Set("Access-Control-Request-Headers", headers)
	}
	w := httptest.NewRecorder()
	o.CORS(http.NotFoundHandler()).ServeHTTP(w, r)
	return w.Header()
}

// usesCookies reports whether pages of origin may use the refresh cookie.
func usesCookies(tb testing.TB, o *web.Origins, origin string) (allowed bool) {
	tb.Helper()
	h := web.Cookies(o, "",
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { allowed = web.CookieAllowed(r.Context()) }))
	h.ServeHTTP(httptest.NewRecorder(), webtest.Request(tb, "POST", "http://127.0.0.1:8080/graphql", "", "Origin", origin))
	return allowed
}

// Each listed origin is spelled as operators do, and the other as browsers do.
func TestListedOriginsMatchWhatBrowsersSend(t *testing.T) {
	t.Parallel()
	for listed, sent := range map[string]string{
		"https://app.example.com":                              "https://app.example.com",
		"https://app.example.com:443":                          "https://app.example.com",
		"http://app.example.com:80":                            "http://app.example.com",
		"https://app.example.com:0443":                         "https://app.example.com",
		"http://app.example.com:443":                           "http://app.example.com:443",
		"HTTPS://App.Example.COM:8443":                         "https://app.example.com:8443",
		"https://bücher.example":                               "https://xn--bcher-kva.example",
		"https://straße.example":                               "https://xn--strae-oqa.example",
		"https://my_app.example.com":                           "https://my_app.example.com",
		"http://[::1]:5173":                                    "http://[::1]:5173",
		"http://[0:0::1]:80":                                   "http://[::1]",
		"http://[::ffff:192.168.1.20]":                         "http://[::ffff:c0a8:114]",
		"https://r3---sn-a.example.com":                        "https://r3---sn-a.example.com",
		"http://192.168.1.20:3000":                             "http://192.168.1.20:3000",
		"capacitor://localhost":                                "capacitor://localhost",
		"ionic://localhost":                                    "ionic://localhost",
		"tauri://localhost":                                    "tauri://localhost",
		"app://-":                                              "app://-",
		"chrome-extension://abcdefghijklmnopabcdefghijklmnop":  "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
		"moz-extension://0b5f2a4e-1c1d-4f9e-8f3a-1d2c3b4a5e6f": "moz-extension://0b5f2a4e-1c1d-4f9e-8f3a-1d2c3b4a5e6f",
		// Safari keeps the case.
		"safari-web-extension://0b5f2a4e-1c1d-4f9e-8f3a-1d2c3b4": "safari-web-extension://0B5F2A4E-1C1D-4F9E-8F3A-1D2C3B4",
		"app://.": "app://.",
	} {
		o := origins(t, web.OriginOptions{Listed: []string{listed}})
		if got := preflight(t, o, sent, "content-type").Get("Access-Control-Allow-Origin"); got != sent {
			t.Errorf("%s: a preflight from %s allows %q", listed, sent, got)
		}
		if !usesCookies(t, o, sent) {
			t.Errorf("%s: %s may not use cookies", listed, sent)
		}
		if !o.AdmitsSocket(webtest.Request(t, "GET", "http://127.0.0.1:8080/graphql", "", "Origin", sent)) {
			t.Errorf("%s: %s may not open a WebSocket", listed, sent)
		}
	}
	for url, sent := range map[string]string{
		"https://App.Example.com:443/api": "https://app.example.com",
		"https://bücher.example":          "https://xn--bcher-kva.example",
	} {
		o, err := web.NewOrigins(url, web.OriginOptions{}, time.Now, quiet())
		if err != nil || !usesCookies(t, o, sent) {
			t.Errorf("public URL %s: %s may not use cookies, %v", url, sent, err)
		}
	}
}

// Pages admitted by a pattern or as loopback must not use cookies.
func TestPatternsAndLoopbackDoNotAllowCookies(t *testing.T) {
	t.Parallel()
	o := origins(t, web.OriginOptions{Listed: []string{"https://*.preview.example.com", "http://*.test.example.com:3000"},
		Loopback: true})
	for origin, admitted := range map[string]bool{
		"https://pr-1.preview.example.com":      true,
		"http://pr-1.test.example.com:3000":     true,
		"http://localhost:5173":                 true,
		"https://localhost":                     true,
		"http://127.0.0.1:3000":                 true,
		"http://127.0.0.53":                     true,
		"http://[::1]:5173":                     true,
		"http://app.localhost:5173":             true,
		"http://pr-1.preview.example.com":       false,
		"https://preview.example.com":           false,
		"https://a.b.preview.example.com":       false,
		"https://pr-1.preview.example.com:8443": false,
		"https://evil.com/.preview.example.com": false,
		"https://a@b.preview.example.com":       false,
		"https://pr-1.preview.example.com.evil": false,
		"http://pr-1.test.example.com":          false,
		"http://localhost.evil.com":             false,
		"http://evillocalhost":                  false,
		"http://127.0.0.1.evil.com":             false,
		"http://192.168.1.20:3000":              false,
		"app://localhost":                       false,
		"null":                                  false,
	} {
		h := preflight(t, o, origin, "content-type")
		if got := h.Get("Access-Control-Allow-Origin") == origin; got != admitted {
			t.Errorf("%s: %v", origin, h)
		}
		if usesCookies(t, o, origin) {
			t.Errorf("%s uses cookies", origin)
		}
		r := webtest.Request(t, "GET", "http://api.example.com/graphql", "", "Origin", origin)
		if got := o.AdmitsSocket(r); got != admitted {
			t.Errorf("%s: opens a WebSocket: %t", origin, got)
		}
	}
	production := origins(t, web.OriginOptions{})
	if got := preflight(t, production, "http://localhost:5173", "").Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("production allows %q", got)
	}
}

func TestPagesMaySendAnyHeaderUnlessHeadersAreListed(t *testing.T) {
	t.Parallel()
	const origin, traced = "https://app.example.com",
		"authorization,baggage,content-type,sentry-trace,traceparent,x-datadog-trace-id"
	any := preflight(t, origins(t, web.OriginOptions{Listed: []string{origin}}), origin, traced)
	if any.Get("Access-Control-Allow-Headers") != traced || any.Get("Access-Control-Max-Age") != "7200" {
		t.Errorf("any: %v", any)
	}
	listed := origins(t, web.OriginOptions{Listed: []string{origin}, Headers: []string{"X-Team"}})
	for headers, want := range map[string]bool{"authorization,content-type,x-team": true, "authorization,baggage": false} {
		if got := preflight(t, listed, origin, headers).Get("Access-Control-Allow-Origin") == origin; got != want {
			t.Errorf("listed: %s: %t", headers, got)
		}
	}
	w := httptest.NewRecorder()
	r := webtest.Request(t, "POST", "http://127.0.0.1:8080/graphql", "", "Origin", origin)
	listed.CORS(http.NotFoundHandler()).ServeHTTP(w, r)
	exposed := w.Header().Get("Access-Control-Expose-Headers")
	for _, name := range []string{"Retry-After", "X-Request-Id", "Traceresponse"} {
		if !strings.Contains(strings.ToLower(exposed), strings.ToLower(name)) {
			t.Errorf("%s is not exposed: %s", name, exposed)
		}
	}
}

// Each reason contains the correct spelling, or explains why there is none.
func TestRefusedOriginsHaveAReason(t *testing.T) {
	t.Parallel()
	for origin, reason := range map[string]string{
		"https://app.example.com/":      "write https://app.example.com",
		"https://app.example.com/x?y=1": "write https://app.example.com",
		"null":                          "shared by all",
		"*":                             "https://*.preview.example.com",
		"https://*.vercel.app":          "anyone can register a name below vercel.app",
		"http://127.1":                  "four decimal numbers",
		"file://host":                   "no page has an origin with the scheme file",
	} {
		_, err := web.NewOrigins(publicURL, web.OriginOptions{Listed: []string{origin}}, nil, nil)
		if err == nil || !strings.Contains(err.Error(), reason) || !strings.HasPrefix(err.Error(), "--allowed-origins: ") {
			t.Errorf("%s: %v", origin, err)
		}
	}
	if _, err := web.NewOrigins("https://127.1", web.OriginOptions{}, nil, nil); err == nil ||
		!strings.HasPrefix(err.Error(), "--public-url: ") {
		t.Errorf("public URL: %v", err)
	}
}

// Decoding Punycode takes quadratic time in the length of a label.
func TestOverlongOriginsAreNotDecoded(t *testing.T) {
	t.Parallel()
	o := origins(t, web.OriginOptions{Listed: []string{"https://*.preview.example.com"}, Loopback: true})
	h := preflight(t, o, "https://xn--"+strings.Repeat("a", 600)+".preview.example.com", "")
	if h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%v", h)
	}
}

func TestARefusedOriginIsLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	now := time.Now()
	o, err := web.NewOrigins(publicURL, web.OriginOptions{Loopback: true}, func() time.Time { return now },
		slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	lines := func(of string) int { return strings.Count(log.String(), of) }
	for _, origin := range []string{"http://team.example.com", "https://other.example.com"} {
		for range 3 {
			preflight(t, o, origin, "")
			o.AdmitsSocket(webtest.Request(t, "GET", "http://api.example.com/graphql", "", "Origin", origin))
		}
		if got := lines("--allowed-origins=" + origin); got != 1 {
			t.Errorf("%s: %d lines: %s", origin, got, &log)
		}
	}
	preflight(t, o, publicURL, "")                 // listed
	preflight(t, o, "http://127.0.0.1:8080", "")   // the request's host
	preflight(t, o, "http://localhost:5173", "")   // loopback
	usesCookies(t, o, "http://localhost:5173")     // loopback may not use cookies
	preflight(t, o, "null", "")                    // cannot be listed
	preflight(t, o, "https://a|b.example.com", "") // cannot be listed either
	if lines("level=WARN") != 5 || lines("--allowed-origins=http://localhost:5173") != 1 || lines("cookies") != 1 ||
		lines("; its origin cannot be listed") != 2 {
		t.Errorf("log: %s", &log)
	}

	for i := range 1000 {
		preflight(t, o, fmt.Sprintf("https://%d.flood.example.com", i), "")
	}
	if got := lines("level=WARN"); got > 20 {
		t.Errorf("a flood of origins logs %d lines per minute", got)
	}
	now = now.Add(time.Minute)
	log.Reset()
	preflight(t, o, "http://team.example.com", "")
	preflight(t, o, "https://"+strings.Repeat("a", 1000)+"\u202e.example.com", "")
	if text := log.String(); lines("level=WARN") != 2 || strings.Contains(text, strings.Repeat("a", 400)) ||
		strings.Contains(text, "\u202e") {
		t.Errorf("log: %s", text)
	}
}

func TestTheServersHostAndListedOriginsAreAdmitted(t *testing.T) {
	t.Parallel()
	origins, err := web.NewOrigins("https://api.example.com",
		web.OriginOptions{Listed: []string{"https://app.example.com"}}, time.Now, quiet())
	if err != nil {
		t.Fatal(err)
	}
	for origin, want := range map[string]bool{
		"https://api.example.com":       true,
		"https://app.example.com":       true,
		"http://localhost:8080":         true, // the request's host
		"http://localhost":              false,
		"http://app.example.com":        false,
		"https://app.example.com.evil":  false,
		"https://evil@app.example.com.": false,
		"null":                          false,
		"":                              false,
		"%":                             false,
	} {
		r := httptest.NewRequest("GET", "http://localhost:8080/graphql", nil)
		r.Header.Set("Origin", origin)
		if got := origins.AdmitsSocket(r); got != want {
			t.Errorf("%q: %v", origin, got)
		}
	}
}
