package replica

import (
	"io"
	"net"
	"sync"
)

// Proxy forwards connections to an address until it is cut.
type Proxy struct {
	listener net.Listener
	server   string
	carrying sync.WaitGroup

	mu     sync.Mutex
	broken chan struct{} // closed by a cut
	silent bool
	open   map[net.Conn]struct{}
}

// NewProxy starts a proxy for server on the loopback interface.
func NewProxy(server string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, server: server, broken: make(chan struct{}), open: make(map[net.Conn]struct{})}
	p.carrying.Go(p.accept)
	return p, nil
}

// Address returns the address on which p listens.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Cut breaks present and future connections. It closes them, or, if silent, drops all data and keeps them open, like an
// unplugged cable.
func (p *Proxy) Cut(silent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = silent
	close(p.broken)
	if !silent {
		p.closeOpen()
	}
}

// Mend closes the cut connections and forwards new ones again.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closeOpen()
	p.broken, p.silent = make(chan struct{}), false
}

// Close stops the proxy and closes its connections.
func (p *Proxy) Close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closeOpen()
	p.mu.Unlock()
	p.carrying.Wait()
}

// closeOpen closes all connections. The caller holds p.mu.
func (p *Proxy) closeOpen() {
	for conn := range p.open {
		_ = conn.Close()
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.open[client] = struct{}{}
		broken, silent := p.broken, p.silent
		p.mu.Unlock()
		p.carrying.Go(func() {
			p.carry(client, broken, silent)
			_ = client.Close()
			p.mu.Lock()
			delete(p.open, client)
			p.mu.Unlock()
		})
	}
}

func (p *Proxy) carry(client net.Conn, broken <-chan struct{}, silent bool) {
	if silent { // as if only the kernel accepted the connection
		_, _ = io.Copy(io.Discard, client)
		return
	}
	select {
	case <-broken:
		return
	default:
	}
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		pass(client, server, broken)
		select {
		case <-broken: // the client must not notice
		default:
			_ = client.Close()
		}
	})
	pass(server, client, broken)
	_ = server.Close()
	back.Wait()
}

// pass copies from from to to, and drops all data once the connection is broken.
func pass(to io.Writer, from io.Reader, broken <-chan struct{}) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		select {
		case <-broken:
		default:
			_, _ = to.Write(buffer[:n])
		}
	}
}
