package transport_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/graphwarden/graphwarden/internal/transport"
	"github.com/graphwarden/graphwarden/internal/web/webtest"
)

// canned returns fixed responses, so that the benchmark measures only the transport.
type canned struct {
	graphql.GraphExecutor
	op   *graphql.OperationContext
	data []byte
}

func (c canned) CreateOperationContext(context.Context, *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	return c.op, nil
}

func (c canned) DispatchOperation(
	ctx context.Context,
	_ *graphql.OperationContext,
) (graphql.ResponseHandler, context.Context) {
	return graphql.OneShot(&graphql.Response{Data: c.data}), ctx
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

func (d discard) SetWriteDeadline(time.Time) error { return nil }

func BenchmarkTransport(b *testing.B) {
	exec := canned{
		op: &graphql.OperationContext{Operation: &ast.OperationDefinition{Operation: ast.Query}},
		data: []byte(`{"me":{"id":"01","email":"a@example.org","name":"A","roles":["USER"],` +
			`"createdAt":"2026-01-02T03:04:05Z"}}`),
	}
	const body = `{"operationName":"Me","query":"query Me{me{id email name roles createdAt}}","variables":{"first":10}}`
	r := webtest.Request(b, "POST", "http://x/graphql", body, "Content-Type", plain, "Accept", modern+","+plain+";q=0.9")
	b.ReportAllocs()
	for b.Loop() {
		r.Body = io.NopCloser(strings.NewReader(body))
		transport.HTTP{}.Do(discard{http.Header{}}, r, exec)
	}
}
