package web_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/graphwarden/graphwarden/internal/web"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// TestStopAnswersRequestsInProgress stops two servers with one context, like those of the API and the metrics.
func TestStopAnswersRequestsInProgress(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for _, name := range []string{"api", "metrics"} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		endpoint := "http://" + listener.Addr().String()
		health := web.NewHealth(func(context.Context) error { return nil })
		started, release := make(chan struct{}), make(chan struct{})
		mux := http.NewServeMux()
		mux.HandleFunc("/readyz", health.Ready)
		mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
			close(started)
			<-release
			if r.Context().Err() != nil {
				t.Errorf("%s: a request in progress was canceled", name)
			}
			_, _ = io.WriteString(w, "done")
		})
		readiness := func() int {
			resp, err := http.Get(endpoint + "/readyz")
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return 0
			}
			_ = resp.Body.Close()
			return resp.StatusCode
		}
		o := webtest.Options(time.Minute)
		o.Stopping = func() {
			health.Stop()
			// The listener must still answer here, so that load balancers notice.
			if status := readiness(); status != 503 {
				t.Errorf("%s: ready %d while stopping", name, status)
			}
			close(release)
		}
		stopped := make(chan error, 1)
		go func() { stopped <- web.Serve(ctx, listener, mux, o, quiet()) }()
		if status := readiness(); status != 200 {
			t.Errorf("%s: ready %d before", name, status)
		}
		answered := make(chan string, 1)
		go func() {
			resp, err := http.Get(endpoint + "/slow")
			if err != nil {
				answered <- err.Error()
				return
			}
			defer func() { _ = resp.Body.Close() }()
			text, _ := io.ReadAll(resp.Body)
			answered <- string(text)
		}()
		<-started
		t.Cleanup(func() {
			stop()
			if got := <-answered; got != "done" {
				t.Errorf("%s: the request in progress got %q", name, got)
			}
			if err := <-stopped; err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if c, err := net.Dial("tcp", listener.Addr().String()); err == nil {
				_ = c.Close()
				t.Errorf("%s: still accepts connections", name)
			}
		})
	}
}

func TestServeReportsALostListener(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	o := webtest.Options(time.Second)
	o.Stopping = func() { t.Error("called") }
	err = web.Serve(t.Context(), listener, http.NotFoundHandler(), o, quiet())
	if !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
}

func TestHeaderSizeIsBounded(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() {
		stopped <- web.Serve(ctx, listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
		}), webtest.Options(time.Second), quiet())
	}()
	for size, want := range map[int]int{16 << 10: 204, 64 << 10: 431} {
		r := webtest.Request(t, "GET", "http://"+listener.Addr().String(), "", "X-Long", strings.Repeat("a", size))
		r.Close = true
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%d bytes: %d, want %d", size, resp.StatusCode, want)
		}
	}
	stop()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestStalledConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	const head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	const query = head + "Content-Length: 20\r\n\r\n" + `{"query":"{health}"}`
	for name, c := range map[string]struct {
		sent     string
		answered string
		within   time.Duration
	}{
		"nothing sent":       {"", "", 5 * time.Second},
		"header unfinished":  {head, "", 5 * time.Second},
		"body unfinished":    {head + "Content-Length: 20\r\n\r\n{", "HTTP/1.1 400", 20 * time.Second},
		"idle after a query": {query, "HTTP/1.1 200", 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				conn, begin := webtest.ServeInMemory(t, api)(), time.Now()
				defer func() { _ = conn.Close() }()
				if _, err := io.WriteString(conn, c.sent); err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(conn) // ends when the server closes the connection
				if err != nil || !strings.HasPrefix(string(got), c.answered) || c.answered == "" && len(got) > 0 {
					t.Errorf("%q %v", got, err)
				}
				// net/http gives a refused client up to a second to read before it closes the connection.
				if took := time.Since(begin); took < c.within || took > c.within+time.Second {
					t.Errorf("closed after %v, want %v", took, c.within)
				}
			})
		})
	}
}

func TestAStreamOutlivesTheReadTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := webtest.ServeInMemory(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			select {
			case <-r.Context().Done():
			case <-time.After(time.Hour):
				_, _ = io.WriteString(w, "last event")
			}
		}))()
		defer func() { _ = conn.Close() }()
		r := httptest.NewRequest("POST", "http://x/", strings.NewReader("{}"))
		r.Header.Set("Connection", "close")
		if err := r.Write(conn); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); err != nil || !strings.HasSuffix(string(got), "last event") {
			t.Errorf("%q %v", got, err)
		}
	})
}

// Connections that the kernel has established wait in a queue until they are accepted. Closing the listener resets
// them, and their clients cannot tell whether a mutation ran.
func TestConnectionsEstablishedAtTheStopAreServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &gated{webtest.NewListener(), make(chan struct{})}
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan error, 1)
		o := webtest.Options(10 * time.Second)
		o.StopDelay = time.Second
		o.Stopping = func() { close(l.open) }
		begin := time.Now()
		answer := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "done") })
		go func() { stopped <- web.Serve(ctx, l, answer, o, quiet()) }()
		answers := make(chan string)
		for range 60 {
			go func() {
				conn := l.Dial()
				defer func() { _ = conn.Close() }()
				_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
				text, _ := io.ReadAll(conn) // ends when the server closes the connection
				answers <- string(text)
			}()
		}
		synctest.Wait()
		stop()
		for range 60 {
			if got := <-answers; !strings.HasPrefix(got, "HTTP/1.1 200") || !strings.HasSuffix(got, "done") ||
				!strings.Contains(got, "Connection: close") {
				t.Errorf("%q", got)
			}
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took != o.StopDelay {
			t.Errorf("stopped after %v", took)
		}
	})
}

// gated is a listener that accepts connections once open is closed.
type gated struct {
	*webtest.Listener
	open chan struct{}
}

func (l *gated) Accept() (net.Conn, error) {
	<-l.open
	return l.Listener.Accept()
}

func TestRequestsAreCutOffAfterTheDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := webtest.NewListener()
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan error, 1)
		endless := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		o := webtest.Options(10 * time.Second)
		o.EndStreams = func(context.Context) { time.Sleep(4 * time.Second) } // concurrently with the requests
		go func() { stopped <- web.Serve(ctx, l, endless, o, quiet()) }()
		conn := l.Dial()
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		begin := time.Now()
		stop()
		if err := <-stopped; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("after %v", took)
		}
		if _, err := io.ReadAll(conn); err != nil {
			t.Error(err)
		}
	})
}
