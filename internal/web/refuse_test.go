package web_test

import (
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/graphwarden/graphwarden/internal/fault"
	"github.com/graphwarden/graphwarden/internal/web"
)

func TestRefuse(t *testing.T) {
	t.Parallel()
	type seen struct {
		Status                      int
		Challenge, RetryAfter, Body string
	}
	for name, test := range map[string]struct {
		err  error
		want seen
	}{
		"anonymous": {
			fault.New(fault.Unauthenticated, fault.TokenMissing, "sign in"), seen{401, "Bearer", "", "sign in\n"},
		},
		"forged token": {
			fault.New(fault.Unauthenticated, fault.TokenInvalid, "no"),
			seen{401, `Bearer error="invalid_token"`, "", "no\n"},
		},
		"missing role": {
			fault.New(fault.Forbidden, fault.RoleRequired, "no"),
			seen{403, `Bearer error="insufficient_scope"`, "", "no\n"},
		},
		"unavailable": {
			fault.Busy(fault.RevocationViewStale, "later", 1500*time.Millisecond), seen{503, "", "2", "later\n"},
		},
		"internal error": {errors.New("SELECT * FROM users"), seen{500, "", "", "internal error\n"}},
	} {
		w := httptest.NewRecorder()
		web.Refuse(w, test.err)
		got := seen{w.Code, w.Header().Get("WWW-Authenticate"), w.Header().Get("Retry-After"), w.Body.String()}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
