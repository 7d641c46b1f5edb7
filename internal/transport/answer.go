package transport

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/memory"
	"github.com/graphwarden/graphwarden/internal/web"
)

// writeTimeout bounds how long a client that stops reading can hold an answer. It is set per answer
// because the server as a whole has none: streams live longer.
const writeTimeout = 30 * time.Second

// answer writes the one response to a request.
type answer struct {
	w         http.ResponseWriter
	exec      graphql.GraphExecutor
	media     string
	maxErrors int
	claim     *memory.Claim
}

// prepare sets what every answer carries, the one after a panic included.
func (a *answer) prepare() {
	h := a.w.Header()
	h.Set("Content-Type", a.media+"; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	// Answers hold tokens (RFC 6749 section 5.1) and depend on who asks.
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Authorization, Cookie, Origin, Accept")
}

func (a *answer) refuse(ctx context.Context, r *refusal) {
	a.answerRefused(a.exec.DispatchError(ctx, gqlerror.List{presentable(r.fault)}), r)
}

// answerRefused sends the response to a request that r refuses.
func (a *answer) answerRefused(resp *graphql.Response, r *refusal) {
	if r.allow != "" {
		a.w.Header().Set("Allow", r.allow)
	}
	if r.fault.RetryAfter > 0 {
		a.w.Header().Set("Retry-After", web.RetryAfter(r.fault.RetryAfter))
	}
	a.send(resp, r.status)
}

// requestError is the response to an operation that was not executed.
func (a *answer) requestError(ctx context.Context, errs gqlerror.List) *graphql.Response {
	resp := a.exec.DispatchError(ctx, errs[:min(len(errs), a.maxErrors)])
	omit(resp, len(errs)-a.maxErrors)
	return resp
}

// send writes resp with the given status, or with the one its errors' codes stand for if that is 0.
// Only the protocol's own refusals have a status in application/json: clients of that media type
// read any other status than 200 as a fault of the network (GraphQL over HTTP section 6.4.1).
func (a *answer) send(resp *graphql.Response, status int) {
	if refusedWhole(resp) {
		resp.Data = nil
	}
	if status == 0 {
		status = http.StatusOK
		if resp.Data == nil && len(resp.Errors) > 0 {
			status = a.challenge(resp.Errors)
		}
	}
	a.write(status, encodeAnswer(resp, a.maxErrors)...)
}

// encodeAnswer returns the parts of the JSON of resp, with at most maxErrors errors.
func encodeAnswer(resp *graphql.Response, maxErrors int) [][]byte {
	if refusedWhole(resp) {
		resp.Data = nil
	}
	shorten(resp, maxErrors)
	head, tail := encode(resp)
	return [][]byte{head, resp.Data, tail}
}

// write sends the parts of a body.
func (a *answer) write(status int, parts ...[]byte) {
	length, held := 0, 0
	for _, part := range parts {
		length, held = length+len(part), held+cap(part)
	}
	// Of the request nothing else is left, however slowly the client reads.
	a.claim.Keep(int64(held))

	a.w.Header().Set("Content-Length", strconv.Itoa(length))
	// A writer that knows no deadline, such as a test's recorder, has no slow reader either.
	_ = http.NewResponseController(a.w).SetWriteDeadline(time.Now().Add(writeTimeout))
	a.w.WriteHeader(status)
	for _, part := range parts {
		_, _ = a.w.Write(part) // an error says that the client has gone
	}
}

// shorten cuts the errors of an answer to limit: the first of each code and reason, such as the one that says when to try
// again, and then the first of the rest. The order stays, and extensions.errorsOmitted says how many were cut.
func shorten(resp *graphql.Response, limit int) {
	omitted := len(resp.Errors) - limit
	if omitted <= 0 {
		return
	}
	kinds := make(map[[2]string]bool)
	keep := make([]bool, len(resp.Errors))
	kept := 0
	for i, e := range resp.Errors {
		kind := [2]string{string(extension[fault.Code](e, "code")), string(extension[fault.Reason](e, "reason"))}
		if kept < limit && !kinds[kind] {
			kinds[kind], keep[i] = true, true
			kept++
		}
	}
	for i := range keep {
		if kept < limit && !keep[i] {
			keep[i] = true
			kept++
		}
	}
	all := resp.Errors
	resp.Errors = make(gqlerror.List, 0, limit)
	for i, e := range all {
		if keep[i] {
			resp.Errors = append(resp.Errors, e)
		}
	}
	omit(resp, omitted)
}

// omit says in an answer that n of its errors are left out.
func omit(resp *graphql.Response, n int) {
	if n <= 0 {
		return
	}
	extensions := maps.Clone(resp.Extensions)
	if extensions == nil {
		extensions = make(map[string]any)
	}
	extensions["errorsOmitted"] = n
	resp.Extensions = extensions
}

// challenge returns the status for an answer without data and sets the headers that go with it.
func (a *answer) challenge(errs gqlerror.List) int {
	status, agreed := statusOf(errs)
	if !agreed && status < http.StatusInternalServerError {
		status = http.StatusBadRequest
	}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		a.w.Header().Set("Retry-After", web.RetryAfter(retryAfter(errs)))
	}
	if a.media == mediaJSON {
		return http.StatusOK
	}
	reasons := make([]fault.Reason, len(errs))
	for i, e := range errs {
		reasons[i] = extension[fault.Reason](e, "reason")
	}
	if challenge := web.Challenge(status, reasons...); challenge != "" {
		a.w.Header().Set("WWW-Authenticate", challenge)
	}
	return status
}

