package web

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/memory"
)

// Bound returns a listener that closes connections that do not fit the memory budget. Without TLS it answers them
// first. Connections from trusted proxies do not count against their address.
func Bound(l net.Listener, budget *memory.Budget, proxies *Proxies, tls bool) net.Listener {
	return &boundListener{l, budget, proxies, tls}
}

type boundListener struct {
	net.Listener
	budget  *memory.Budget
	proxies *Proxies
	tls     bool
}

// Accept returns the next connection that fits.
func (l *boundListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		claim, err := l.budget.Connection(l.owner(conn), l.tls)
		if err == nil {
			return &boundConn{Conn: conn, listener: l, claims: []*memory.Claim{claim}}, nil
		}
		if !l.tls {
			turnAway(conn, unavailable(err))
		}
		_ = conn.Close()
	}
}

func (l *boundListener) owner(conn net.Conn) string {
	peer, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil || l.proxies.trusts(peer.Addr().Unmap().WithZone("")) {
		return ""
	}
	return Network(peer.Addr().Unmap().WithZone("").String())
}

// unavailable returns the answer to a connection that does not fit into memory, as a GraphQL client reads it.
func unavailable(err error) string {
	const extensions = `{"code":"UNAVAILABLE","reason":"OVERLOADED","retryAfter":1}`
	return fmt.Sprintf(`{"errors":[{"message":%q,"extensions":%s}]}`, fault.Of(err).Message, extensions)
}

// turnAway answers a connection without reading from it. Because received bytes stay unread, the answer can be lost.
func turnAway(conn net.Conn, body string) {
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second)) // it fits the empty buffer of a new connection
	head := []string{
		"HTTP/1.1 503 Service Unavailable",
		"Content-Type: application/graphql-response+json; charset=utf-8",
		"Cache-Control: no-store",
		"Retry-After: 1",
		"Connection: close",
		fmt.Sprintf("Content-Length: %d", len(body)),
	}
	_, _ = io.WriteString(conn, strings.Join(head, "\r\n")+"\r\n\r\n"+body)
}

type boundConn struct {
	net.Conn
	listener *boundListener

	mu     sync.Mutex
	claims []*memory.Claim
	closed bool
}

// multiplex claims the memory for concurrent requests on one connection, each with its own header and goroutine, and
// reports whether it fits. Connections of other listeners are not bounded.
func multiplex(conn net.Conn) bool {
	c, bound := conn.(*boundConn)
	if !bound {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	claim, err := c.listener.budget.Multiplexed(c.listener.owner(conn))
	if err != nil || c.closed {
		claim.Release()
		return false
	}
	c.claims = append(c.claims, claim)
	return true
}

// Close closes the connection and releases its memory.
func (c *boundConn) Close() error {
	c.mu.Lock()
	for _, claim := range c.claims {
		claim.Release()
	}
	c.claims, c.closed = nil, true
	c.mu.Unlock()
	return c.Conn.Close()
}

// CloseInACrowd closes connections after one answer while little memory is left for new ones.
func CloseInACrowd(budget *memory.Budget, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if budget.Crowded() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
