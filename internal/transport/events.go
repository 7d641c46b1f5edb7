package transport

import (
	"cmp"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/graphwarden/graphwarden/internal/web"
)

// Events is the transport for one operation per request, whose answer is a stream of events over HTTP. Its caller is
// the one in the request's context.
type Events struct{ Streams *Streams }

var _ graphql.Transport = Events{}

// Supports accepts a POST that prefers an event stream to all other types. Clients that do not need one list its type
// last, on every query.
func (Events) Supports(r *http.Request) bool {
	return r.Method == http.MethodPost && framingFor(r.Header.Values("Accept")) != nil
}

// framing is the syntax of events.
type framing struct {
	contentType string
	opening     string // before everything else
	before      string // and after, around the payload of an event
	after       string
	idle        string // an empty event
	closing     string // after the last event
}

// serverSentEvents is the mode "distinct connections" of the protocol graphql-sse.
var serverSentEvents = framing{
	contentType: "text/event-stream; charset=utf-8",
	before:      "event: next\ndata: ",
	after:       "\n\n",
	idle:        ":\n\n",
	closing:     "event: complete\ndata: \n\n", // EventSource skips an event without data
}

// multipartSubscription is the protocol of Apollo Router and Apollo Client for subscriptions over HTTP, version 1.0.
// Each part ends with the delimiter of the next, because clients would otherwise wait for it before they read the part.
var multipartSubscription = framing{
	contentType: `multipart/mixed; boundary="graphql"; subscriptionSpec="1.0"`,
	opening:     partDelimiter,
	before:      partHeader + `{"payload":`,
	after:       "}" + partDelimiter,
	idle:        partHeader + "{}" + partDelimiter,
	closing:     "--\r\n",
}

const (
	partDelimiter = "\r\n--graphql"
	partHeader    = "\r\nContent-Type: application/json\r\n\r\n"
)

// framingFor returns the framing that a client prefers to a single answer, or nil.
func framingFor(accept []string) *framing {
	wanted := preferred(accept)
	switch {
	case wanted.Value == "text/event-stream":
		return &serverSentEvents
	case wanted.Value == "multipart/mixed" && wanted.Params["subscriptionspec"] == "1.0":
		return &multipartSubscription
	}
	return nil
}

// Do serves one operation. Requests that cannot be parsed are refused as by HTTP, without events.
func (t Events) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	a := answer{w: w, exec: exec, media: mediaJSON, maxErrors: t.Streams.o.MaxErrors}
	a.prepare()
	state, why := t.Streams.open(r.Context(), nil)
	defer t.Streams.close(state)
	ctx := r.Context()
	if token := headerToken(r.Header); why == nil && token != "" {
		// A refused token does not end the stream here, because public fields ignore tokens. But if the principal in the
		// request's context has just lost its token, its stream must not go on without an owner that could end it.
		caller, ended := t.Streams.accept(ctx, state, token)
		if ended != nil && ended.code == codeTooMany {
			why = ended
		} else {
			ctx = caller
		}
	}
	if why != nil {
		state.end(why)
		a.refuse(ctx, &refusal{status: web.Status(why.fault.Code), fault: why.fault})
		return
	}
	o := &t.Streams.o
	claim := o.Memory.Work(web.Network(web.RequestFrom(ctx).IP))
	defer claim.Release()
	single := HTTP{MaxBody: o.MaxBody, MaxValues: o.MaxValues, MaxDepth: o.MaxDepth, Memory: o.Memory}
	body, refused := single.read(w, r, true, claim)
	var params *graphql.RawParams
	if refused == nil {
		params, refused = single.parse(r, body, claim)
	}
	if refused != nil {
		refused.status = cmp.Or(refused.status, web.Status(refused.fault.Code))
		a.refuse(ctx, refused)
		return
	}
	e := &eventStream{
		streams: t.Streams, state: state, w: w, control: http.NewResponseController(w),
		framing: framingFor(r.Header.Values("Accept")),
	}
	var beside sync.WaitGroup
	defer beside.Wait()
	defer state.cancel(nil)
	t.Streams.run(ctx, state, exec, params, claim, delivery{
		begin: func() {
			e.write(e.framing.idle)
			beside.Go(e.keepAlive)
		},
		next: e.next,
		last: e.last,
	})
	if why := state.ending(); why != nil && why.code == codeForbidden {
		e.last(t.Streams.present(ctx, exec, presentable(why.fault)))
	}
}

// eventStream writes the answer to one request.
type eventStream struct {
	streams *Streams
	state   *stream
	framing *framing
	control *http.ResponseController
	over    bool

	mu    sync.Mutex // keepAlive writes too
	w     http.ResponseWriter
	begun bool
}

func (e *eventStream) next(payload []byte) {
	for i, b := range payload {
		if b == '\n' || b == '\r' {
			payload[i] = ' ' // a line break in a scalar's JSON would end the event
		}
	}
	e.write(e.framing.before + string(payload) + e.framing.after)
}

func (e *eventStream) last(errs gqlerror.List) {
	if e.over {
		return
	}
	e.over = true
	if len(errs) > 0 {
		e.next(e.streams.payload(&graphql.Response{Errors: errs}, nil))
	}
	e.write(e.framing.closing)
}

// keepAlive writes an empty event at intervals until the stream ends, so that proxies keep it open and lost clients are
// noticed.
func (e *eventStream) keepAlive() {
	tick := time.NewTicker(e.streams.o.PingEvery)
	defer tick.Stop()
	for {
		select {
		case <-e.state.ctx.Done():
			return
		case <-tick.C:
			e.write(e.framing.idle)
		}
	}
}

// write sends text immediately. The header is sent with the first text, because a mutation may have added cookies to
// it. A client that does not read in time is dropped.
func (e *eventStream) write(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.begun {
		e.begun = true
		e.w.Header().Set("Content-Type", e.framing.contentType)
		e.w.Header().Set("X-Accel-Buffering", "no") // nginx would buffer events
		text = e.framing.opening + text
	}
	// A writer without deadlines, such as a test's recorder, has no slow reader.
	_ = e.control.SetWriteDeadline(time.Now().Add(e.streams.o.WriteTimeout))
	_, err := io.WriteString(e.w, text)
	if err == nil {
		err = e.control.Flush()
	}
	// Over HTTP/2 a deadline that passes resets the stream even while nothing is written.
	_ = e.control.SetWriteDeadline(time.Time{})
	if err != nil {
		e.state.end(errLost)
	}
}
