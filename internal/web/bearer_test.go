package web_test

import (
	"net/http"
	"regexp"
	"testing"

	"github.com/graphwarden/graphwarden/internal/web"
)

func TestRequestsWithoutAnAuthorizationHeaderHaveNoToken(t *testing.T) {
	t.Parallel()
	if token, err := web.Bearer(http.Header{}); token != "" || err != nil {
		t.Errorf("%q %v", token, err)
	}
}

// FuzzBearer compares Bearer with an independent parser. The token is everything after the scheme and one space. Two
// headers are always refused.
func FuzzBearer(f *testing.F) {
	for _, seed := range []string{
		"", "Bearer", "Bearer ", "Bearer x", "bEaReR x y", "Bearer  x", " Bearer x", "Bearer\tx", "Basic x",
		"Bearer x, Bearer y", "Bearer \xff", "DPoP x", "Bearer=x",
	} {
		f.Add(seed)
	}
	form := regexp.MustCompile(`^[Bb][Ee][Aa][Rr][Ee][Rr] (?s:(.+))$`)
	f.Fuzz(func(t *testing.T, header string) {
		want := ""
		if found := form.FindStringSubmatchIndex(header); found != nil {
			want = header[found[2]:]
		}
		raw, err := web.Bearer(http.Header{"Authorization": {header}})
		if raw != want || (err == nil) != (want != "") {
			t.Errorf("%q reads as %q, %v; want %q", header, raw, err, want)
		}
		for _, two := range [][]string{{header, header}, {header, "Bearer x"}, {"Bearer x", header}} {
			if raw, err := web.Bearer(http.Header{"Authorization": two}); err == nil {
				t.Errorf("%q reads as %q", two, raw)
			}
		}
	})
}
