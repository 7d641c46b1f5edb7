package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/memory"
)

// Bound returns a listener that closes connections for which there is no memory, with an answer if they are not to speak
// TLS. Of connections from trusted proxies any number may come from one address.
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

// unavailable is the answer to any request where there is no memory to read it.
func unavailable(err error) string {
	return fmt.Sprintf(`{"errors":[{"message":%q,"extensions":{"code":"UNAVAILABLE","reason":"OVERLOADED","retryAfter":1}}]}`, fault.Of(err).Message)
}

// turnAway answers whatever is asked on conn. What was sent already stays unread, so the answer can be lost.
func turnAway(conn net.Conn, body string) {
	_ = conn.SetWriteDeadline(time.Now().Add(time.Second)) // it fits the empty buffer of a new connection
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/graphql-response+json; charset=utf-8\r\n"+
		"Cache-Control: no-store\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

type boundConn struct {
	net.Conn
	listener *boundListener

	mu     sync.Mutex
	claims []*memory.Claim
	closed bool
}

// multiplex claims what many requests at once take, of which each has its own header and goroutine, and reports whether it
// fits. A connection of another listener is not bounded.
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

// Close gives the memory back.
func (c *boundConn) Close() error {
	c.mu.Lock()
	for _, claim := range c.claims {
		claim.Release()
	}
	c.claims, c.closed = nil, true
	c.mu.Unlock()
	return c.Conn.Close()
}

// CloseInACrowd has connections closed after one answer while there is little memory left for new ones.
func CloseInACrowd(budget *memory.Budget, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if budget.Crowded() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}
