// Package tlstest creates certificates for tests, and clients that trust them.
package tlstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Write creates a self-signed certificate for 127.0.0.1 and localhost, and writes it and its key.
func Write(tb testing.TB, certFile, keyFile, name string, notAfter time.Time) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: notAfter.Add(-365 * 24 * time.Hour), NotAfter: notAfter,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range []struct {
		name, kind string
		der        []byte
	}{{certFile, "CERTIFICATE", der}, {keyFile, "PRIVATE KEY", private}} {
		if err := os.WriteFile(f.name, pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der}), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}

// Pair is a certificate and its key in files.
type Pair struct{ Cert, Key string }

// NewPair writes a pair, valid for an hour, to a temporary folder.
func NewPair(tb testing.TB, name string) Pair {
	tb.Helper()
	folder := tb.TempDir()
	p := Pair{filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")}
	Write(tb, p.Cert, p.Key, name, time.Now().Add(time.Hour))
	return p
}

// Trust returns a client configuration that trusts a certificate.
func Trust(tb testing.TB, certFile string) *tls.Config {
	tb.Helper()
	text, err := os.ReadFile(certFile)
	if err != nil {
		tb.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		tb.Fatalf("%s holds no certificate", certFile)
	}
	return &tls.Config{RootCAs: roots}
}

// Client returns an HTTP client that trusts a certificate and supports HTTP/1.1 and HTTP/2, like browsers.
func Client(tb testing.TB, certFile string) *http.Client {
	tb.Helper()
	transport := &http.Transport{TLSClientConfig: Trust(tb, certFile), ForceAttemptHTTP2: true}
	tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}
