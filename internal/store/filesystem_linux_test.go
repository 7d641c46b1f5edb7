package store_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/graphwarden/graphwarden/internal/store"
)

func TestNetworkFileSystemNames(t *testing.T) {
	t.Parallel()
	for magic, want := range map[int64]string{
		0x6969: "NFS", 0xff534d42: "CIFS", -0xacb2be: "CIFS", 0xfe534d42: "SMB2", 0x65735546: "FUSE",
		0xef53: "", 0x01021994: "", 0x9123683e: "", 0: "",
	} {
		if got := store.FileSystem(magic); got != want {
			t.Errorf("%#x: %q, want %q", magic, got, want)
		}
	}
}

func TestNetworkFileSystemUsesTheNearestExistingFolder(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "not", "yet", "there.db")
	for _, path := range []string{t.TempDir(), missing, "/proc/self", "/dev/shm/none"} {
		var at syscall.Statfs_t
		for folder := path; ; folder = filepath.Dir(folder) {
			if err := syscall.Statfs(folder, &at); err == nil {
				break
			}
		}
		if got, want := store.NetworkFileSystem(path), store.FileSystem(int64(at.Type)); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if got := store.NetworkFileSystem("data/relative.db"); got != store.NetworkFileSystem(".") {
		t.Errorf("relative: %q", got)
	}
}
