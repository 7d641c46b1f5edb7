package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// net/http has no time-outs by default: a client that stalls would hold its connection forever.
const (
	headerTimeout = 5 * time.Second
	// requestTimeout counts to the end of the body; net/http lifts it there, so streams live on.
	requestTimeout = 20 * time.Second
	maxHeader      = 16 << 10
	// maxStreams bounds requests at once on an HTTP/2 connection; net/http's own bound is 100.
	maxStreams = 32
	// maxUnread bounds the buffer for request bodies on an HTTP/2 connection that no handler has read yet. net/http's own
	// bound is 1 MiB. This is the minimum that the protocol allows.
	maxUnread = 64 << 10
)

// ServeOptions are how Serve keeps connections and how it stops.
type ServeOptions struct {
	// KeepAlive is how long an idle connection stays open.
	KeepAlive time.Duration
	// StopDelay is how long connections are still accepted after the stop began.
	StopDelay time.Duration
	// Drain is how long requests may take after that.
	Drain time.Duration
	// Stopping is called when the stop begins, to make readiness fail. It must not block.
	Stopping func()
	// EndStreams ends streams over HTTP and hijacked connections once no connection is accepted any more. Serve waits for
	// it; its context ends after Drain.
	EndStreams func(context.Context)
}

// Serve answers connections of l with h until ctx ends. Then it stops in three steps. For StopDelay it still accepts
// connections, so that those which were established but not accepted at that moment are not reset, and load balancers
// notice; each response closes its connection. Then it closes l and calls EndStreams. Requests under way have the rest
// of Drain; those that take longer are cut off, and the error wraps context.DeadlineExceeded.
//
// Hijacked connections, such as WebSockets, are left to EndStreams.
func Serve(ctx context.Context, l net.Listener, h http.Handler, o ServeOptions, log *slog.Logger) error {
	server := &http.Server{
		Handler:           closeAfter(ctx, h),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		IdleTimeout:       o.KeepAlive,
		MaxHeaderBytes:    maxHeader,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams,
			MaxReceiveBufferPerConnection: maxUnread, MaxReceiveBufferPerStream: maxUnread},
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}

	o.Stopping()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-time.After(o.StopDelay):
	}

	// Requests and their drain outlive ctx.
	drained, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.Drain)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- server.Shutdown(drained) }()
	o.EndStreams(drained)
	err := <-ended
	if err != nil {
		err = fmt.Errorf("requests were cut off that took longer than %s: %w", o.Drain, errors.Join(err, server.Close()))
	}
	<-served
	return err
}

// closeAfter makes each response close its connection once ctx has ended. Clients then open the next connection
// elsewhere, instead of sending a request on one that Shutdown closes.
func closeAfter(ctx context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ctx.Err() != nil {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
