package web

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// maxUserAgent is the greatest length of Request.UserAgent in bytes.
const maxUserAgent = 256

const headerRequestID = "X-Request-Id"

// requestID is the form of ids that are accepted from clients. It admits nothing that could forge a log line.
var requestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Request describes the HTTP request to the layers below.
type Request struct {
	// ID names the request in logs, errors and the answer's X-Request-Id.
	ID string
	// IP is the client's address in canonical form, "" when it is unknown.
	IP string
	// UserAgent is valid UTF-8 without control or invisible characters, at most 256 bytes.
	UserAgent string
	// Method is the HTTP method; fields that spend a secret refuse GET, whose URL ends up in logs.
	Method string
}

type requestKey struct{}

// RequestFrom returns the request that Identify put into ctx, else the zero value.
func RequestFrom(ctx context.Context) Request {
	r, _ := ctx.Value(requestKey{}).(Request)
	return r
}

// Identify gives each request an id, in its context and in the answer's X-Request-Id. It keeps a client's own id if
// that has the form of requestID. clientIP returns the client's address.
func Identify(next http.Handler, clientIP func(*http.Request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req := Request{
			ID:        identify(r.Header.Values(headerRequestID)),
			IP:        clientIP(r),
			UserAgent: printable(r.UserAgent(), maxUserAgent),
			Method:    r.Method,
		}
		w.Header().Set(headerRequestID, req.ID)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestKey{}, req)))
	})
}

// identify returns the client's id if there is exactly one and it is valid, else a new one. If there are two, a proxy
// in front may have logged either.
func identify(sent []string) string {
	if len(sent) == 1 && requestID.MatchString(sent[0]) {
		return sent[0]
	}
	return uuid.Must(uuid.NewV7FromReader(random{})).String() // random does not fail
}

// random reads from the generator of package rand, which is much faster than the system's. Ids of requests must differ,
// and need not be secret.
type random struct{}

// Read implements io.Reader.
func (random) Read(p []byte) (int, error) {
	for i := 0; i < len(p); i += 8 {
		copy(p[i:], binary.LittleEndian.AppendUint64(nil, rand.Uint64()))
	}
	return len(p), nil
}

// printable returns s without invalid UTF-8 and invisible characters, including line separators and bidirectional
// controls, cut after the last rune that ends within limit bytes.
func printable(s string, limit int) string {
	if len(s) <= limit && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return s
	}
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "") {
		if !unicode.IsGraphic(r) {
			continue
		}
		if b.Len()+utf8.RuneLen(r) > limit {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
