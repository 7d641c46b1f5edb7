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

// writeTimeout bounds how long a client that stops reading can hold an answer. It is set per answer because the server
// has no write time-out: streams live longer.
const writeTimeout = 30 * time.Second

// answer writes the response to one request.
type answer struct {
	w         http.ResponseWriter
	exec      graphql.GraphExecutor
	media     string
	maxErrors int
	claim     *memory.Claim
}

// Values that all answers share: http.Header's methods replace them and never write into them, nor does write.
var (
	contentTypes = map[string][]string{
		mediaJSON:     {mediaJSON + "; charset=utf-8"},
		mediaResponse: {mediaResponse + "; charset=utf-8"},
	}
	// dataHead and dataTail are what encode writes around the data if there is nothing else.
	dataHead, dataTail = []byte(`{"data":`), []byte("}")

	noSniff = []string{"nosniff"}
	noStore = []string{"no-store"}
)

// prepare sets the headers of every answer, including one after a panic.
func (a *answer) prepare() {
	h := a.w.Header()
	h["Content-Type"] = contentTypes[a.media]
	h["X-Content-Type-Options"] = noSniff
	// Answers hold tokens (RFC 6749 section 5.1) and depend on the caller.
	h["Cache-Control"] = noStore
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

// requestError returns the response to an operation that was not executed.
func (a *answer) requestError(ctx context.Context, errs gqlerror.List) *graphql.Response {
	resp := a.exec.DispatchError(ctx, errs[:min(len(errs), a.maxErrors)])
	omit(resp, len(errs)-a.maxErrors)
	return resp
}

// send writes resp with the given status, or if that is 0, with the status of its errors' codes. In application/json
// only the protocol's own refusals have a status: clients of that media type read any status but 200 as a network
// failure (GraphQL over HTTP section 6.4.1).
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

// encodeAnswer returns the parts of resp's JSON, with at most maxErrors errors.
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
	// From here on the parts are all that the request holds, however slowly the client reads.
	a.claim.Keep(int64(held))

	a.w.Header().Set("Content-Length", strconv.Itoa(length))
	// A writer without deadlines, such as a test's recorder, has no slow reader.
	_ = http.NewResponseController(a.w).SetWriteDeadline(time.Now().Add(writeTimeout))
	a.w.WriteHeader(status)
	for _, part := range parts {
		_, _ = a.w.Write(part) // fails only if the client has gone
	}
}

// shorten cuts the errors of an answer to limit. It keeps the first error of each code and reason, so that one with a
// retryAfter survives, then the first of the rest. The order stays, and extensions.errorsOmitted counts the errors that
// were cut.
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

// omit records in an answer that n errors are left out.
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

// refusedWhole reports whether an operation failed because its caller was refused or turned away: all errors have the
// same such status, and the data is null or has only root fields that failed themselves. Such an answer is a request
// error, as if it had been judged before execution.
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
		failed[e.Path.String()] = true // nested paths never equal a root name
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

// statusOf returns the highest status of the errors' codes, 0 without errors, and whether all have the same status.
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

// extension returns a string extension, whether or not the presenter kept its type.
func extension[T ~string](e *gqlerror.Error, name string) T {
	switch v := e.Extensions[name].(type) {
	case T:
		return v
	case string:
		return T(v)
	}
	return ""
}

// encode returns the JSON before and after the data, which is JSON already and not copied. Errors come first (GraphQL
// specification section 7.1.1). If a value cannot be encoded, an extension of the server is wrong. Nothing is written
// yet, so the panic becomes an internal error.
func encode(resp *graphql.Response) (head, tail []byte) {
	if resp.Data != nil && len(resp.Errors) == 0 && len(resp.Extensions) == 0 {
		return dataHead, dataTail
	}
	head, tail = []byte("{"), []byte("}")
	if len(resp.Errors) > 0 {
		head = append(append(head, `"errors":`...), marshal(resp.Errors)...)
		if resp.Data != nil {
			head = append(head, ',')
		}
	} else if resp.Data == nil {
		resp.Data = []byte("null") // an interceptor's empty response: data or errors are required
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
