package storetest

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

// Outage is a Postgres server of one test's own, which it may stop and start again.
type Outage struct {
	// URL leads to an empty database, at each start the same.
	URL     string
	cluster *cluster
	end     func(os.Signal) error // nil while it is stopped
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
	end, err := o.cluster.start()
	if err != nil {
		tb.Fatal(err)
	}
	o.end = end
}
