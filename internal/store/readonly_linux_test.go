package store_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

func TestOpenRejectsUnwritableSQLiteFiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name         string
		folder, file os.FileMode
	}{
		{name: "a folder", folder: 0o555},
		{name: "a file", folder: 0o777, file: 0o444},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			folder, err := os.MkdirTemp("", "readonly-") // t.TempDir is not accessible without root
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := os.RemoveAll(folder); err != nil {
					t.Error(err)
				}
			})
			path := filepath.Join(folder, "test.db")
			if test.file != 0 {
				if err := os.WriteFile(path, nil, test.file); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chmod(folder, test.folder); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Chmod(folder, 0o700) })
			withoutRoot(t, func() { wantRefusedPath(t, path) })
		})
	}
}

// withoutRoot runs f without root's exemption from file modes, which is a property of the thread.
func withoutRoot(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() == 0 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := syscall.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer syscall.Setfsuid(0)
	}
	f()
}
