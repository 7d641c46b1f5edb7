package storetest_test

import (
	"os"
	"testing"
)

func TestAKilledProcessLeavesNoServer(t *testing.T) {
	t.Parallel()
	server := startElsewhere(t)
	t.Cleanup(func() { _ = os.RemoveAll(server.folder) }) // only a server is ended by the kernel
	if err := server.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	server.wantGone(t)
}
