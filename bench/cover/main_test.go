package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const profile = `mode: set
example.com/a/internal/guard/guard.go:1.1,2.2 3 0
example.com/a/internal/guard/guard.go:1.1,2.2 3 1
example.com/a/internal/guard/guard.go:3.1,4.2 1 0
example.com/a/internal/token/token.go:1.1,2.2 2 0
`

func TestCoverage(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "coverage.out")
	if err := os.WriteFile(file, []byte(profile), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name     string
		minimum  float64
		packages []string
		ok       bool
		want     string
	}{
		{"a block run by any test counts", 75, []string{"guard"}, true, "guard       75.0 %\n"},
		{"a package below the minimum fails", 76, []string{"guard"}, false, "guard       75.0 %  below 76 %\n"},
		{"a package without tests fails", 1, []string{"token"}, false, "token        0.0 %  below 1 %\n"},
		{"an unknown package fails", 1, []string{"absent"}, false, "absent       0.0 %  below 1 %\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			ok, err := run(file, test.minimum, test.packages, &out)
			if err != nil || ok != test.ok || out.String() != test.want {
				t.Errorf("got %t, %v, %q; want %t, %q", ok, err, out.String(), test.ok, test.want)
			}
		})
	}
}

func TestMalformedProfile(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"mode: set\nfile.go:1.1,2.2 3\n", "mode: set\nfile.go:1.1,2.2 x 1\n"} {
		if _, err := parse(strings.NewReader(text)); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}
