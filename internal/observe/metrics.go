// Package observe owns the metrics of the server: their registry and the listener that a Prometheus
// server scrapes. It knows nothing of what they mean; who makes the parts says what to read of them.
// The values of labels are the program's own words, so that none carries a user, a token, an address or
// anything else that a caller sends.
package observe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// requestTimeout bounds a scrape in every direction.
	requestTimeout = 10 * time.Second
	maxHeader      = 8 << 10
	// maxScrapes is how many are answered at once.
	maxScrapes = 4
)

// Metrics is a registry; it begins with what Go and the operating system tell of the process. Names
// are those of Prometheus' conventions, each given once.
type Metrics struct{ registry *prometheus.Registry }

// New makes a registry.
func New() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Gauge adds a value that is read at each scrape.
func (m *Metrics) Gauge(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

// Counter adds a value that only grows, read at each scrape.
func (m *Metrics) Counter(name, help string, read func() int64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(read()) }))
}

// Counters adds a counter for each pair of values that its labels, first and second, get, and returns what
// counts one. The values must be constants of the program.
func (m *Metrics) Counters(name, help, first, second string) (count func(first, second string)) {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{first, second})
	m.registry.MustRegister(c)
	return func(first, second string) { c.WithLabelValues(first, second).Inc() }
}

// Durations adds a histogram in seconds, with the upper bounds of its buckets, and returns what counts
// a duration.
func (m *Metrics) Durations(name, help string, bounds ...float64) (observe func(time.Duration)) {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: bounds})
	m.registry.MustRegister(h)
	return func(d time.Duration) { h.Observe(d.Seconds()) }
}

// Serve answers scrapes of /metrics on l until ctx ends, on a listener of their own because what they
// tell is not for everybody.
func (m *Metrics) Serve(ctx context.Context, l net.Listener, log *slog.Logger) error {
	errorLog := slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorLog: errorLog, MaxRequestsInFlight: maxScrapes}))
	server := &http.Server{Handler: mux, ErrorLog: errorLog, MaxHeaderBytes: maxHeader,
		ReadTimeout: requestTimeout, WriteTimeout: requestTimeout, IdleTimeout: 3 * requestTimeout}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })() // a scrape is not worth waiting for
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}
