package storetest

import (
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// Firewall forwards connections to a Postgres server until it forgets them. It then drops the data of those
// connections, without closing them, and keeps forwarding new ones.
type Firewall struct {
	// URL leads to the server through the firewall.
	URL string

	mu        sync.Mutex
	swallows  bool // new connections
	swallowed atomic.Int64
	forgotten chan struct{} // closed when the open connections are forgotten
	passing   sync.WaitGroup
}

// StartFirewall puts a firewall in front of the server at rawURL until the test ends.
func StartFirewall(tb testing.TB, rawURL string) *Firewall {
	tb.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		tb.Fatal(err)
	}
	server := u.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	f := &Firewall{forgotten: make(chan struct{})}
	f.passing.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			forgotten, swallows := f.forgotten, f.swallows
			f.mu.Unlock()
			f.passing.Go(func() {
				if swallows {
					f.swallowed.Add(1)
					_, _ = io.Copy(io.Discard, client)
					_ = client.Close()
					return
				}
				pass(client, server, forgotten)
			})
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		f.Forget()
		f.passing.Wait()
	})
	u.Host = l.Addr().String()
	f.URL = u.String()
	return f
}

// Forget stalls all open connections.
func (f *Firewall) Forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.forgotten)
	f.forgotten = make(chan struct{})
}

// Swallow makes the firewall accept new connections without forwarding them.
func (f *Firewall) Swallow() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.swallows = true
}

// Swallowed returns the number of connections accepted but not forwarded.
func (f *Firewall) Swallowed() int64 { return f.swallowed.Load() }

// pass copies both ways until the connection is forgotten, then reads and discards.
func pass(client net.Conn, address string, forgotten <-chan struct{}) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	forward := func(to io.Writer, from io.Reader) {
		buffer := make([]byte, 4096)
		for {
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			select {
			case <-forgotten:
			default:
				_, _ = to.Write(buffer[:n])
			}
		}
	}
	go func() {
		forward(client, server)
		select {
		case <-forgotten:
		default:
			_ = client.Close()
		}
	}()
	forward(server, client)
	_ = server.Close()
}
