// Package memory owns how much memory connections, requests, streams and caches may hold together. It promises that a
// claim which does not fit the pools made of one setting is refused at once, as UNAVAILABLE. It does not allocate: claims
// count what others hold, by factors that were measured.
package memory

import (
	"context"
	"sync"
	"time"

	"github.com/graphwarden/graphwarden/internal/fault"
)

const (
	// connection is what an open connection holds: buffers and the stacks of its goroutines. TLS adds twice as much.
	connection = 16 << 10
	// multiplexed is what an HTTP/2 connection adds to it: 32 requests, each with a header of up to 16 KiB.
	multiplexed = 512 << 10
	// request is what a request holds while it runs if its body, values, fields and answer have at most small bytes in all.
	request, small = 32 << 10, 16 << 10
	// unread is how much of a request the connection or stream that it comes by includes, until it runs.
	unread = 4 << 10
	// stream is what an open WebSocket or event stream holds, subscription what each subscription adds to it.
	stream, subscription = 48 << 10, 16 << 10
)

// Budget divides the memory of a server into pools. A nil Budget refuses nothing.
type Budget struct {
	limit int64

	connections, multiplexed pool
	requests                 pool // what each takes that runs
	bulk                     pool // what requests take beyond that
	streams                  pool
}

// NewBudget makes the budget of a server whose resident memory is to stay below limit, in bytes. With the caches, claims
// take three quarters of it. The rest is for the program, the database's own caches and garbage.
func NewBudget(limit int64) *Budget {
	return &Budget{
		limit:       limit,
		connections: newPool(limit / 8),
		multiplexed: newPool(limit / 16),
		requests:    newPool(limit / 16),
		bulk:        newPool(limit / 6),
		streams:     newPool(limit / 4),
	}
}

// Heap is what the heap may grow to before the garbage collector works harder. The rest of the limit is for what Go's
// runtime does not see: the program's own pages and SQLite's.
func (b *Budget) Heap() int64 { return b.limit / 4 * 3 }

// Caches is how many bytes the caches of documents may hold together.
func (b *Budget) Caches() int64 { return b.limit / 16 }

// Connection claims an open connection from the address owner. Connections of an unnamed owner are bounded together only.
func (b *Budget) Connection(owner string, tls bool) (*Claim, error) {
	if b == nil {
		return nil, nil
	}
	size := int64(connection)
	if tls {
		size *= 3
	}
	return b.connections.claim(owner, size)
}

// Multiplexed claims what the requests of an HTTP/2 connection take, besides the connection.
func (b *Budget) Multiplexed(owner string) (*Claim, error) {
	if b == nil {
		return nil, nil
	}
	return b.multiplexed.claim(owner, multiplexed)
}

// Claimed is how many bytes are claimed.
func (b *Budget) Claimed() (sum int64) {
	for _, p := range b.pools() {
		used, _ := p.state()
		sum += used
	}
	return sum
}

// Refused is how many claims did not fit so far.
func (b *Budget) Refused() (sum int64) {
	for _, p := range b.pools() {
		_, refusals := p.state()
		sum += refusals
	}
	return sum
}

func (b *Budget) pools() []*pool {
	return []*pool{&b.connections, &b.multiplexed, &b.requests, &b.bulk, &b.streams}
}

// Crowded reports whether connections hold more than three quarters of their pool.
func (b *Budget) Crowded() bool {
	if b == nil {
		return false
	}
	used, _ := b.connections.state()
	return used > b.connections.size/4*3
}

// Work makes a claim for a request or message of owner, which grows as it is read, decoded, executed and answered.
func (b *Budget) Work(owner string) *Claim {
	if b == nil {
		return nil
	}
	return &Claim{pool: &b.bulk, owner: owner, included: unread}
}

// Run claims what every request takes that has been read and is about to run. A slow sender does not hold that.
func (b *Budget) Run(work *Claim) error {
	if b == nil {
		return nil
	}
	if err := b.requests.add(work.owner, request, false); err != nil {
		return err
	}
	work.running = &b.requests
	work.include(small)
	return nil
}

// Stream claims an open stream of owner.
func (b *Budget) Stream(owner string) (*Claim, error) {
	if b == nil {
		return nil, nil
	}
	return b.streams.claim(owner, stream)
}

// Subscription claims what a subscription keeps, such as its document, of so many bytes.
func (b *Budget) Subscription(owner string, size int64) (*Claim, error) {
	if b == nil {
		return nil, nil
	}
	return b.streams.claim(owner, subscription+size)
}

// pool is a number of bytes that claims divide between them. No owner gets more than three quarters, so that one client
// leaves something to all others.
type pool struct {
	size int64

	mu       sync.Mutex
	used     int64
	by       map[string]int64
	refusals int64
}

func newPool(size int64) pool { return pool{size: size, by: make(map[string]int64)} }

func (p *pool) claim(owner string, size int64) (*Claim, error) {
	c := &Claim{pool: p, owner: owner}
	return c, c.Grow(size)
}

func (p *pool) state() (used, refusals int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used, p.refusals
}

// add changes what owner holds by n, or if that does not fit and force is not set, by nothing.
func (p *pool) add(owner string, n int64, force bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n > 0 && !force && (p.used+n > p.size || owner != "" && p.by[owner]+n > p.size/4*3) {
		p.refusals++
		return fault.Busy(fault.Overloaded, "the server has no memory left for this: try again later", time.Second)
	}
	p.used += n
	if owner != "" {
		if p.by[owner] += n; p.by[owner] == 0 {
			delete(p.by, owner)
		}
	}
	return nil
}

// Claim is what one connection, request or stream holds of a pool. A nil Claim holds nothing and refuses nothing. Its
// methods may be called from many goroutines, but none after Release.
type Claim struct {
	pool     *pool
	owner    string
	included int64
	running  *pool // that of requests, once it runs

	mu      sync.Mutex
	size    int64
	refused error
}

// Grow claims n more bytes. The error is UNAVAILABLE; then the claim is as before, and refuses from then on.
func (c *Claim) Grow(n int64) error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused == nil {
		c.refused = c.resize(c.size+n, false)
	}
	return c.refused
}

// Refused returns the error of Grow, once there was one.
func (c *Claim) Refused() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refused
}

// include makes so many bytes of the claim free.
func (c *Claim) include(bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := c.size
	_ = c.resize(0, true)
	c.included = bytes
	_ = c.resize(size, true)
}

// Keep makes size all that is claimed, fitting or not: it is there already. Then the claim may grow again.
func (c *Claim) Keep(size int64) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.resize(size, true) // forced, it does not fail
	c.refused = nil
}

// resize changes the claim from c.size to size; c.mu is held.
func (c *Claim) resize(size int64, force bool) error {
	if more := max(0, size-c.included) - max(0, c.size-c.included); more != 0 {
		if err := c.pool.add(c.owner, more, force); err != nil {
			return err
		}
	}
	c.size = size
	return nil
}

// Release gives everything back. It may be called twice.
func (c *Claim) Release() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.resize(0, true)
	if c.running != nil {
		_ = c.running.add(c.owner, -request, true)
		c.running = nil
	}
}

type claimKey struct{}

// With returns a context whose From is c.
func With(ctx context.Context, c *Claim) context.Context {
	if c == nil {
		return ctx
	}
	return context.WithValue(ctx, claimKey{}, c)
}

// From returns the claim of the request or event under way, or nil.
func From(ctx context.Context) *Claim {
	c, _ := ctx.Value(claimKey{}).(*Claim)
	return c
}
