package transport

import (
	"cmp"
	"context"
	"net/http"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/memory"
	"github.com/graphwarden/graphwarden/internal/web"
)

const (
	defaultMaxBody   = 1 << 20
	defaultMaxErrors = 10
)

// HTTP is the transport for POST, and for queries by GET. gqlgen's own transports answer some failures with other
// statuses than the specification's, keep data:null in request errors, echo undecodable bodies and have no limits.
// Forms and multipart bodies are refused on purpose: any site can make a browser send them without a CORS preflight.
type HTTP struct {
	// MaxBody is the maximum size of a body in bytes; 0 means 1 MiB.
	MaxBody int64
	// MaxErrors is the maximum number of errors in one answer; 0 means 10. Without a limit, the answer to a small document
	// full of unknown fields is twenty times its size.
	MaxErrors int
	// MaxValues and MaxDepth bound the JSON of a request, which is measured before it is decoded; 0 means 20,000 values,
	// 100 deep.
	MaxValues, MaxDepth int
	// Batch is the maximum number of operations in one request, as a JSON array; 0 allows no batches.
	Batch int
	// Memory is the budget that requests share.
	Memory *memory.Budget
}

var _ graphql.Transport = HTTP{}

func (t HTTP) bounds() jsonBounds {
	return jsonBounds{cmp.Or(t.MaxValues, defaultMaxValues), cmp.Or(t.MaxDepth, defaultMaxDepth)}
}

// Supports accepts everything but upgrades to WebSocket. Requests that are not GraphQL over HTTP are refused here too,
// with the status that says why.
func (HTTP) Supports(r *http.Request) bool { return !isUpgrade(r) }

// Do answers one request.
func (t HTTP) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	media, acceptable := negotiate(r.Header.Values("Accept"))
	a := answer{w: w, exec: exec, media: media, maxErrors: t.MaxErrors}
	if a.maxErrors <= 0 {
		a.maxErrors = defaultMaxErrors
	}
	a.prepare()

	claim := t.Memory.Work(web.Network(web.RequestFrom(r.Context()).IP))
	defer claim.Release()
	a.claim = claim
	body, refused := t.read(w, r, acceptable, claim)
	if refused != nil {
		a.refuse(r.Context(), refused)
		return
	}
	ctx := memory.With(r.Context(), claim)
	if t.Batch > 0 && isBatch(body) {
		t.runBatch(ctx, &a, r, body)
		return
	}
	params, refused := t.parse(r, body, claim)
	if refused != nil {
		a.refuse(r.Context(), refused)
		return
	}
	resp, refused := a.execute(ctx, r.Method, params)
	if refused != nil {
		a.answerRefused(resp, refused)
		return
	}
	a.send(resp, 0)
}

// read admits a request, cheapest checks first, and returns its body. A GET has none.
func (t HTTP) read(
	w http.ResponseWriter,
	r *http.Request,
	acceptable bool,
	claim *memory.Claim,
) (body []byte, refused *refusal) {
	if r.Method != http.MethodPost && r.Method != http.MethodGet {
		return nil, refuseMethod("GET, POST", fault.MethodNotAllowed, "GraphQL is served over POST, and over GET for queries")
	}
	if !acceptable {
		return nil, refuse(http.StatusNotAcceptable, fault.NotAcceptable,
			"the answer is "+mediaResponse+" or "+mediaJSON+", in UTF-8")
	}
	if r.Method == http.MethodPost {
		if body, refused = t.readBody(w, r, claim); refused != nil {
			return nil, refused
		}
	}
	if err := t.Memory.Run(claim); err != nil {
		return nil, overloaded(err)
	}
	if r.Method == http.MethodGet {
		return nil, nil
	}
	return body, t.bounds().admit(body, claim)
}

// parse reads the parameters of one operation.
func (t HTTP) parse(r *http.Request, body []byte, claim *memory.Claim) (*graphql.RawParams, *refusal) {
	params := &graphql.RawParams{Headers: r.Header}
	params.ReadTime.Start = graphql.Now()
	var refused *refusal
	switch {
	case r.Method == http.MethodGet:
		refused = t.parseURL(r.URL.RawQuery, params, claim)
	case isBatch(body):
		refused = malformed("this is a batch of operations: send one operation a request, or allow batches with --batch")
	default:
		refused = parseBody(body, params)
	}
	if refused != nil {
		return nil, refused
	}
	if params.Query == "" && params.Extensions[persistedQuery] == nil {
		return nil, malformed("query or documentId is missing")
	}
	params.ReadTime.End = graphql.Now()
	return params, nil
}

// execute runs one operation. If the method may not run it, execute returns a refusal and the response that says so.
func (a *answer) execute(ctx context.Context, method string, params *graphql.RawParams) (*graphql.Response, *refusal) {
	op, errs := a.exec.CreateOperationContext(ctx, params)
	refuse := func(errs gqlerror.List) *graphql.Response {
		return a.requestError(graphql.WithOperationContext(ctx, op), errs)
	}
	// This is checked before errs, because it does not depend on the caller.
	if refused := runnable(method, op.Operation); refused != nil {
		return refuse(gqlerror.List{presentable(refused.fault)}), refused
	}
	if len(errs) > 0 {
		return refuse(errs), nil
	}
	next, running := a.exec.DispatchOperation(ctx, op)
	if resp := next(running); resp != nil {
		return resp, nil
	}
	// The executor returns nil if the context ended before a response was made.
	timedOut := fault.Busy(fault.TimedOut, "the operation was canceled or took too long", 0)
	return refuse(gqlerror.List{presentable(timedOut)}), nil
}

// runnable returns the refusal if the method may not run the operation. op is nil if the document was invalid.
func runnable(method string, op *ast.OperationDefinition) *refusal {
	switch {
	case op == nil || op.Operation == ast.Query:
		return nil
	case op.Operation == ast.Subscription:
		return refuse(http.StatusBadRequest, fault.NotAcceptable, "a subscription needs a WebSocket or text/event-stream")
	case method == http.MethodGet:
		// Any site can make a browser send a GET, by a link or an image.
		return refuseMethod("POST", fault.PostRequired, "a mutation needs POST")
	}
	return nil
}

// refusal refuses a request before its operation is known.
type refusal struct {
	status int    // for both media types; 0 means the status of the fault's code
	allow  string // the header Allow, with status 405
	fault  *fault.Error
}

func refuse(status int, reason fault.Reason, message string) *refusal {
	return &refusal{status: status, fault: fault.New(fault.BadUserInput, reason, message)}
}

func refuseMethod(allow string, reason fault.Reason, message string) *refusal {
	r := refuse(http.StatusMethodNotAllowed, reason, message)
	r.allow = allow
	return r
}

func malformed(message string) *refusal {
	return refuse(http.StatusBadRequest, fault.BodyMalformed, message)
}

// presentable wraps f as resolvers' errors are wrapped for the error presenter. It also sets the code, so that a server
// without its own presenter keeps the statuses.
func presentable(f *fault.Error) *gqlerror.Error {
	return &gqlerror.Error{
		Err:        f,
		Message:    f.Message,
		Extensions: map[string]any{"code": string(f.Code), "reason": string(f.Reason)},
	}
}
