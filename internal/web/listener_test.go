package web_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/memory"
	"github.com/graphwarden/graphwarden/internal/web"
	"github.com/graphwarden/graphwarden/internal/web/tlstest"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

func TestConnectionsShareMemory(t *testing.T) {
	t.Parallel()
	const unavailable = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/graphql-response+json; " +
		"charset=utf-8\r\nCache-Control: no-store\r\nRetry-After: 1\r\n"
	for _, c := range []struct {
		name    string
		proxies *web.Proxies
		tls     bool
		fit     int
		answer  string
	}{
		{"of one address", proxies(t), false, 6, unavailable},
		{"of a trusted proxy", proxies(t, "127.0.0.1"), false, 8, unavailable},
		{"with TLS", proxies(t, "127.0.0.1"), true, 2, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			bound := web.Bound(l, memory.NewBudget(1<<20), c.proxies, c.tls) // 8 connections
			accepted := make(chan net.Conn, 100)
			go func() {
				for {
					conn, err := bound.Accept()
					if err != nil {
						return
					}
					accepted <- conn
				}
			}()
			t.Cleanup(func() { _ = bound.Close() })
			endpoint := "http://" + l.Addr().String()
			var open []net.Conn
			for range c.fit {
				webtest.Send(t, strings.TrimPrefix(endpoint, "http://"), "")
				open = append(open, webtest.Wait(t, accepted, "not accepted"))
			}
			conn := webtest.Send(t, strings.TrimPrefix(endpoint, "http://"), "")
			answer, _ := io.ReadAll(conn) // ends when the server closes the connection
			if !strings.HasPrefix(string(answer), c.answer) ||
				c.answer != "" && !strings.Contains(string(answer), `"code":"UNAVAILABLE"`) {
				t.Errorf("got %q", answer)
			}
			_ = open[0].Close()
			webtest.Send(t, strings.TrimPrefix(endpoint, "http://"), "")
			open[0] = webtest.Wait(t, accepted, "a closed connection is still counted")
			for _, conn := range open {
				_ = conn.Close()
			}
		})
	}
}

func TestHTTP2IsOfferedWhileThereIsMemory(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := tlstest.NewPair(t, "test")
	bound := web.Bound(l, memory.NewBudget(24<<20), proxies(t, "127.0.0.1"), true) // 3 connections with HTTP/2
	webtest.Serve(t, opened(t, p, time.Now, quiet()).Listen(bound), http.NotFoundHandler())
	protocol := func(client *http.Client) string {
		response, err := client.Get("https://" + l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		_, _ = io.Copy(io.Discard, response.Body)
		return response.Proto
	}
	first := tlstest.Client(t, p.Cert)
	for _, client := range []*http.Client{first, tlstest.Client(t, p.Cert), tlstest.Client(t, p.Cert)} {
		if got := protocol(client); got != "HTTP/2.0" {
			t.Errorf("got %s", got)
		}
	}
	if got := protocol(tlstest.Client(t, p.Cert)); got != "HTTP/1.1" {
		t.Errorf("without memory: %s", got)
	}
	first.CloseIdleConnections()
	webtest.Eventually(t, "the connection is released",
		func() bool { return protocol(tlstest.Client(t, p.Cert)) == "HTTP/2.0" })
}

func TestConnectionsAreClosedInACrowd(t *testing.T) {
	t.Parallel()
	budget := memory.NewBudget(1 << 20) // 8 connections
	h := web.CloseInACrowd(budget, http.NotFoundHandler())
	connection := func() string {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		return w.Header().Get("Connection")
	}
	for n := range 7 {
		if got := connection(); got != "" {
			t.Errorf("with %d connections: %q", n, got)
		}
		if _, err := budget.Connection("", false); err != nil {
			t.Fatal(err)
		}
	}
	if got := connection(); got != "close" {
		t.Errorf("with 7 connections: %q", got)
	}
}
