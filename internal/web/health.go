package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// readyTimeout bounds a readiness check: a database that hangs is one that is down.
const readyTimeout = 2 * time.Second

// Health answers the two questions of an orchestrator. They differ: a process that is not live is
// restarted, one that is not ready only gets no traffic, so a lost database must not show in Live.
type Health struct {
	ready   func(context.Context) error
	stopped atomic.Bool
}

// NewHealth takes the check that decides readiness; it is called per question and must end with its
// context.
func NewHealth(ready func(context.Context) error) *Health { return &Health{ready: ready} }

// Stop makes Ready answer 503 from now on, ahead of a shutdown.
func (h *Health) Stop() { h.stopped.Store(true) }

// Live answers 200 as long as the process answers at all.
func (h *Health) Live(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "live\n") }

// Ready answers 200 if requests can be served, else 503. The cause is not told: anyone may ask.
func (h *Health) Ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	switch {
	case h.stopped.Load():
		writeText(w, http.StatusServiceUnavailable, "stopping\n")
	case h.ready(ctx) != nil:
		writeText(w, http.StatusServiceUnavailable, "not ready\n")
	default:
		writeText(w, http.StatusOK, "ready\n")
	}
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// Static serves a document that is the same for everyone, such as the JWKS or the SDL. body is
// called per request, so that it may change; its hash is the ETag.
func Static(contentType, cacheControl string, body func() []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		document := body()
		sum := sha256.Sum256(document)
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", cacheControl)
		w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(document))
	})
}
