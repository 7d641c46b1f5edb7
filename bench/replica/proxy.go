package replica

import (
	"io"
	"net"
	"sync"
)

// Proxy passes connections on to an address until it is cut.
type Proxy struct {
	listener net.Listener
	server   string
	carrying sync.WaitGroup

	mu     sync.Mutex
	broken chan struct{} // closed by a cut
	silent bool
	open   map[net.Conn]struct{}
}

// NewProxy listens on the loopback interface for server.
func NewProxy(server string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, server: server, broken: make(chan struct{}), open: make(map[net.Conn]struct{})}
	p.carrying.Go(p.accept)
	return p, nil
}

// Address is where it listens.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Cut breaks all connections, present and coming: they are closed, or if silent nothing comes through
// and nobody is told, as by a cable that is pulled.
func (p *Proxy) Cut(silent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = silent
	close(p.broken)
	if !silent {
		p.closeOpen()
	}
}

// Mend closes what was cut and passes new connections on.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closeOpen()
	p.broken, p.silent = make(chan struct{}), false
}

// Close ends it.
func (p *Proxy) Close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closeOpen()
	p.mu.Unlock()
	p.carrying.Wait()
}

// closeOpen closes all connections; p.mu is held.
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
	if silent { // accepted by the machine's own queue, and no more
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

// pass copies; what comes once the connection is broken is dropped.
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
