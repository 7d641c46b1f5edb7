package web_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graphwarden/graphwarden/internal/web"
	"github.com/graphwarden/graphwarden/internal/web/tlstest"
)

// pair is a certificate and its key in files.
type pair struct{ cert, key string }

func newPair(tb testing.TB, name string) pair {
	tb.Helper()
	dir := tb.TempDir()
	p := pair{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	tlstest.Write(tb, p.cert, p.key, name, time.Now().Add(time.Hour))
	return p
}

// serveOn serves h on l until the test ends.
func serveOn(tb testing.TB, l net.Listener, h http.Handler) {
	ctx, stop := context.WithCancel(context.WithoutCancel(tb.Context()))
	stopped := make(chan error, 1)
	go func() { stopped <- web.Serve(ctx, l, h, serving(time.Minute), quiet()) }()
	tb.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			tb.Error(err)
		}
	})
}

func opened(tb testing.TB, p pair, now func() time.Time, log *slog.Logger) *web.Certificate {
	tb.Helper()
	c, err := web.OpenCertificate(p.cert, p.key, now, log)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// serveTLS serves h with a certificate and returns the address.
func serveTLS(tb testing.TB, c *web.Certificate, h http.Handler) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	serveOn(tb, c.Listen(l), h)
	return l.Addr().String()
}

func TestEveryTransportWorksOverTLS(t *testing.T) {
	t.Parallel()
	p := newPair(t, "test")
	f, h := newFeed(web.StreamOptions{})
	noted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Protocol", r.Proto)
		h.ServeHTTP(w, r)
	})
	address := serveTLS(t, opened(t, p, time.Now, quiet()), noted)
	url := "https://" + address
	both := tlstest.Client(t, p.cert)
	old := tlstest.Client(t, p.cert)
	old.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	for want, via := range map[string]*http.Client{"HTTP/2.0": both, "HTTP/1.1": old} {
		resp, err := via.Do(request(t, "POST", url, operation("{who}"), "Content-Type", plain))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if got := resp.Header.Get("X-Protocol"); err != nil || got != want || string(text) != `{"data":{"who":"nobody"}}` {
			t.Errorf("%s, want %s: %s %v", got, want, text, err)
		}

		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		resp, err = via.Do(request(t, "POST", url, operation("subscription{events}"), "Content-Type", plain, "Accept", events).WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		f.events <- "1"
		found := bufio.NewScanner(resp.Body)
		for found.Scan() && !strings.Contains(found.Text(), `"events":1`) {
		}
		if got := resp.Header.Get("X-Protocol"); got != want || !strings.Contains(found.Text(), `"events":1`) {
			t.Errorf("%s, want %s: the stream ends with %q, %v", got, want, found.Text(), found.Err())
		}
		_ = resp.Body.Close()
		wait(t, f.ended, "the subscription has not ended") // it would take the event of the next one

		c, resp, err := tryDial(t, via, url, protocol)
		if err != nil {
			t.Fatalf("%s: %v %v", want, resp, err)
		}
		c.init("")
		c.subscribe("1", "{who}")
		c.receives(`{"type":"next","id":"1","payload":{"data":{"who":"nobody"}}}`, `{"type":"complete","id":"1"}`)
	}
}

func TestOnlyTLSFrom12IsSpoken(t *testing.T) {
	t.Parallel()
	p := newPair(t, "test")
	address := serveTLS(t, opened(t, p, time.Now, quiet()), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a request got through")
	}))
	resp, err := http.Get("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest {
		t.Errorf("without TLS: %s", resp.Status)
	}
	for version, want := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		trust := tlstest.Trust(t, p.cert)
		trust.MinVersion, trust.MaxVersion = version, version
		conn, err := tls.Dial("tcp", address, trust)
		if (err == nil) != want {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}

