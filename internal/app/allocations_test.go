//go:build !race

package app_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/graphwarden/graphwarden/internal/audit"
)

var updateAllocations = flag.Bool("update-allocations", false, "write testdata/allocations.txt")

// TestAllocations compares the allocations of the hot paths with those committed in testdata/allocations.txt. They
// depend on the code alone, unlike times. The race detector adds allocations, so make test runs this test without it.
func TestAllocations(t *testing.T) {
	a, handler := withoutBackground(t, bcrypt.MinCost)
	grant := jane(t, a, "jane@example.com")
	me, rewind := graphQL(t, `query Me { me { id email name roles createdAt } }`)
	me.Header.Set("Authorization", "Bearer "+grant.AccessToken)
	paths := []struct {
		name string
		run  func()
	}{
		{"me", func() {
			rewind()
			handler.ServeHTTP(discard{http.Header{}}, me)
		}},
		{"verify", func() {
			if _, err := a.Verifier.Verify(grant.AccessToken); err != nil {
				t.Error(err)
			}
		}},
		{"refresh", func() {
			next, err := a.Sessions.Refresh(t.Context(), *grant.RefreshToken, audit.Actor{})
			if err != nil {
				t.Fatal(err)
			}
			grant = next
		}},
	}
	const file = "testdata/allocations.txt"
	committed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, path := range paths {
		if err := a.View.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 10 { // fill caches, prepare statements
			path.run()
		}
		measured := testing.AllocsPerRun(100, path.run)
		fmt.Fprintf(&got, "%s %.0f\n", path.name, measured)
		line := regexp.MustCompile(`(?m)^` + path.name + ` (\d+)$`).FindSubmatch(committed)
		if line == nil {
			t.Errorf("%s has no line for %s", file, path.name)
			continue
		}
		want, err := strconv.ParseFloat(string(line[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		if measured > want*1.03+1 { // maps grow and pools empty at random
			t.Errorf("%s makes %.0f allocations, and %.0f are committed; if more are meant, add -update-allocations",
				path.name, measured, want)
		}
	}
	if *updateAllocations {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
