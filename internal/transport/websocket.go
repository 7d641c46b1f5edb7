package transport

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/web"
)

// subprotocol is the only supported one. gqlgen's own transport cannot refuse its predecessor graphql-ws, which has no
// close codes that tell a client whether to reconnect.
const subprotocol = "graphql-transport-ws"

// WebSocket is the transport for operations over graphql-transport-ws. A client authenticates by connection_init or by
// the Authorization header of the upgrade, and never by a cookie: browsers let pages open WebSockets to other sites and
// send cookies along.
//
// gqlgen's own transport answers most violations with other close codes than the protocol's, sends complete after
// error, and bounds neither operations nor writes.
type WebSocket struct {
	Streams *Streams
	// Origin reports whether the page of a request may connect. Browsers let every page open a WebSocket without a
	// preflight. It is not called without an Origin header, because browsers always send one.
	Origin func(*http.Request) bool
}

var _ graphql.Transport = WebSocket{}

// Supports accepts upgrades to WebSocket.
func (WebSocket) Supports(r *http.Request) bool { return isUpgrade(r) }

func isUpgrade(r *http.Request) bool {
	return slices.ContainsFunc(r.Header.Values("Upgrade"), func(v string) bool {
		return strings.Contains(strings.ToLower(v), "websocket")
	})
}

// Do serves one connection until it ends.
func (t WebSocket) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	if origins := r.Header.Values("Origin"); len(origins) > 1 || len(origins) == 1 && !t.Origin(r) {
		a := answer{w: w, exec: exec, media: mediaJSON, maxErrors: 1}
		a.prepare()
		a.refuse(r.Context(), &refusal{status: http.StatusForbidden,
			fault: fault.New(fault.Forbidden, fault.OriginNotAllowed, "pages of this origin may not open a WebSocket")})
		return
	}
	h := &hijacker{ResponseWriter: w}
	conn, err := websocket.Accept(h, r, &websocket.AcceptOptions{
		Subprotocols:       []string{subprotocol},
		InsecureSkipVerify: true, // the origin was checked above
	})
	if err != nil {
		return // Accept has answered
	}
	conn.SetReadLimit(t.Streams.o.MaxBody)
	// A cookie authenticates requests only. The answer to this one has been sent, so no cookie can be set either.
	ctx, cancel := context.WithCancel(web.WithoutCookies(r.Context()))
	defer cancel()
	state, why := t.Streams.open(ctx, func() { _ = h.conn.Close() })
	defer t.Streams.close(state)
	if why == nil && conn.Subprotocol() == "" {
		why = &ending{code: 4406, reason: "Subprotocol not acceptable"}
	}
	if why != nil {
		state.end(why)
	}
	s := &socket{
		streams:    t.Streams,
		state:      state,
		exec:       exec,
		conn:       conn,
		net:        h.conn,
		header:     r.Header,
		ctx:        ctx,
		cancel:     cancel,
		owner:      t.Streams.owner(state),
		operations: make(map[string]*operation),
		idle:       make(chan struct{}),
	}
	s.serve()
}

// hijacker keeps the connection that it hands over. The package websocket offers no deadline for a closing handshake,
// in which a peer that sends half a frame would hold a goroutine forever.
type hijacker struct {
	http.ResponseWriter
	conn net.Conn
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("hijack: %w", err)
	}
	h.conn = conn
	return conn, rw, nil
}
