package app

import (
	"context"
	"fmt"
	"net"

	"github.com/graphwarden/graphwarden/internal/observe"
)

// registerMetrics registers the metrics of all services but those that a constructor took.
func (a *App) registerMetrics() {
	m := a.Metrics
	m.Gauge("graphwarden_revocation_view_age_seconds",
		"Time since revocations were last read. Beyond 1 s a request reads them first; "+
			"if that fails, guarded fields are refused beyond 5 s.",
		func() float64 { return a.View.Age().Seconds() })
	m.Counter("graphwarden_revocation_read_failures_total",
		"How often reading revocations has failed. Requests and a poll every second try again.", a.View.Failures)
	m.Gauge("graphwarden_clock_skew_seconds",
		"How far this machine's clock is ahead of the database's; beyond --clock-skew tokens are refused.",
		func() float64 { return a.View.Skew().Seconds() })
	m.Gauge("graphwarden_revocation_view_subjects",
		"Sessions and users with a live revocation, held in memory.", func() float64 { return float64(a.View.Size()) })
	if a.Users != nil {
		m.Gauge("graphwarden_user_view_users", "Users held in memory.", func() float64 { return float64(a.Users.Size()) })
		m.Counter("graphwarden_user_view_hits_total", "Users that were served from memory.", a.Users.Hits)
		m.Counter("graphwarden_user_view_misses_total", "Users that were read from the database.", a.Users.Misses)
	}
	m.Counter("graphwarden_refresh_replays_total",
		"Refresh tokens that were answered again inside the grace.", a.Sessions.Replayed)
	m.Counter("graphwarden_throttle_refusals_total",
		"Attempts that were refused because there had been too many.", a.Throttle.Refused)
	m.Gauge("graphwarden_mail_queued", "Mails that wait to be sent.", func() float64 { return float64(a.Mail.Queued()) })
	m.Gauge("graphwarden_mail_oldest_seconds",
		"How long the oldest mail has been waiting.", func() float64 { return a.Mail.Oldest().Seconds() })
	m.Gauge("graphwarden_password_work",
		"Password hashes under way or waiting for their turn.", func() float64 { return float64(a.Hasher.Pending()) })
	m.Counter("graphwarden_password_refusals_total",
		"Sign-ins that were refused because too many were waiting.", a.Hasher.Refused)
	m.Gauge("graphwarden_memory_claimed_bytes",
		"Memory that connections, requests and streams have claimed; --memory-limit bounds it.",
		func() float64 { return float64(a.Memory.Claimed()) })
	m.Counter("graphwarden_memory_refusals_total",
		"Connections, requests and streams that were refused because there was no memory for them.", a.Memory.Refused)
	m.Gauge("graphwarden_streams", "Open WebSockets and event streams.",
		func() float64 { return float64(a.streams.Open()) })
	m.Gauge("graphwarden_database_connections_used",
		"Connections to the database that are in use.", func() float64 { return float64(a.DB.Stats().InUse) })
	m.Counter("graphwarden_database_statements_total", "Statements run on the database.", a.DB.Statements)
	m.Counter("graphwarden_database_waits_total",
		"How often a connection to the database had to be waited for.", func() int64 { return a.DB.Stats().WaitCount })
}

// streamsEnded counts ended streams.
func streamsEnded(m *observe.Metrics) func(code, reason string) {
	return m.Counters("graphwarden_streams_ended_total",
		"WebSockets and event streams that have ended, by the code that a WebSocket is closed with and the reason "+
			"of the error in it.", "code", "reason")
}

// serveMetrics serves the metrics on --metrics-listen, if it is set, until stop, which waits for the end.
func (a *App) serveMetrics(ctx context.Context) (stop func(), err error) {
	if a.Config.MetricsListen == "" {
		return func() {}, nil
	}
	l, err := new(net.ListenConfig).Listen(context.WithoutCancel(ctx), "tcp", a.Config.MetricsListen)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w; choose another address with --metrics-listen",
			a.Config.MetricsListen, err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := a.Metrics.Serve(ctx, l, a.log); err != nil {
			a.log.Error("metrics are not served any more", "error", err)
		}
	}()
	return func() {
		cancel()
		<-served
	}, nil
}
