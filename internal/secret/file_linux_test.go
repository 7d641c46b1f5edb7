package secret_test

import (
	"encoding/binary"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/graphwarden/graphwarden/internal/secret"
)

// A file name that is not synced is lost in a power failure. A folder has to be opened before it can be synced, and
// inotify reports that.
func TestWriteFileSyncsTheFolderAfterTheName(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	watch, err := syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(watch) }()
	if _, err := syscall.InotifyAddWatch(watch, folder, syscall.IN_CREATE|syscall.IN_OPEN); err != nil {
		t.Fatal(err)
	}
	if err := secret.WriteFile(filepath.Join(folder, "test.secret")); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 64<<10)
	n, err := syscall.Read(watch, buffer)
	if err != nil {
		t.Fatal(err)
	}
	named, opened := false, false
	for events := buffer[:n]; len(events) > 0; {
		mask, length := binary.NativeEndian.Uint32(events[4:]), binary.NativeEndian.Uint32(events[12:])
		name := string(events[syscall.SizeofInotifyEvent : syscall.SizeofInotifyEvent+length])
		events = events[syscall.SizeofInotifyEvent+length:]
		named = named || mask&syscall.IN_CREATE != 0 && name[:min(len(name), len("test.secret"))] == "test.secret"
		opened = opened || named && mask&syscall.IN_OPEN != 0 && mask&syscall.IN_ISDIR != 0
	}
	if !named || !opened {
		t.Errorf("file created: %t, then its folder opened: %t", named, opened)
	}
}
