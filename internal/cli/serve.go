package cli

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/graphwarden/graphwarden/internal/app"
)

type serveCmd struct{}

func (serveCmd) Run(e *env) error {
	return e.with(func(a *app.App) error {
		l, err := net.Listen("tcp", e.config.Listen)
		if err != nil {
			return fmt.Errorf("cannot listen on %s: %w; choose another address with --listen", e.config.Listen, err)
		}
		return a.Run(e.ctx, &announced{Listener: l, say: func() { banner(e.out, a, l.Addr().String()) }})
	})
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
	fmt.Fprintf(w, "Graphwarden listens on http://%s/graphql, data in %s.\n", address, storage)
	if !a.Config.Production {
		fmt.Fprintf(w, "Next: open http://%s/ and register an account.\n", address)
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
