package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// Batch is what the operations of one request share.
type Batch struct {
	// Size is the number of operations. Limits of one operation apply to all of them together.
	Size int
	// Began is the start of the first operation.
	Began time.Time
}

type batchKey struct{}

// BatchFrom returns the batch of the operation behind ctx, and whether it is part of one.
func BatchFrom(ctx context.Context) (Batch, bool) {
	b, ok := ctx.Value(batchKey{}).(Batch)
	return b, ok
}

// isBatch reports whether a body is a JSON array.
func isBatch(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	return len(body) > 0 && body[0] == '['
}

// runBatch answers a JSON array of operations with the array of their answers. It runs them in sequence. The status is
// 200, because each answer has its own errors.
func (t HTTP) runBatch(ctx context.Context, a *answer, r *http.Request, body []byte) {
	var members []json.RawMessage
	if decode(bytes.NewReader(body), &members) != nil || len(members) == 0 {
		a.refuse(ctx, malformed("the body must be one JSON object, or a list of them"))
		return
	}
	if len(members) > t.Batch {
		a.refuse(ctx, malformed(fmt.Sprintf("a batch may have at most %d operations", t.Batch)))
		return
	}
	ctx = context.WithValue(ctx, batchKey{}, Batch{Size: len(members), Began: graphql.Now()})
	a.maxErrors = max(1, a.maxErrors/len(members))
	var parts [][]byte
	separator := []byte("[")
	for _, member := range members {
		parts = append(append(parts, separator), encodeAnswer(t.member(ctx, a, r, member), a.maxErrors)...)
		separator = []byte(",")
	}
	a.write(http.StatusOK, append(parts, []byte("]"))...)
}

// member runs one operation of a batch.
func (t HTTP) member(ctx context.Context, a *answer, r *http.Request, body []byte) *graphql.Response {
	params, refused := t.parse(r, body, a.claim)
	if refused != nil {
		return a.exec.DispatchError(ctx, gqlerror.List{presentable(refused.fault)})
	}
	resp, _ := a.execute(ctx, r.Method, params)
	return resp
}
