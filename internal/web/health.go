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

// readyTimeout bounds a readiness check. A database that hangs counts as down.
const readyTimeout = 2 * time.Second

// Health answers the liveness and readiness probes of an orchestrator. A process that is not live is restarted; one
// that is not ready only gets no traffic. A lost database must therefore not affect Live.
type Health struct {
	ready   func(context.Context) error
	stopped atomic.Bool
}

// NewHealth takes the readiness check, which is called on every probe and must end with its context.
func NewHealth(ready func(context.Context) error) *Health { return &Health{ready: ready} }

// Stop makes Ready answer 503, ahead of a shutdown.
func (h *Health) Stop() { h.stopped.Store(true) }

// Live always answers 200.
func (h *Health) Live(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "live\n") }

// Ready answers 200 if requests can be served, else 503. It does not say why, because anyone can send a probe.
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

// Static serves a document that is the same for all clients, such as the JWKS or the SDL. It calls body on each
// request, because the document may change, and uses its hash as the ETag.
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
