package transport

import (
	"cmp"
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/memory"
	"github.com/graphwarden/graphwarden/internal/web"
)

// Authenticate verifies the access token of a stream. It returns the context that the stream's operations
// run with, whose the stream is, and when the token expires. Its error is a *fault.Error; operations that
// run all the same are nobody's in the context that comes with it.
type Authenticate func(ctx context.Context, token string) (caller context.Context, key Key, expires time.Time, err error)

// Check tells whether the caller that Authenticate put into ctx, if any, is still who they were:
// UNAUTHENTICATED if their token has expired or was revoked, and nil for a caller without a token. It
// is asked before each event, so it must be quick.
type Check func(ctx context.Context) error

// Key says whose a stream is. The names mean nothing here but that they can be equal.
type Key struct{ User, Session string }

// StreamOptions bound what streams may cost. Whatever is zero has the default.
type StreamOptions struct {
	// PerAddress and PerUser are how many streams, of either kind, may be open at once; of IPv6 the /64
	// counts as one address. The defaults are 200 and 50.
	PerAddress, PerUser int
	// Operations is how many operations one WebSocket may have under way; the default is 100.
	Operations int
	// MaxBody is the greatest size of a body or message in bytes; the default is 1 MiB.
	MaxBody int64
	// MaxErrors is the greatest number of errors in one answer; the default is 10.
	MaxErrors int
	// MaxValues and MaxDepth bound the JSON of a body or message; the defaults are 20,000 and 100.
	MaxValues, MaxDepth int
	// Memory is what streams, and the messages and subscriptions on them, share with all requests.
	Memory *memory.Budget
	// InitTimeout is how long a WebSocket may take to send connection_init; the default is 10 s.
	InitTimeout time.Duration
	// PingEvery is how often a silent stream is tried: a WebSocket that has not answered by the next
	// time is dropped. The default is 15 s, below the idle time-outs of common proxies.
	PingEvery time.Duration
	// ReadTimeout is how long a client may take to send one message; the default is 20 s.
	ReadTimeout time.Duration
	// WriteTimeout is how long a client may take to read one message, and an ending stream's queries,
	// mutations and closing handshake may each take. The default is 10 s.
	WriteTimeout time.Duration
	// Leeway is how long after its token's expiry a stream ends: the verifier's own.
	Leeway time.Duration
}

func (o StreamOptions) withDefaults() StreamOptions {
	o.PerAddress, o.PerUser = cmp.Or(o.PerAddress, 200), cmp.Or(o.PerUser, 50)
	o.Operations = cmp.Or(o.Operations, 100)
	o.MaxBody = cmp.Or(o.MaxBody, defaultMaxBody)
	o.MaxErrors = cmp.Or(o.MaxErrors, defaultMaxErrors)
	o.InitTimeout = cmp.Or(o.InitTimeout, 10*time.Second)
	o.PingEvery = cmp.Or(o.PingEvery, 15*time.Second)
	o.ReadTimeout = cmp.Or(o.ReadTimeout, 20*time.Second)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 10*time.Second)
	o.MaxValues, o.MaxDepth = cmp.Or(o.MaxValues, defaultMaxValues), cmp.Or(o.MaxDepth, defaultMaxDepth)
	return o
}

// Streams are the open WebSockets and event streams: whose they are, how many there may be, and when
// they end. The transports WebSocket and Events serve them.
type Streams struct {
	authenticate Authenticate
	check        Check
	o            StreamOptions
	now          func() time.Time
	log          *slog.Logger
	ended        func(code, reason string)

	mu      sync.Mutex
	members map[label]map[*stream]struct{}
	stopped bool
	drained chan struct{} // closed when stopped and empty
}

