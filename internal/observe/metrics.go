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
	// requestTimeout bounds both reading a request and writing the response.
	requestTimeout = 10 * time.Second
	maxHeader      = 8 << 10
	// maxScrapes is the maximum number of concurrent scrapes.
	maxScrapes = 4
)

// Metrics is a registry. Its methods panic if a name is registered twice.
type Metrics struct{ registry *prometheus.Registry }

// New returns a registry with the metrics of the Go runtime and the process.
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
	options := prometheus.CounterOpts{Name: name, Help: help}
	m.registry.MustRegister(prometheus.NewCounterFunc(options, func() float64 { return float64(read()) }))
}

// Counters adds a counter with two labels, and returns a function that increments it for one pair of values. The values
// must be constants of the program.
func (m *Metrics) Counters(name, help, first, second string) (count func(first, second string)) {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{first, second})
	m.registry.MustRegister(c)
	return func(first, second string) { c.WithLabelValues(first, second).Inc() }
}

// Durations adds a histogram in seconds with the upper bounds of its buckets, and returns a function that records a
// duration.
func (m *Metrics) Durations(name, help string, bounds ...float64) (observe func(time.Duration)) {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: bounds})
	m.registry.MustRegister(h)
	return func(d time.Duration) { h.Observe(d.Seconds()) }
}

// Serve serves /metrics on l until ctx ends. Metrics are not public, so they have their own listener.
func (m *Metrics) Serve(ctx context.Context, l net.Listener, log *slog.Logger) error {
	errorLog := slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	mux := http.NewServeMux()
	options := promhttp.HandlerOpts{ErrorLog: errorLog, MaxRequestsInFlight: maxScrapes}
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, options))
	server := &http.Server{
		Handler:        mux,
		ErrorLog:       errorLog,
		MaxHeaderBytes: maxHeader,
		ReadTimeout:    requestTimeout,
		WriteTimeout:   requestTimeout,
		IdleTimeout:    3 * requestTimeout,
	}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })() // Close, because a scrape is not worth waiting for
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}
