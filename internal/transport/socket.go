package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/memory"
)

// socket is one connection that speaks graphql-transport-ws. Its goroutines are the reader, the keeper, which ends it,
// and one for each operation; serve waits for all of them.
//
// It ends in two steps. When state ends, no new operation starts and subscriptions stop without a message, so that a
// client that reconnects resumes them. Queries and mutations finish, and then the connection is closed with the reason.
// When ctx ends, the connection is gone.
type socket struct {
	streams *Streams
	state   *stream
	exec    graphql.GraphExecutor
	conn    *websocket.Conn
	net     net.Conn
	header  http.Header
	ctx     context.Context
	cancel  context.CancelFunc
	work    sync.WaitGroup

	// Used by the reader only.
	late    *time.Timer     // ends a connection without connection_init in time
	greeted bool            // connection_init was received
	caller  context.Context // what operations run with; nil before connection_ack
	owner   string          // the key that memory of messages is counted by

	// mu is held while a message is written, so that no message of an operation follows its last.
	mu         sync.Mutex
	operations map[string]*operation
	running    int // operations under way, those that the client has completed included
	ended      bool
	idle       chan struct{} // closed when ended and nothing is running
}

// operation is an operation that the client has subscribed to.
type operation struct {
	id     string
	cancel context.CancelFunc
}

// The protocol's own endings.
var (
	errMessage     = &ending{code: 4400, reason: "Invalid message received"}
	errNoInit      = &ending{code: 4401, reason: "Unauthorized"}
	errInitLate    = &ending{code: 4408, reason: "Connection initialisation timeout"}
	errDuplicate   = &ending{code: 4409, reason: "Subscriber already exists"}
	errSecondInit  = &ending{code: codeTooMany, reason: "Too many initialisation requests"}
	errMessageLate = &ending{code: websocket.StatusPolicyViolation, reason: "the message took too long"}
	// errTooBig was already sent by the package websocket.
	errTooBig = &ending{code: websocket.StatusMessageTooBig, reason: "Message too big"}
	// errGone is the ending of a client that closed or broke the connection.
	errGone = &ending{code: websocket.StatusNormalClosure}
	// errLost is the ending of a client that neither reads nor answers. The server does not wait for it. Its code is never
	// sent (RFC 6455 section 7.4.1).
	errLost = &ending{code: websocket.StatusAbnormalClosure, reason: "the client does not answer"}
)

// serve reads until the connection has ended.
func (s *socket) serve() {
	s.late = time.AfterFunc(s.streams.o.InitTimeout, func() { s.state.end(errInitLate) })
	defer s.late.Stop()
	s.work.Go(s.keep)
	s.read()
	s.state.end(errGone)
	s.cancel()
	s.work.Wait()
}

// keep pings the client at intervals, and closes the connection when state ends.
func (s *socket) keep() {
	tick := time.NewTicker(s.streams.o.PingEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.state.ctx.Done():
			s.finish()
			return
		case <-tick.C:
			s.work.Go(s.ping)
		}
	}
}

// ping sends a ping frame of WebSocket itself, which every client answers. The protocol's own ping message is for
// clients that cannot send frames, and only answered here.
func (s *socket) ping() {
	ctx, cancel := context.WithTimeout(s.ctx, s.streams.o.PingEvery)
	defer cancel()
	if s.conn.Ping(ctx) != nil {
		s.state.end(errLost)
	}
}

// finish waits for running queries and mutations, and closes the connection.
func (s *socket) finish() {
	why := s.state.ending()
	patience := s.streams.o.WriteTimeout
	s.mu.Lock()
	s.ended = true
	if s.running == 0 {
		close(s.idle)
	}
	s.mu.Unlock()
	select {
	case <-s.idle:
	case <-s.ctx.Done():
	case <-time.After(patience):
	}
	if why == nil || why == errLost {
		why, patience = errLost, 0
	}
	// The package's own time-outs do not cover a client that answers the close frame with half a frame.
	_ = s.net.SetDeadline(time.Now().Add(patience))
	_ = s.conn.Close(why.code, why.reason)
}

// read handles messages until the connection has ended.
func (s *socket) read() {
	for {
		kind, r, err := s.conn.Reader(s.ctx)
		if err != nil {
			return
		}
		claim := s.streams.o.Memory.Work(s.owner)
		why := s.receive(kind, r, claim)
		if why != nil {
			claim.Release()
			s.state.end(why)
			_, _ = io.Copy(io.Discard, r) // up to the answer to the closing handshake
		}
	}
}

// receive reads one message and handles it. It returns an ending for a violation of the protocol.
func (s *socket) receive(kind websocket.MessageType, r io.Reader, claim *memory.Claim) *ending {
	late := time.AfterFunc(s.streams.o.ReadTimeout, func() { s.state.end(errMessageLate) })
	data, err := readAll(r, -1, claim)
	late.Stop()
	switch f := fault.As(err); {
	case errors.Is(err, websocket.ErrMessageTooBig):
		return errTooBig
	case f != nil:
		return refused(f)
	case err != nil:
		return errGone
	case s.state.ctx.Err() != nil:
		claim.Release()
		return nil // it came during the closing handshake
	}
	bounds := jsonBounds{s.streams.o.MaxValues, s.streams.o.MaxDepth}
	if r := bounds.admit(data, claim); r != nil {
		return refusedMessage(r.fault)
	}
	m, ok := parseMessage(data)
	if !ok || kind != websocket.MessageText {
		return errMessage
	}
	return s.handle(m, claim)
}