// NewStreams makes the registry that the transports WebSocket and Events share. It calls ended at the end of each
// stream, with the code that a WebSocket is closed with and the reason of its last error, if any. Event streams have the
// same codes. Both strings are from fixed sets. ended must not block.
func NewStreams(
	authenticate Authenticate,
	check Check,
	o StreamOptions,
	now func() time.Time,
	ended func(code, reason string),
	log *slog.Logger,
) *Streams {
	return &Streams{
		authenticate: authenticate,
		check:        check,
		o:            o.withDefaults(),
		now:          now,
		log:          log,
		ended:        ended,
		members:      make(map[label]map[*stream]struct{}),
		drained:      make(chan struct{}),
	}
}

// Open is how many streams are open.
func (t *Streams) Open() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.members[label{kind: anyone}])
}

// label is what streams are counted and found by.
type label struct {
	kind  labelKind
	value string
}

type labelKind byte

const (
	anyone labelKind = iota
	ofAddress
	ofUser
	ofSession
)

// stream is one connection. Its ctx ends before the connection does, by an *ending that the client is
// told; the transport decides what else then goes on for how long.
type stream struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	abort  func() // cuts the connection; nil where net/http does
	claim  *memory.Claim

	// Of the registry, under its mutex.
	labels []label
	caller context.Context // nil until a token was accepted
	key    Key             // likewise empty
	expiry *time.Timer
}

// end ends s for the reason why, unless it has ended. It does not wait.
func (s *stream) end(why *ending) { s.cancel(why) }

// ending returns why s ends, nil if it does not or its client has gone.
func (s *stream) ending() *ending {
	why, _ := context.Cause(s.ctx).(*ending)
	return why
}

// ending is why a stream ends: what a WebSocket is closed with, and the last error of an event stream.
type ending struct {
	code   websocket.StatusCode
	reason string
	fault  *fault.Error
}

func (e *ending) Error() string { return e.reason }

// The codes of graphql-transport-ws that are more than one ending's. Its common client gives up on 4429
// and on 4401, which is why a dead token has the code of another protocol error: on 4403 that client
// fetches a new token, connects again and resumes what was under way.
const (
	codeForbidden websocket.StatusCode = 4403
	codeTooMany   websocket.StatusCode = 4429
)

// refused is the ending of a stream whose caller is refused with f.
func refused(f *fault.Error) *ending {
	code := websocket.StatusInternalError
	switch f.Code {
	case fault.Unauthenticated:
		code = codeForbidden
	case fault.Unavailable:
		code = websocket.StatusTryAgainLater
	}
	return &ending{code: code, reason: cmp.Or(string(f.Reason), f.Message), fault: f}
}

func tooMany(whose string) *ending {
	f := fault.New(fault.RateLimited, fault.Overloaded, "too many streams are open from this "+whose)
	f.RetryAfter = time.Minute
	return &ending{code: codeTooMany, reason: f.Message, fault: f}
}

func stopping() *ending {
	return &ending{code: websocket.StatusGoingAway, reason: "the server is stopping",
		fault: fault.Busy(fault.Overloaded, "the server is stopping: connect again", time.Second)}
}

// open registers a stream of the client that ctx belongs to; abort, if not nil, cuts its connection. The
// caller closes the stream even if it is turned away, which why says.
func (t *Streams) open(ctx context.Context, abort func()) (s *stream, why *ending) {
	s = &stream{abort: abort}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return s, stopping()
	}
	address := label{ofAddress, web.Network(web.RequestFrom(ctx).IP)}
	if len(t.members[address]) >= t.o.PerAddress {
		return s, tooMany("address")
	}
	var err error
	if s.claim, err = t.o.Memory.Stream(address.value); err != nil {
		return s, refused(fault.Of(err))
	}
	t.join(s, label{kind: anyone}, address)
	return s, nil
}

// accept authenticates s by token and returns the context of its operations, which are nobody's if the
// token is refused.
func (t *Streams) accept(ctx context.Context, s *stream, token string) (context.Context, *ending) {
	caller, key, expires, err := t.authenticate(ctx, token)
	if err != nil {
		return caller, refused(fault.Of(err))
	}
	t.mu.Lock()
	user := label{ofUser, key.User}
	if len(t.members[user]) >= t.o.PerUser {
		t.mu.Unlock()
		return nil, tooMany("user")
	}
	t.join(s, user, label{ofSession, key.Session})
	s.caller, s.key = caller, key
	if !expires.IsZero() {
		s.expiry = time.AfterFunc(expires.Sub(t.now())+t.o.Leeway, func() { s.end(refused(fault.ErrTokenExpired)) })
	}
	t.mu.Unlock()
	// The token may have been revoked after it was verified and before s could be found.
	t.recheck(s, caller)
	return caller, nil
}