// lines is a log that may be read while it is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestAChangedCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	var log lines
	var seconds atomic.Int64
	begin := time.Now()
	later := func() { seconds.Add(1) }
	p := newPair(t, "first")
	c := opened(t, p, func() time.Time { return begin.Add(time.Duration(seconds.Load()) * time.Second) }, slog.New(slog.NewTextHandler(&log, nil)))
	address := serveTLS(t, c, http.NotFoundHandler())
	shown := func() string {
		t.Helper()
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}) // it is read, not trusted
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	check := func(when, want string, errors int) {
		t.Helper()
		if got := shown(); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
		if got := strings.Count(log.String(), "level=ERROR"); got != errors {
			t.Errorf("%s: %d errors, want %d: %s", when, got, errors, &log)
		}
	}
	expires := begin.Add(48 * time.Hour)
	check("at first", "first", 0)
	tlstest.Write(t, p.cert, p.key, "second", expires)
	check("within a second", "first", 0)
	later()
	check("after it", "second", 0)
	if got := c.NotAfter(); got.Sub(expires).Abs() > time.Second {
		t.Errorf("expires %s", got)
	}

	whole, err := os.ReadFile(p.cert)
	if err != nil {
		t.Fatal(err)
	}
	tlstest.Write(t, p.cert, filepath.Join(t.TempDir(), "key.pem"), "without its key", expires)
	for range 3 {
		later()
		check("with half a pair", "second", 1)
	}
	if err := os.Remove(p.cert); err != nil {
		t.Fatal(err)
	}
	later()
	check("without a file", "second", 1)
	if err := os.WriteFile(p.cert, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	later()
	check("mended", "second", 1)
	tlstest.Write(t, p.cert, filepath.Join(t.TempDir(), "key.pem"), "without its key", expires)
	later()
	check("broken again", "second", 2)

	// As Kubernetes changes a secret: by a link, to a file that may be as old.
	other := newPair(t, "fourth")
	tlstest.Write(t, p.cert, p.key, "third", expires)
	for _, file := range []string{p.cert, p.key, other.cert, other.key} {
		if err := os.Chtimes(file, begin, begin); err != nil {
			t.Fatal(err)
		}
	}
	later()
	check("as old as the next", "third", 2)
	for _, f := range []pair{{other.cert, p.cert}, {other.key, p.key}} {
		if err := errors.Join(os.Remove(f.key), os.Symlink(f.cert, f.key)); err != nil {
			t.Fatal(err)
		}
	}
	later()
	check("by a link", "fourth", 2)
}

func TestACertificateThatCannotBeReadIsNamed(t *testing.T) {
	t.Parallel()
	p, other := newPair(t, "test"), newPair(t, "other")
	for name, test := range map[string]struct {
		pair pair
		says string
	}{
		"no certificate":    {pair{p.cert + ".none", p.key}, "cert.pem.none"},
		"no key":            {pair{p.cert, p.key + ".none"}, "key.pem.none"},
		"another's key":     {pair{p.cert, other.key}, other.key},
		"exchanged":         {pair{p.key, p.cert}, p.key},
		"a folder as a key": {pair{p.cert, filepath.Dir(p.key)}, filepath.Dir(p.key)},
	} {
		_, err := web.OpenCertificate(test.pair.cert, test.pair.key, time.Now, quiet())
		if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "BEGIN") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAStalledHandshakeIsClosed(t *testing.T) {
	t.Parallel()
	p := newPair(t, "test")
	synctest.Test(t, func(t *testing.T) {
		l := &pipes{accepted: make(chan net.Conn), closed: make(chan struct{})}
		serveOn(t, opened(t, p, time.Now, quiet()).Listen(l), http.NotFoundHandler())
		conn, begin := l.dial(), time.Now()
		defer func() { _ = conn.Close() }()
		if _, err := conn.Write([]byte{22, 3, 1}); err != nil { // the begin of a ClientHello
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, conn) // ends when the server closes
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("closed after %s", took)
		}
	})
}

// inTimeOverHTTP2 is inTime, where ask posts a subscription over HTTP/2.
func inTimeOverHTTP2(t *testing.T, test func(t *testing.T, f *feed, ask func(query string) *http.Response)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, "test") // good by the clock of the bubble
		trust := tlstest.Trust(t, p.cert)
		trust.ServerName, trust.NextProtos = "localhost", []string{"h2"}
		f, h := newFeed(web.StreamOptions{})
		l := &pipes{accepted: make(chan net.Conn), closed: make(chan struct{})}
		serveOn(t, opened(t, p, time.Now, quiet()).Listen(l), h)
		transport := &http.Transport{ForceAttemptHTTP2: true, DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn := tls.Client(l.dial(), trust)
			return conn, conn.HandshakeContext(ctx)
		}}
		defer transport.CloseIdleConnections()
		test(t, f, func(query string) *http.Response {
			resp, err := (&http.Client{Transport: transport}).Do(request(t, "POST", "https://localhost/", operation(query),
				"Content-Type", plain, "Accept", events, "Authorization", "Bearer ann"))
			if err != nil || resp.ProtoMajor != 2 {
				t.Fatalf("%v %v", resp, err)
			}
			return resp
		})
		f.gone(t)
	})
}

func TestAStreamOverHTTP2OutlivesTheTimeouts(t *testing.T) {
	t.Parallel()
	inTimeOverHTTP2(t, func(t *testing.T, f *feed, ask func(string) *http.Response) {
		begin := time.Now()
		f.expires = f.clock.Add(time.Hour)
		resp := ask("subscription{silent}")
		defer func() { _ = resp.Body.Close() }()
		if text, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(text), "TOKEN_EXPIRED") {
			t.Errorf("%q %v", text, err)
		}
		took(t, begin, time.Hour)
	})
}

func TestSlowReadersOverHTTP2AreDropped(t *testing.T) {
	t.Parallel()
	inTimeOverHTTP2(t, func(t *testing.T, f *feed, ask func(string) *http.Response) {
		begin := time.Now()
		resp := ask("subscription{flood}")
		wait(t, f.ended, "the subscription goes on although nobody reads")
		took(t, begin, 10*time.Second)
		_ = resp.Body.Close()
	})
}
