package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"github.com/graphwarden/graphwarden/internal/explorer"
	"github.com/graphwarden/graphwarden/internal/web"
	"github.com/graphwarden/graphwarden/schema"
)

// Run serves l until ctx ends, then stops in order: not ready, drain, flush. The App was opened with Serves.
func (a *App) Run(ctx context.Context, l net.Listener) error {
	// Background work outlives the last request.
	beside, stop := context.WithCancel(context.WithoutCancel(ctx))
	wait, err := a.Follow(beside)
	if err != nil {
		stop()
		return err
	}
	defer func() {
		stop()
		a.waitFor(wait)
	}()
	stopMetrics, err := a.serveMetrics(ctx)
	if err != nil {
		return err
	}
	defer stopMetrics()
	health := web.NewHealth(a.Ready)
	handler, err := a.Handler(health)
	if err != nil {
		return err
	}
	return web.Serve(ctx, l, handler, web.ServeOptions{
		KeepAlive: a.Config.KeepAlive, StopDelay: a.Config.StopDelay, Drain: a.Config.DrainTimeout,
		Stopping: func() {
			health.Stop()
			a.log.Info("stopping", "accepts", a.Config.StopDelay.String(), "drains", a.Config.DrainTimeout.String())
		},
		EndStreams: func(drained context.Context) {
			if err := a.streams.Shutdown(drained); err != nil {
				a.log.Warn("streams were cut off", "error", err)
			}
		},
	}, a.log)
}

// waitFor waits for the background work to end, but not much longer than the last write may take: a database
// that does not answer must not keep the process from ending.
func (a *App) waitFor(wait func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		wait()
	}()
	select {
	case <-ended:
	case <-time.After(lastFlush + time.Second):
		a.log.Error("the database holds up the stop, which does not wait for it")
	}
}

// Bound returns l, closing connections for which memory is exhausted; encrypted says that they speak TLS.
func (a *App) Bound(l net.Listener, encrypted bool) net.Listener {
	return web.Bound(l, a.Memory, a.proxies, encrypted)
}

// Handler routes all requests; more are further extensions of the GraphQL server.
func (a *App) Handler(health *web.Health, more ...graphql.HandlerExtension) (http.Handler, error) {
	api, err := a.graphQL(more)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	publicPath := a.Config.PublicPath()
	mux.Handle("/graphql", a.current(a.origins.CORS(web.Cookies(a.origins, publicPath, api))))
	mux.Handle("/auth/", a.current(a.Social.Handler()))
	if servesExplorer(a.Config) {
		page, err := explorer.New(explorer.Assets(), publicPath)
		if err != nil {
			return nil, err
		}
		mux.Handle("/{$}", page)
		mux.Handle("/explorer/", page)
	}
	if !a.Config.Production {
		preview, err := a.Mail.Preview()
		if err != nil {
			return nil, err
		}
		mux.Handle("GET /dev/mail", preview)
	}
	mux.Handle("/.well-known/jwks.json", a.current(web.Static("application/jwk-set+json",
		fmt.Sprintf("public, max-age=%d", int(a.Keys.JWKSMaxAge().Seconds())), a.Keys.JWKS)))
	related, err := a.Passkeys.Related()
	if err != nil {
		return nil, err
	}
	if related != nil {
		mux.Handle("/.well-known/webauthn", web.Static("application/json", "public, max-age=3600",
			func() []byte { return related }))
	}
	if a.Config.Introspection != "off" {
		mux.Handle("/schema.graphql", a.current(a.sdl()))
	}
	mux.HandleFunc("GET /healthz", health.Live)
	mux.HandleFunc("GET /readyz", health.Ready)
	handler := web.CloseInACrowd(a.Memory, web.Below(a.Config.PathPrefix, mux))
	return web.SecureHeaders(a.Config.IsHTTPS(), web.Identify(handler, a.proxies.ClientIP)), nil
}

// current counts the requests that set the pace of polls. The first one after a pause waits until the signing
// keys have been read; View.Check does the same for revocations. If that fails, it is judged by the keys
// that are known, as during any outage.
func (a *App) current(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer a.DB.Request()()
		if err := a.Keys.CatchUp(r.Context()); err != nil {
			a.log.DebugContext(r.Context(), "the signing keys were not read before this request", "error", err)
		}
		next.ServeHTTP(w, r)
	})
}

// sdl serves the schema to callers admitted by --introspection.
func (a *App) sdl() http.Handler {
	text := []byte(schema.Print(a.Schema))
	document := web.Static("application/graphql; charset=utf-8", "no-cache", func() []byte { return text })
	return a.authenticator.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Authorization")
		if err := a.policy.MayIntrospect(r.Context(), a.now); err != nil {
			web.Refuse(w, err)
			return
		}
		document.ServeHTTP(w, r)
	}))
}