// refusedMessage returns the ending for a message that was refused before it was decoded. Its operation is therefore
// unknown.
func refusedMessage(f *fault.Error) *ending {
	if f.Code == fault.Unavailable {
		return refused(f)
	}
	return &ending{code: websocket.StatusMessageTooBig, reason: f.Message}
}

// handle processes m and releases its claim. It returns an ending for a violation of the protocol.
func (s *socket) handle(m message, claim *memory.Claim) *ending {
	if m.kind == "subscribe" && s.caller != nil {
		return s.subscribe(m.id, m.payload, claim)
	}
	defer claim.Release()
	switch m.kind {
	case "connection_init":
		if s.greeted {
			return errSecondInit
		}
		s.greeted = true
		s.late.Stop()
		return s.init(m.payload)
	case "ping":
		s.mu.Lock()
		defer s.mu.Unlock()
		s.write(envelope("pong", nil, m.payload))
	case "subscribe":
		return errNoInit
	case "complete":
		s.mu.Lock()
		defer s.mu.Unlock()
		if op := s.operations[m.id]; op != nil {
			delete(s.operations, m.id)
			op.cancel()
		}
	}
	return nil
}

// init authenticates the connection. A bad token ends it, so that the client reconnects with a better one. Without a
// token, the caller is that of the request's context.
func (s *socket) init(payload json.RawMessage) *ending {
	token, ok := initToken(payload)
	if !ok {
		return errMessage
	}
	if token == "" {
		token = headerToken(s.header)
	}
	caller := s.ctx
	if token != "" {
		var why *ending
		if caller, why = s.streams.accept(s.ctx, s.state, token); why != nil {
			return why
		}
	}
	s.caller, s.owner = caller, s.streams.owner(s.state)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write(envelope("connection_ack", nil, nil))
	return nil
}

// subscribe starts an operation, which releases claim when it ends.
func (s *socket) subscribe(id string, payload json.RawMessage, claim *memory.Claim) *ending {
	ctx := graphql.StartOperationTrace(s.caller)
	params := &graphql.RawParams{Headers: s.header}
	params.ReadTime.Start = graphql.Now()
	if parseBody(payload, params) != nil {
		return errMessage
	}
	params.ReadTime.End = graphql.Now()

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		claim.Release()
		return nil
	}
	if s.operations[id] != nil {
		return errDuplicate
	}
	if err := s.admit(claim); err != nil {
		claim.Release()
		s.write(envelope("error", quote(id), marshal(s.streams.present(ctx, s.exec, presentable(fault.Of(err))))))
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	op := &operation{id: id, cancel: cancel}
	s.operations[id] = op
	s.running++
	s.work.Go(func() {
		defer s.done(op)
		s.run(ctx, op, params, claim)
	})
	return nil
}

// admit refuses an operation if too many are running; s.mu is held.
func (s *socket) admit(claim *memory.Claim) error {
	if s.running >= s.streams.o.Operations {
		f := fault.New(fault.RateLimited, fault.Overloaded, "too many operations are under way on this connection")
		f.RetryAfter = time.Second
		return f
	}
	return s.streams.o.Memory.Run(claim)
}

// run executes an operation. The caller was authenticated when the connection began and is checked again.
func (s *socket) run(ctx context.Context, op *operation, params *graphql.RawParams, claim *memory.Claim) {
	defer claim.Release()
	id := quote(op.id)
	last := func(errs gqlerror.List) {
		if len(errs) > 0 {
			s.send(op, envelope("error", id, marshal(errs)), true)
		} else {
			s.send(op, envelope("complete", id, nil), true)
		}
	}
	if f := s.streams.refusal(ctx, s.state); f != nil {
		if s.state.ctx.Err() == nil {
			last(s.streams.present(ctx, s.exec, presentable(f)))
		}
		return
	}
	s.streams.run(ctx, s.state, s.exec, params, claim, delivery{
		begin: func() {},
		next:  func(payload []byte) { s.send(op, envelope("next", id, payload), false) },
		last:  last,
	})
}

// done removes op, which has ended.
func (s *socket) done(op *operation) {
	op.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.operations[op.id] == op {
		delete(s.operations, op.id)
	}
	s.running--
	if s.ended && s.running == 0 {
		close(s.idle)
	}
}

// send writes a message of op unless the client has completed it, because the id may belong to another operation by
// now.
func (s *socket) send(op *operation, message []byte, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.operations[op.id] != op {
		return
	}
	if last {
		delete(s.operations, op.id)
	}
	s.write(message)
}

// write sends one message; s.mu is held. A client that does not read it in time is dropped, because messages that wait
// for it hold memory.
func (s *socket) write(message []byte) {
	ctx, cancel := context.WithTimeout(s.ctx, s.streams.o.WriteTimeout)
	defer cancel()
	if s.conn.Write(ctx, websocket.MessageText, message) != nil {
		s.state.end(errLost)
	}
}

// envelope encodes a message. id and payload are JSON, or nil if the message has none.
func envelope(kind string, id, payload []byte) []byte {
	message := fmt.Appendf(nil, `{"type":"%s"`, kind)
	if id != nil {
		message = append(append(message, `,"id":`...), id...)
	}
	if payload != nil {
		message = append(append(message, `,"payload":`...), payload...)
	}
	return append(message, '}')
}

func quote(id string) []byte { return marshal(id) }
