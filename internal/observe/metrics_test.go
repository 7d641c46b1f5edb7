package observe_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/graphwarden/graphwarden/internal/observe"
)

func TestScrape(t *testing.T) {
	t.Parallel()
	m := observe.New()
	m.Gauge("open", "Doors that are open.", func() float64 { return 2.5 })
	m.Counter("opened_total", "How often a door was opened.", func() int64 { return 7 })
	ended := m.Counters("closed_total", "How often a door was closed.", "code", "reason")
	ended("1000", "")
	ended("4403", "LATE")
	ended("4403", "LATE")
	observe := m.Durations("opening_seconds", "How long opening took.", 0.1, 1)
	observe(50 * time.Millisecond)
	observe(500 * time.Millisecond)
	observe(5 * time.Second)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- m.Serve(ctx, l, slog.New(slog.DiscardHandler)) }()
	url := "http://" + l.Addr().String()
	status, body := get(t, url+"/metrics")
	if status != 200 {
		t.Errorf("%d %s", status, body)
	}
	for _, line := range []string{
		"# HELP open Doors that are open.", "# TYPE open gauge", "open 2.5",
		"# TYPE opened_total counter", "opened_total 7",
		"# TYPE closed_total counter", `closed_total{code="1000",reason=""} 1`, `closed_total{code="4403",reason="LATE"} 2`,
		"# TYPE opening_seconds histogram",
		`opening_seconds_bucket{le="0.1"} 1`, `opening_seconds_bucket{le="1"} 2`, `opening_seconds_bucket{le="+Inf"} 3`,
		"opening_seconds_sum 5.55",
		"# TYPE go_goroutines gauge",
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("%q is missing from:\n%s", line, body)
		}
	}
	if status, _ := get(t, url+"/"); status != 404 {
		t.Errorf("/: %d", status)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("the listener is still open")
	}
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestServeReturnsTheListenersError(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if err := observe.New().Serve(t.Context(), l, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("no error for a closed listener")
	}
}
