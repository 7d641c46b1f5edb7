package storetest_test

import (
	"os"
	"testing"
)

func TestAKilledProcessLeavesNoServerRunning(t *testing.T) {
	t.Parallel()
	server := startElsewhere(t)
	t.Cleanup(func() { _ = os.RemoveAll(server.folder) }) // the kernel ends the server but does not remove its folder
	if err := server.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	server.wantGone(t)
}
