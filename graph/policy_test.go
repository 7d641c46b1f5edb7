package graph_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/guard"
	"github.com/graphwarden/graphwarden/schema"
)

var update = flag.Bool("update", false, "update the golden files")

// A change of the golden file is a change of access. Its reviewer decides whether it is intended.
func TestPolicyOfTheSchema(t *testing.T) {
	t.Parallel()
	sdl, err := schema.Load()
	if err != nil {
		t.Fatal(err)
	}
	policy, err := guard.NewPolicy(sdl, "public")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := policy.Print(&got); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/policy.txt"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("the access rules have changed; if that is intended, run go test ./graph -run Policy -update\n%s", diff)
	}
}
