package web

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

// certificateEvery is the minimum time between two checks of a certificate's files.
const certificateEvery = time.Second

// Certificate is a certificate with its key in two PEM files. It is loaded again when they change, so that renewal
// needs no restart. A pair that does not match, for example between the writes of the two files, leaves the old pair in
// use and is logged once.
type Certificate struct {
	certFile, keyFile string
	now               func() time.Time
	log               *slog.Logger

	mu      sync.Mutex
	pair    *tls.Certificate
	read    [2]os.FileInfo // of the files as they were when pair was read
	looked  time.Time
	failing bool
}

// OpenCertificate loads the files. Its errors name them but never quote their content.
func OpenCertificate(certFile, keyFile string, now func() time.Time, log *slog.Logger) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, now: now, log: log, looked: now()}
	if err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

// NotAfter returns when the certificate expires.
func (c *Certificate) NotAfter() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pair.Leaf.NotAfter
}

// Listen returns a listener that accepts only TLS on l. It offers HTTP/2 for requests and HTTP/1.1 for WebSockets. If l
// is bound and has no memory for the concurrent requests of an HTTP/2 connection, it offers HTTP/1.1 only.
func (c *Certificate) Listen(l net.Listener) net.Listener {
	single := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current(), nil },
	}
	both := single.Clone()
	both.NextProtos = []string{"h2", "http/1.1"}
	both.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(hello.SupportedProtos, "h2") && !multiplex(hello.Conn) {
			return single, nil
		}
		return nil, nil // both
	}
	return tls.NewListener(l, both)
}

func (c *Certificate) current() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.looked) >= certificateEvery {
		c.looked = now
		if err := c.load(); err != nil && !c.failing {
			c.failing = true
			c.log.Error("the TLS certificate changed and cannot be used; the old one stays", "error", err)
		}
	}
	return c.pair
}

// Reload loads the files even if they look unchanged. After an error the old pair stays in use.
func (c *Certificate) Reload() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = [2]os.FileInfo{}
	return c.load()
}

// load reads the files unless they are unchanged. It stats them before reading, so that the next check notices a
// concurrent change.
func (c *Certificate) load() error {
	var found [2]os.FileInfo
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		found[i] = info
	}
	if c.pair != nil && unchanged(found[0], c.read[0]) && unchanged(found[1], c.read[1]) {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("%s and %s: %w", c.certFile, c.keyFile, err)
	}
	if c.pair != nil {
		c.log.Info("the TLS certificate was read again", "expires", pair.Leaf.NotAfter)
	}
	c.pair, c.read, c.failing = &pair, found, false
	return nil
}

// unchanged compares the files as well as their times: Kubernetes updates a mounted secret by a link to another file,
// which may have the same time.
func unchanged(a, b os.FileInfo) bool {
	return b != nil && a.ModTime().Equal(b.ModTime()) && os.SameFile(a, b)
}
