package transport_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graphwarden/graphwarden/internal/transport"
	"github.com/graphwarden/graphwarden/internal/web"
	"github.com/graphwarden/graphwarden/internal/web/tlstest"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

// encrypted returns a listener that speaks TLS on l.
func encrypted(tb testing.TB, l net.Listener, p tlstest.Pair) net.Listener {
	tb.Helper()
	certificate, err := web.OpenCertificate(p.Cert, p.Key, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		tb.Fatal(err)
	}
	return certificate.Listen(l)
}

func TestEveryTransportWorksOverTLS(t *testing.T) {
	t.Parallel()
	p := tlstest.NewPair(t, "test")
	f, h := newFeed(transport.StreamOptions{})
	recorded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Protocol", r.Proto)
		h.ServeHTTP(w, r)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	webtest.Serve(t, encrypted(t, l, p), recorded)
	url := "https://" + l.Addr().String()
	both := tlstest.Client(t, p.Cert)
	old := tlstest.Client(t, p.Cert)
	old.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	for want, via := range map[string]*http.Client{"HTTP/2.0": both, "HTTP/1.1": old} {
		resp, err := via.Do(webtest.Request(t, "POST", url, operation("{who}"), "Content-Type", plain))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if got := resp.Header.Get("X-Protocol"); err != nil || got != want || string(text) != `{"data":{"who":"anonymous"}}` {
			t.Errorf("%s, want %s: %s %v", got, want, text, err)
		}

		ctx, cancel := context.WithTimeout(t.Context(), webtest.Patience)
		defer cancel()
		resp, err = via.Do(webtest.Request(t, "POST", url, operation("subscription{events}"), "Content-Type", plain, "Accept",
			events).WithContext(ctx))
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
		webtest.Wait(t, f.ended, "the subscription does not end") // or it would receive the next event

		c, resp, err := tryDial(t, via, url, protocol)
		if err != nil {
			t.Fatalf("%s: %v %v", want, resp, err)
		}
		c.init("")
		c.subscribe("1", "{who}")
		c.receives(`{"type":"next","id":"1","payload":{"data":{"who":"anonymous"}}}`, `{"type":"complete","id":"1"}`)
	}
}

// inTimeOverHTTP2 is inTime over HTTP/2. ask posts a subscription.
func inTimeOverHTTP2(t *testing.T, test func(t *testing.T, f *feed, ask func(query string) *http.Response)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := tlstest.NewPair(t, "test") // valid by the clock of the bubble
		trust := tlstest.Trust(t, p.Cert)
		trust.ServerName, trust.NextProtos = "localhost", []string{"h2"}
		f, h := newFeed(transport.StreamOptions{})
		l := webtest.NewListener()
		webtest.Serve(t, encrypted(t, l, p), h)
		transport := &http.Transport{ForceAttemptHTTP2: true,
			DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				conn := tls.Client(l.Dial(), trust)
				return conn, conn.HandshakeContext(ctx)
			}}
		defer transport.CloseIdleConnections()
		test(t, f, func(query string) *http.Response {
			resp, err := (&http.Client{Transport: transport}).Do(webtest.Request(t, "POST", "https://localhost/",
				operation(query),
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
		webtest.Wait(t, f.ended, "the subscription continues without a reader")
		took(t, begin, 10*time.Second)
		_ = resp.Body.Close()
	})
}