// owner is by whom the memory of subscriptions on s is counted: the user, or the address of a stranger.
func (t *Streams) owner(s *stream) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return cmp.Or(s.key.User, web.Network(web.RequestFrom(s.ctx).IP))
}

// join adds s under labels; t.mu is held. An empty name is nobody's, whom no cap is for.
func (t *Streams) join(s *stream, labels ...label) {
	for _, l := range labels {
		if l.value == "" && l.kind != anyone {
			continue
		}
		if t.members[l] == nil {
			t.members[l] = make(map[*stream]struct{})
		}
		t.members[l][s] = struct{}{}
		s.labels = append(s.labels, l)
	}
}

// record counts and logs the end of s.
func (t *Streams) record(s *stream) {
	why := cmp.Or(s.ending(), errGone)
	code, reason := strconv.Itoa(int(why.code)), ""
	if why.fault != nil {
		reason = string(why.fault.Reason)
	}
	t.ended(code, reason)
	t.log.LogAttrs(s.ctx, slog.LevelDebug, "stream ended", slog.String("code", code), slog.String("reason", why.reason),
		slog.String("request", web.RequestFrom(s.ctx).ID), slog.String("user", s.key.User))
}

// close forgets s, whose connection has ended.
func (t *Streams) close(s *stream) {
	s.cancel(nil)
	s.claim.Release()
	t.record(s)
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.expiry != nil {
		s.expiry.Stop()
	}
	for _, l := range s.labels {
		if delete(t.members[l], s); len(t.members[l]) == 0 {
			delete(t.members, l)
		}
	}
	if t.stopped && len(s.labels) > 0 && len(t.members) == 0 {
		close(t.drained)
	}
}

// Recheck asks the Check of every stream of a user or of a session, and ends those that it finds
// UNAUTHENTICATED. It is called when something about that user or session was revoked. From then on no
// event is begun; it does not wait for the clients, so that a resolver can end the stream it is called
// through.
func (t *Streams) Recheck(key Key) {
	for s, caller := range t.find(key) {
		t.recheck(s, caller)
	}
}

func (t *Streams) recheck(s *stream, caller context.Context) {
	if err := t.check(caller); err != nil {
		if f := fault.Of(err); f.Code == fault.Unauthenticated {
			s.end(refused(f))
		}
	}
}

// find returns the streams with one of the two names of key, with their callers.
func (t *Streams) find(key Key) map[*stream]context.Context {
	t.mu.Lock()
	defer t.mu.Unlock()
	found := make(map[*stream]context.Context)
	for _, l := range []label{{ofUser, key.User}, {ofSession, key.Session}} {
		for s := range t.members[l] {
			found[s] = s.caller
		}
	}
	return found
}

// Shutdown ends all streams, lets their queries and mutations finish, and waits until all connections
// have ended. Streams that come later are turned away. If ctx ends first, Shutdown cuts off the
// WebSockets that are left and returns ctx's error.
func (t *Streams) Shutdown(ctx context.Context) error {
	t.mu.Lock()
	open := make([]*stream, 0, len(t.members[label{kind: anyone}]))
	for s := range t.members[label{kind: anyone}] {
		open = append(open, s)
	}
	if !t.stopped && len(open) == 0 {
		close(t.drained)
	}
	t.stopped = true
	t.mu.Unlock()
	for _, s := range open {
		s.end(stopping())
	}
	select {
	case <-t.drained:
		return nil
	case <-ctx.Done():
	}
	for _, s := range open {
		if s.abort != nil {
			s.abort()
		}
	}
	return ctx.Err()
}
