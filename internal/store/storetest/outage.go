package storetest

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Outage is a Postgres server of one test's own, which it may stop and start again.
type Outage struct {
	// URL leads to an empty database, at each start the same.
	URL     string
	cluster *cluster
	server  *os.Process
	end     func(os.Signal) error // nil while it is stopped
	frozen  []int                 // the processes that Thaw continues
}

// StartOutage starts the server; it ends with the test.
func StartOutage(tb testing.TB) *Outage {
	tb.Helper()
	bin, err := serverBinaries()
	if errors.Is(err, ErrNotInstalled) && os.Getenv("CI") != "true" {
		tb.Skip("NOT TESTED: " + err.Error())
	}
	if err != nil {
		tb.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "graphwarden-postgres-") // that of tb is for its own user only
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

// Stop breaks all connections off and refuses new ones. What was committed stays.
func (o *Outage) Stop(tb testing.TB) {
	tb.Helper()
	err := o.end(syscall.SIGINT) // its fast shutdown, which writes what synchronous_commit=off left in memory
	if o.end = nil; err != nil {
		tb.Fatal(err)
	}
}

// Start runs the server again.
func (o *Outage) Start(tb testing.TB) {
	tb.Helper()
	server, end, err := o.cluster.start()
	if err != nil {
		tb.Fatal(err)
	}
	o.server, o.end = server, end
}

// Demote makes the server a standby, which follows no other and cannot be written until Promote. It
// breaks all connections off.
func (o *Outage) Demote(tb testing.TB) {
	tb.Helper()
	o.Stop(tb)
	if err := os.WriteFile(filepath.Join(o.cluster.data(), "standby.signal"), nil, 0o644); err != nil {
		tb.Fatal(err)
	}
	o.Start(tb)
}

// Promote makes the standby a server of its own.
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

// Freeze stops the server's processes where they are until Thaw: the system still accepts connections
// in their name, and no answer comes.
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
	// The parent first, so that no further process starts.
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

// Thaw lets a frozen server continue.
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
