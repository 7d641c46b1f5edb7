package web

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/graphwarden/graphwarden/internal/fault"
)

// Refuse answers a request for something other than /graphql with the status, the headers and the message of the fault
// in err.
func Refuse(w http.ResponseWriter, err error) {
	f := fault.Of(err)
	status := Status(f.Code)
	if challenge := Challenge(status, f.Reason); challenge != "" {
		w.Header().Set("WWW-Authenticate", challenge)
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", RetryAfter(f.RetryAfter))
	}
	writeText(w, status, f.Message+"\n")
}

// Status returns the status of an answer that consists of a fault with this code.
func Status(code fault.Code) int {
	switch code {
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Forbidden:
		return http.StatusForbidden
	case fault.RateLimited:
		return http.StatusTooManyRequests
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.BadUserInput, fault.ParseFailed, fault.ValidationFailed,
		fault.PersistedQueryNotFound, fault.PersistedQueryNotAllowed,
		fault.NotFound, fault.Conflict: // 404 would say that the endpoint is missing
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

// Challenge returns the value of WWW-Authenticate for an answer with this status and the reasons of its faults, or ""
// for none. It has an error attribute only if the request had a token, and the token is what failed (RFC 6750
// section 3).
func Challenge(status int, reasons ...fault.Reason) string {
	attribute := ""
	for _, reason := range reasons {
		switch reason {
		case fault.TokenInvalid, fault.TokenExpired, fault.TokenRevoked, fault.TokenStale:
			attribute = ` error="invalid_token"`
		case fault.RoleRequired, fault.NotOwner, fault.StepUpRequired:
			attribute = ` error="insufficient_scope"`
		}
	}
	if status == http.StatusUnauthorized || status == http.StatusForbidden && attribute != "" {
		return "Bearer" + attribute
	}
	return ""
}

// RetryAfter returns the value of Retry-After for a wait: whole seconds, rounded up, and at least one.
func RetryAfter(wait time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(wait.Seconds()))))
}
