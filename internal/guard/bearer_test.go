package guard_test

import (
	"regexp"
	"testing"

	"github.com/graphwarden/graphwarden/internal/guard"
)

// FuzzBearer compares the reading of the header with an independent one: what is taken for a token is all that
// follows the scheme and one blank, to the byte, and never of two headers.
func FuzzBearer(f *testing.F) {
	for _, seed := range []string{"", "Bearer", "Bearer ", "Bearer x", "bEaReR x y", "Bearer  x", " Bearer x", "Bearer\tx", "Basic x", "Bearer x, Bearer y", "Bearer \xff", "DPoP x", "Bearer=x"} {
		f.Add(seed)
	}
	form := regexp.MustCompile(`^[Bb][Ee][Aa][Rr][Ee][Rr] (?s:(.+))$`)
	f.Fuzz(func(t *testing.T, header string) {
		want := ""
		if found := form.FindStringSubmatchIndex(header); found != nil {
			want = header[found[2]:]
		}
		if raw, err := guard.Bearer([]string{header}); raw != want || (err == nil) != (want != "") {
			t.Errorf("%q reads as %q, %v; want %q", header, raw, err, want)
		}
		for _, two := range [][]string{{header, header}, {header, "Bearer x"}, {"Bearer x", header}} {
			if raw, err := guard.Bearer(two); err == nil {
				t.Errorf("%q reads as %q", two, raw)
			}
		}
	})
}
