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

// net/http has no time-outs of its own: whoever stalls would hold a connection for ever.
const (
	headerTimeout = 5 * time.Second
	// requestTimeout counts to the end of the body; net/http lifts it there, so streams live on.
	requestTimeout = 20 * time.Second
	idleTimeout    = 30 * time.Second
	maxHeader      = 32 << 10
	// maxUnread bounds what is buffered of the bodies on an HTTP/2 connection that no handler reads; net/http's own
	// bound is 1 MiB. It is the least that the protocol allows.
	maxUnread = 64 << 10
)

// Serve answers connections of l with h until ctx ends, and stops within drain from then on. It calls
// notReady and waits for it, so a caller that wants load balancers to notice first lets notReady take
// that long; requests go on being answered meanwhile. After that no connection is accepted, and requests
// under way have the rest of the time, which the context of notReady shares; if one takes longer, it is cut
// off and the error wraps context.DeadlineExceeded.
//
// Hijacked connections, such as WebSockets, are not waited for: whoever hijacked them ends them.
// Streams over HTTP are requests under way, which notReady should end.
func Serve(ctx context.Context, l net.Listener, h http.Handler, drain time.Duration, notReady func(context.Context), log *slog.Logger) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		HTTP2:             &http.HTTP2Config{MaxReceiveBufferPerConnection: maxUnread, MaxReceiveBufferPerStream: maxUnread},
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}

	// Not ctx, which has ended: requests and their drain outlive it.
	drained, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	notReady(drained)
	err := server.Shutdown(drained)
	if err != nil {
		err = fmt.Errorf("requests were cut off that took longer than %s from the stop: %w", drain, errors.Join(err, server.Close()))
	}
	<-served
	return err
}
