package memory

import (
	"context"
	"sync"
	"time"

	"github.com/graphwarden/graphwarden/internal/fault"
)

const (
	// connection is the memory of an open connection: buffers and the stacks of its goroutines. TLS adds twice as much.
	connection = 16 << 10
	// multiplexed is the additional memory of an HTTP/2 connection: 32 requests, each with a header of up to 16 KiB.
	multiplexed = 512 << 10
	// request is the memory of a running request whose body, values, fields and answer have at most small bytes together.
	request, small = 32 << 10, 16 << 10
	// unread is the part of a request that its connection or stream includes until it runs.
	unread = 4 << 10
	// stream is the memory of an open WebSocket or event stream, and subscription that of each subscription on it.
	stream, subscription = 48 << 10, 16 << 10
)

// Budget divides the memory of a server into pools. A nil Budget refuses nothing.
type Budget struct {
	limit int64

	connections, multiplexed pool
	requests                 pool // the fixed part of running requests
	bulk                     pool // the variable part of requests
	streams                  pool
}

// NewBudget makes the budget of a server whose resident memory should stay below limit, in bytes. Claims and caches
// take at most three quarters of it. The rest is for the program, the database's caches and garbage.
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

// Heap returns the heap size above which the garbage collector works harder. The rest of the limit is for memory that
// Go's runtime does not see: the program's own pages and SQLite's.
func (b *Budget) Heap() int64 { return b.limit / 4 * 3 }

// Caches returns how many bytes the caches of documents may hold together.
func (b *Budget) Caches() int64 { return b.limit / 16 }

// Connection claims an open connection from the address owner. Connections without an owner share only the pool's
// limit.
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

// Multiplexed claims the concurrent requests of an HTTP/2 connection, in addition to the connection.
func (b *Budget) Multiplexed(owner string) (*Claim, error) {
	if b == nil {
		return nil, nil
	}
	return b.multiplexed.claim(owner, multiplexed)
}

// Claimed returns the number of claimed bytes.
func (b *Budget) Claimed() (sum int64) {
	for _, p := range b.pools() {
		used, _ := p.state()
		sum += used
	}
	return sum
}

// Refused returns how many claims were refused so far.
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

// Work makes a claim for a request or message of owner. It grows as the request is read, decoded, executed and
// answered.
func (b *Budget) Work(owner string) *Claim {
	if b == nil {
		return nil
	}
	return &Claim{pool: &b.bulk, owner: owner, included: unread}
}

// Run claims the fixed memory of a request that has been read and is about to run. Slow senders do not hold it.
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

// Subscription claims the size bytes that a subscription keeps, such as its document.
func (b *Budget) Subscription(owner string, size int64) (*Claim, error) {
	if b == nil {
		return nil, nil
	}
	return b.streams.claim(owner, subscription+size)
}

// pool is a number of bytes that claims share. No owner gets more than three quarters of it, so that one client cannot
// take everything.
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

// add adds n to the memory of owner. Without force it refuses what does not fit.
func (p *pool) add(owner string, n int64, force bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n > 0 && !force && (p.used+n > p.size || owner != "" && p.by[owner]+n > p.size/4*3) {
		p.refusals++
		return fault.Busy(fault.Overloaded, "the server has no memory left for this: try again later", time.Second)
	}
	p.used += n
	if owner != "" {
		p.by[owner] += n
		if p.by[owner] == 0 {
			delete(p.by, owner)
		}
	}
	return nil
}

// Claim is the memory that one connection, request or stream holds in a pool. A nil Claim holds nothing and refuses
// nothing. Its methods are safe for concurrent use, but must not be called after Release.
type Claim struct {
	pool     *pool
	owner    string
	included int64
	running  *pool // the pool of requests, once it runs

	mu      sync.Mutex
	size    int64
	refused error
}

// Grow claims n more bytes. If they do not fit, the error is UNAVAILABLE, the claim is unchanged, and all later calls
// fail too.
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

// Refused returns the error of a failed Grow, or nil.
func (c *Claim) Refused() error {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refused
}

// include exempts this many bytes of the claim.
func (c *Claim) include(bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := c.size
	_ = c.resize(0, true)
	c.included = bytes
	_ = c.resize(size, true)
}

// Keep sets the claim to size, even if that does not fit, because the memory is already in use. The claim may then grow
// again.
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

// Release releases the whole claim. It may be called twice.
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

// From returns the claim of the current request or event, or nil.
func From(ctx context.Context) *Claim {
	c, _ := ctx.Value(claimKey{}).(*Claim)
	return c
}
