package web_test

import (
	"bytes"
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
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

func opened(tb testing.TB, p tlstest.Pair, now func() time.Time, log *slog.Logger) *web.Certificate {
	tb.Helper()
	c, err := web.OpenCertificate(p.Cert, p.Key, now, log)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// serveTLS serves h with a certificate and returns the server's address.
func serveTLS(tb testing.TB, c *web.Certificate, h http.Handler) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	webtest.Serve(tb, c.Listen(l), h)
	return l.Addr().String()
}

func TestTLSRequiresVersion12(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPair(t, "test")
	address := serveTLS(t, opened(t, p, time.Now, quiet()), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("a request reached the handler")
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
		trust := tlstest.Trust(t, p.Cert)
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

// lines is a log that can be read while it is written.
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
	p := tlstest.NewPair(t, "first")
	c := opened(t, p, func() time.Time { return begin.Add(time.Duration(seconds.Load()) * time.Second) },
		slog.New(slog.NewTextHandler(&log, nil)))
	address := serveTLS(t, c, http.NotFoundHandler())
	shown := func() string {
		t.Helper()
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}) // the certificate is only read
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
	tlstest.Write(t, p.Cert, p.Key, "second", expires)
	check("within a second", "first", 0)
	later()
	check("after it", "second", 0)
	if got := c.NotAfter(); got.Sub(expires).Abs() > time.Second {
		t.Errorf("expires %s", got)
	}

	whole, err := os.ReadFile(p.Cert)
	if err != nil {
		t.Fatal(err)
	}
	tlstest.Write(t, p.Cert, filepath.Join(t.TempDir(), "key.pem"), "without its key", expires)
	for range 3 {
		later()
		check("with half a pair", "second", 1)
	}
	if err := os.Remove(p.Cert); err != nil {
		t.Fatal(err)
	}
	later()
	check("without a file", "second", 1)
	if err := os.WriteFile(p.Cert, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	later()
	check("repaired", "second", 1)
	tlstest.Write(t, p.Cert, filepath.Join(t.TempDir(), "key.pem"), "without its key", expires)
	later()
	check("broken again", "second", 2)

	// Kubernetes changes a secret by a link, to a file that may have the same time.
	other := tlstest.NewPair(t, "fourth")
	tlstest.Write(t, p.Cert, p.Key, "third", expires)
	for _, file := range []string{p.Cert, p.Key, other.Cert, other.Key} {
		if err := os.Chtimes(file, begin, begin); err != nil {
			t.Fatal(err)
		}
	}
	later()
	check("with the same time", "third", 2)
	for link, target := range map[string]string{p.Cert: other.Cert, p.Key: other.Key} {
		if err := errors.Join(os.Remove(link), os.Symlink(target, link)); err != nil {
			t.Fatal(err)
		}
	}
	later()
	check("by a link", "fourth", 2)
}

func TestCertificateErrorsNameTheFile(t *testing.T) {
	t.Parallel()
	p, other := tlstest.NewPair(t, "test"), tlstest.NewPair(t, "other")
	for name, test := range map[string]struct {
		cert, key string
		says      string
	}{
		"no certificate":    {p.Cert + ".none", p.Key, "cert.pem.none"},
		"no key":            {p.Cert, p.Key + ".none", "key.pem.none"},
		"another key":       {p.Cert, other.Key, other.Key},
		"exchanged":         {p.Key, p.Cert, p.Key},
		"a folder as a key": {p.Cert, filepath.Dir(p.Key), filepath.Dir(p.Key)},
	} {
		_, err := web.OpenCertificate(test.cert, test.key, time.Now, quiet())
		if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "BEGIN") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAStalledHandshakeIsClosed(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPair(t, "test")
	synctest.Test(t, func(t *testing.T) {
		l := webtest.NewListener()
		webtest.Serve(t, opened(t, p, time.Now, quiet()).Listen(l), http.NotFoundHandler())
		conn, begin := l.Dial(), time.Now()
		defer func() { _ = conn.Close() }()
		if _, err := conn.Write([]byte{22, 3, 1}); err != nil { // the start of a ClientHello
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, conn) // ends when the server closes the connection
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("closed after %s", took)
		}
	})
}