// refusedWhole reports whether an operation came to nothing because the caller was refused or
// turned away: every error says so alike, and the data is null or holds only root fields that
// failed themselves. Such an answer is a request error, as if it had been judged before execution.
func refusedWhole(resp *graphql.Response) bool {
	status, agreed := statusOf(resp.Errors)
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusServiceUnavailable:
	default:
		return false
	}
	if !agreed {
		return false
	}
	if resp.Data == nil || string(resp.Data) == "null" {
		return true
	}
	failed := make(map[string]bool, len(resp.Errors))
	for _, e := range resp.Errors {
		failed[e.Path.String()] = true // of a field below the roots, no root's name
	}
	var roots map[string]json.RawMessage
	_ = json.Unmarshal(resp.Data, &roots)
	for name, value := range roots {
		if !failed[name] || string(value) != "null" {
			return false
		}
	}
	return len(roots) > 0
}

// statusOf returns the greatest status among the errors' codes, 0 for no errors, and whether all
// have the same.
func statusOf(errs gqlerror.List) (status int, agreed bool) {
	for i, e := range errs {
		s := web.Status(extension[fault.Code](e, "code"))
		agreed = i == 0 || agreed && s == status
		status = max(s, status)
	}
	return status, agreed
}

// retryAfter returns the longest wait among the errors' extensions.
func retryAfter(errs gqlerror.List) time.Duration {
	longest := 0.0
	for _, e := range errs {
		// The presenter chooses the type of the number. A missing one parses as 0.
		seconds, _ := strconv.ParseFloat(fmt.Sprint(e.Extensions["retryAfter"]), 64)
		longest = max(longest, seconds)
	}
	return time.Duration(longest * float64(time.Second))
}

// extension reads a textual extension, whether the presenter kept its type or not.
func extension[T ~string](e *gqlerror.Error, name string) T {
	switch v := e.Extensions[name].(type) {
	case T:
		return v
	case string:
		return T(v)
	}
	return ""
}

// encode returns what goes before and after the data, which is JSON already and not copied. Errors
// stand first (GraphQL specification section 7.1.1). A value that JSON cannot hold is a mistake in
// an extension of the server; nothing is written yet, so the panic becomes an internal error.
func encode(resp *graphql.Response) (head, tail []byte) {
	head, tail = []byte("{"), []byte("}")
	if len(resp.Errors) > 0 {
		head = append(append(head, `"errors":`...), marshal(resp.Errors)...)
		if resp.Data != nil {
			head = append(head, ',')
		}
	} else if resp.Data == nil {
		resp.Data = []byte("null") // an interceptor's empty response: one of the two must be there
	}
	if resp.Data != nil {
		head = append(head, `"data":`...)
	}
	if len(resp.Extensions) > 0 {
		tail = append(append([]byte(`,"extensions":`), marshal(resp.Extensions)...), '}')
	}
	return head, tail
}

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Errorf("encode answer: %w", err))
	}
	return b
}
