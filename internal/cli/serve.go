package cli

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/graphwarden/graphwarden/internal/app"
	"github.com/graphwarden/graphwarden/internal/web"
)

type serveCmd struct{}

func (serveCmd) Run(e *env) error {
	return e.with(func(a *app.App) error {
		l, err := net.Listen("tcp", e.config.Listen)
		if err != nil {
			return fmt.Errorf("cannot listen on %s: %w; choose another address with --listen", e.config.Listen, err)
		}
		// GOMEMLIMIT, if it is set, is in force already.
		if os.Getenv("GOMEMLIMIT") == "" {
			debug.SetMemoryLimit(a.Memory.Heap())
		}
		if l, err = encrypted(a.Bound(l, e.config.TLSCert != ""), e); err != nil {
			return err
		}
		return a.Run(e.ctx, &announced{Listener: l, say: func() { banner(e.out, a, l.Addr().String()) }})
	})
}

// encrypted has l speak TLS if there is a certificate.
func encrypted(l net.Listener, e *env) (net.Listener, error) {
	if e.config.TLSCert == "" {
		return l, nil
	}
	certificate, err := web.OpenCertificate(e.config.TLSCert, e.config.TLSKey, time.Now, e.log)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("--tls-cert and --tls-key: %w", err), l.Close())
	}
	return certificate.Listen(l), nil
}

// announced calls say once it is listened to: what can still go wrong at the start, such as another
// server on the same file, goes wrong before.
type announced struct {
	net.Listener
	once sync.Once
	say  func()
}

func (l *announced) Accept() (net.Conn, error) {
	l.once.Do(l.say)
	return l.Listener.Accept()
}

// banner says where things are and what to do next.
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
		fmt.Fprintf(w, "GraphiQL is at %s/, for everybody who gets there.\n", page)
	}
}

type migrateCmd struct{}

func (migrateCmd) Run(e *env) error {
	return e.with(func(*app.App) error { // opening migrates
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
