package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/graphwarden/graphwarden/internal/app"
	"github.com/graphwarden/graphwarden/internal/memory"
	"github.com/graphwarden/graphwarden/internal/web"
)

type serveCmd struct{}

func (serveCmd) Run(e *env) error {
	// Handle these signals before the start, which may be slow. By default, SIGHUP (a closed terminal, logrotate) and
	// SIGPIPE (a log line after the reader of stderr has exited) would kill the process.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	signal.Ignore(syscall.SIGPIPE)
	return e.with(func(a *app.App) error {
		l, err := new(net.ListenConfig).Listen(context.WithoutCancel(e.ctx), "tcp", e.config.Listen)
		if err != nil {
			return fmt.Errorf("cannot listen on %s: %w; choose another address with --listen", e.config.Listen, err)
		}
		// If GOMEMLIMIT or GOGC is set, the Go runtime has already applied it.
		if os.Getenv("GOMEMLIMIT") == "" {
			debug.SetMemoryLimit(a.Memory.Heap())
		}
		if os.Getenv("GOGC") == "" {
			defer memory.PaceCollector(a.Memory.Heap()/3, time.Now).Stop()
		}
		l, certificate, err := encrypted(a.Bound(l, e.config.TLSCert != ""), e)
		if err != nil {
			return err
		}
		defer reloading(hangups, e, a, certificate)()
		return a.Run(e.ctx, &announced{Listener: l, say: func() { banner(e.out, a, l.Addr().String()) }})
	})
}

// reloading reloads the files that settings name at each SIGHUP, until stop.
func reloading(hangups <-chan os.Signal, e *env, a *app.App, certificate *web.Certificate) (stop func()) {
	ctx, cancel := context.WithCancel(e.ctx)
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
			}
			err := a.Reload()
			if certificate != nil {
				err = errors.Join(err, certificate.Reload())
			}
			if err != nil {
				e.log.Error("cannot reload all files at SIGHUP; those that failed remain in their previous version", "error", err)
				continue
			}
			e.log.Info("reloaded the TLS certificate, the trusted documents and the breached passwords at SIGHUP")
		}
	})
	return func() {
		cancel()
		group.Wait()
	}
}

// encrypted wraps l in TLS if a certificate is configured.
func encrypted(l net.Listener, e *env) (net.Listener, *web.Certificate, error) {
	if e.config.TLSCert == "" {
		return l, nil, nil
	}
	certificate, err := web.OpenCertificate(e.config.TLSCert, e.config.TLSKey, time.Now, e.log)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("--tls-cert and --tls-key: %w", err), l.Close())
	}
	return certificate.Listen(l), certificate, nil
}

// announced is a listener that calls say at the first Accept. Until then the start can still fail, for example because
// another server uses the same database file.
type announced struct {
	net.Listener
	once sync.Once
	say  func()
}

func (l *announced) Accept() (net.Conn, error) {
	l.once.Do(l.say)
	return l.Listener.Accept()
}

// banner prints the URLs, the database and the next step.
func banner(w io.Writer, a *app.App, address string) {
	storage := "Postgres"
	if path := a.DB.Path(); path != "" {
		storage = "SQLite in " + path
	}
	server := a.Config.Scheme() + "://" + address
	fmt.Fprintf(w, "Graphwarden listens on %s/graphql, data in %s.\n", server, storage)
	page := server
	if a.Config.PublicURL != a.Config.LocalURL() {
		page = a.Config.PublicURL
		fmt.Fprintf(w, "Clients find it at %s/graphql.\n", page)
	}
	switch {
	case !a.Config.Production:
		fmt.Fprintf(w, "Next: open %s/ and register an account.\n", page)
	case a.Config.Explorer:
		fmt.Fprintf(w, "GraphiQL is public at %s/.\n", page)
	}
}

type migrateCmd struct{}

func (migrateCmd) Run(e *env) error {
	return e.with(func(*app.App) error { // opening the app migrates the database
		_, err := fmt.Fprintln(e.out, "The database is up to date.")
		return err
	})
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, strings.TrimSuffix(one, "s"))
}
