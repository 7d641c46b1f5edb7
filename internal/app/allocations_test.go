//go:build !race

package app_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
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
	var got strings.Builder
	for _, path := range paths {
		if err := a.View.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 10 { // fill caches, prepare statements
			path.run()
		}
		fmt.Fprintf(&got, "%s %.0f\n", path.name, testing.AllocsPerRun(100, path.run))
	}
	const file = "testdata/allocations.txt"
	if *updateAllocations {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var worse bool
	for i, line := range strings.Split(strings.TrimSpace(string(want)), "\n") {
		var name string
		var committed, measured float64
		_, err := fmt.Sscan(line, &name, &committed)
		if err == nil {
			_, err = fmt.Sscan(strings.Split(got.String(), "\n")[i], &name, &measured)
		}
		if err != nil {
			t.Fatal(err)
		}
		worse = worse || measured > committed*1.03+1 // maps grow and pools empty at random
	}
	if worse || strings.Count(got.String(), "\n") != strings.Count(string(want), "\n") {
		t.Errorf("allocations:\n%s\ncommitted:\n%s\nif more are meant, add -update-allocations", got.String(), want)
	}
}
