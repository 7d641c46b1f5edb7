package storetest

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Outage is a Postgres server of a single test, which may stop and restart it.
type Outage struct {
	// URL is that of an empty database. It does not change when the server restarts.
	URL     string
	cluster *cluster
	server  *os.Process
	end     func(os.Signal) error // nil while the server is stopped
	frozen  []int                 // the processes that Thaw continues
}

// StartOutage starts a server that runs until the end of the test.
func StartOutage(tb testing.TB) *Outage {
	tb.Helper()
	bin, err := serverBinaries()
	if errors.Is(err, ErrNotInstalled) && os.Getenv("CI") != "true" {
		tb.Skip("NOT TESTED: " + err.Error())
	}
	if err != nil {
		tb.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "graphwarden-postgres-") // tb.TempDir is not accessible to the server's user
	if err != nil {
		tb.Fatal(err)
	}
	o := &Outage{}
	tb.Cleanup(func() {
		if o.end != nil {
			o.Thaw(tb)
			o.Stop(tb)
		}
		if err := os.RemoveAll(dir); err != nil {
			tb.Error(err)
		}
	})
	if o.cluster, err = newCluster(dir, bin); err != nil {
		tb.Fatal(err)
	}
	o.URL = o.cluster.url()
	o.Start(tb)
	return o
}

// Stop stops the server and closes all connections. Committed data stays.
func (o *Outage) Stop(tb testing.TB) {
	tb.Helper()
	err := o.end(syscall.SIGINT) // fast shutdown; it flushes commits that synchronous_commit=off left in memory
	o.end = nil
	if err != nil {
		tb.Fatal(err)
	}
}

// Start restarts the server.
func (o *Outage) Start(tb testing.TB) {
	tb.Helper()
	server, end, err := o.cluster.start()
	if err != nil {
		tb.Fatal(err)
	}
	o.server, o.end = server, end
}

// Demote restarts the server as a standby without a primary. It cannot be written until Promote.
func (o *Outage) Demote(tb testing.TB) {
	tb.Helper()
	o.Stop(tb)
	if err := os.WriteFile(filepath.Join(o.cluster.data(), "standby.signal"), nil, 0o644); err != nil {
		tb.Fatal(err)
	}
	o.Start(tb)
}

// Promote makes the standby a primary.
func (o *Outage) Promote(tb testing.TB) {
	tb.Helper()
	db, err := sql.Open("postgres", o.URL)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var promoted bool
	if err := db.QueryRowContext(tb.Context(), "SELECT pg_promote()").Scan(&promoted); err != nil || !promoted {
		tb.Fatalf("promoted: %t, %v", promoted, err)
	}
}

// Freeze suspends the server's processes until Thaw: the kernel still accepts connections, but the server does not
// answer.
func (o *Outage) Freeze(tb testing.TB) {
	tb.Helper()
	db, err := sql.Open("postgres", o.URL)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	conn, err := db.Conn(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	// The parent first, so that it starts no further process.
	o.signal(tb, o.server.Pid, syscall.SIGSTOP)
	rows, err := conn.QueryContext(tb.Context(), "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var pid int
		if err := rows.Scan(&pid); err != nil {
			tb.Fatal(err)
		}
		o.frozen = append(o.frozen, pid)
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	for _, pid := range o.frozen {
		o.signal(tb, pid, syscall.SIGSTOP)
	}
	o.frozen = append(o.frozen, o.server.Pid)
}

// Thaw resumes a frozen server.
func (o *Outage) Thaw(tb testing.TB) {
	tb.Helper()
	for _, pid := range o.frozen {
		o.signal(tb, pid, syscall.SIGCONT)
	}
	o.frozen = nil
}

func (o *Outage) signal(tb testing.TB, pid int, signal syscall.Signal) {
	tb.Helper()
	if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		tb.Fatal(err)
	}
}
