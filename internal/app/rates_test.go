package app_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"

	"github.com/graphwarden/graphwarden/internal/app/apptest"
)

// Without this test, a bucket without a rate would only be noticed in use.
func TestEveryBucketHasARate(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "../throttle/throttle.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	rates := apptest.Config(t).Rates()
	buckets := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != "Bucket" {
			return true
		}
		buckets++
		bucket, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if _, ok := rates[bucket]; !ok || err != nil {
			t.Errorf("bucket %q has no rate (%v)", bucket, err)
		}
		return true
	})
	if buckets != len(rates) {
		t.Errorf("%d buckets, %d rates", buckets, len(rates))
	}
}
