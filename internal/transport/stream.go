package transport

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/memory"
	"github.com/graphwarden/graphwarden/internal/web"
)

// Authenticate verifies the access token of a stream. It returns the context for the stream's operations, the stream's
// owner, and the token's expiry. Its error is a *fault.Error. Operations that run despite an error use the returned
// context, in which they have no principal.
type Authenticate func(ctx context.Context, token string) (
	caller context.Context,
	key Key,
	expires time.Time,
	err error,
)

// Check returns UNAUTHENTICATED if the token that Authenticate accepted for ctx has expired or was revoked, and nil for
// a caller without a token. It is called before each event and must be fast.
type Check func(ctx context.Context) error

// Key names the owner of a stream. Streams are found by either part; the values have no other meaning here.
type Key struct{ User, Session string }

// StreamOptions bound the cost of streams. Zero values mean the defaults.
type StreamOptions struct {
	// PerAddress and PerUser are the maximum numbers of open streams of either kind. An IPv6 /64 counts as one address.
	// The defaults are 200 and 50.
	PerAddress, PerUser int
	// Operations is the maximum number of concurrent operations on one WebSocket; the default is 100.
	Operations int
	// MaxBody is the maximum size of a body or message in bytes; the default is 1 MiB.
	MaxBody int64
	// MaxErrors is the maximum number of errors in one answer; the default is 10.
	MaxErrors int
	// MaxValues and MaxDepth bound the JSON of a body or message; the defaults are 20,000 and 100.
	MaxValues, MaxDepth int
	// Memory is the budget that streams, their messages and their subscriptions share with all requests.
	Memory *memory.Budget
	// InitTimeout is how long a WebSocket may take to send connection_init; the default is 10 s.
	InitTimeout time.Duration
	// PingEvery is the interval between pings of a silent stream. A WebSocket that has not answered by the next ping is
	// dropped. The default is 15 s, below the idle time-outs of common proxies.
	PingEvery time.Duration
	// ReadTimeout is how long a client may take to send one message; the default is 20 s.
	ReadTimeout time.Duration
	// WriteTimeout is how long a client may take to read one message. When a stream ends, its queries and mutations, and
	// then its closing handshake, may each take as long. The default is 10 s.
	WriteTimeout time.Duration
	// Leeway is the time between a token's expiry and the end of its stream. It must equal the verifier's leeway.
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

// Streams is the registry of open WebSockets and event streams: it knows their owners, limits their number and ends
// them. The transports WebSocket and Events serve them.
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
// stream, with the code that a WebSocket is closed with and the reason of its last error, if any. Event streams have
// the same codes. Both strings are from fixed sets. ended must not block.
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

// Open returns the number of open streams.
func (t *Streams) Open() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.members[label{kind: anyone}])
}

// label is a key by which streams are counted and found.
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

// stream is one connection. Its ctx ends before the connection does, with an *ending as its cause, which the client
// receives. The transport decides which work may then still finish.
type stream struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	abort  func() // cuts the connection; nil if net/http does
	claim  *memory.Claim

	// Guarded by the registry's mutex.
	labels []label
	caller context.Context // nil until a token is accepted
	key    Key             // empty until then
	expiry *time.Timer
}

// end ends s with the reason why, unless it has already ended. It does not block.
func (s *stream) end(why *ending) { s.cancel(why) }

// ending returns why s ends. It is nil if s has not ended or its client has gone.
func (s *stream) ending() *ending {
	why, _ := errors.AsType[*ending](context.Cause(s.ctx))
	return why
}

// ending is the reason why a stream ends: the close code of a WebSocket, and the last error of an event stream.
type ending struct {
	code   websocket.StatusCode
	reason string
	fault  *fault.Error
}

func (e *ending) Error() string { return e.reason }

// Close codes of graphql-transport-ws that several endings share. Its common client gives up on 4429 and 4401. An
// invalid token therefore has the code of another protocol error: on 4403 that client fetches a new token, reconnects
// and resumes its subscriptions.
const (
	codeForbidden websocket.StatusCode = 4403
	codeTooMany   websocket.StatusCode = 4429
)

// refused returns the ending of a stream whose caller is refused with f.
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

// open registers a stream of the client in ctx. abort, if not nil, cuts its connection. If the stream is turned away,
// why says so; the caller must close the stream in any case.
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

// accept authenticates s by token and returns the context of its operations. They have no principal if the token is
// refused.
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
	// The token may have been revoked between its verification and the registration of s.
	t.recheck(s, caller)
	return caller, nil
}

// owner returns the key that memory on s is counted by: the user, or the address of an anonymous client.
func (t *Streams) owner(s *stream) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return cmp.Or(s.key.User, web.Network(web.RequestFrom(s.ctx).IP))
}

// join adds s under labels; t.mu is held. Empty values have no limit and are skipped.
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

// close removes s, whose connection has ended.
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
		delete(t.members[l], s)
		if len(t.members[l]) == 0 {
			delete(t.members, l)
		}
	}
	if t.stopped && len(s.labels) > 0 && len(t.members) == 0 {
		close(t.drained)
	}
}

// Recheck runs Check for every stream of a user or session, and ends those that it finds UNAUTHENTICATED. Call it after
// a revocation. No event starts once it has returned. It does not wait for clients, so that a resolver can end the
// stream that it runs on.
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

// find returns the streams with either name of key, and their callers.
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

// Shutdown ends all streams, lets their queries and mutations finish, and waits for their connections to end. New
// streams are turned away. If ctx ends first, Shutdown cuts the remaining WebSockets off and returns ctx's error.
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
