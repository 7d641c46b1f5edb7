package secret

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// WriteFile writes a new random secret to a file that only its owner may read. The file appears atomically and never
// replaces an existing one, so that two processes that start concurrently end up with the same secret.
func WriteFile(path string) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // 0600
	if err != nil {
		return fmt.Errorf("create secret file: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = fmt.Fprintln(tmp, base64.RawURLEncoding.EncodeToString(Random(MinLength)))
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("write secret file: %w", err)
	}
	// A link, unlike a rename, does not replace an existing file.
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("link secret file: %w", err)
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes the new file name survive a power failure. Keys are sealed under the secret right away, and would be
// lost with it.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil // Windows cannot sync a folder
	}
	folder, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync the folder of the secret file: %w", err)
	}
	if err := errors.Join(folder.Sync(), folder.Close()); err != nil {
		return fmt.Errorf("sync the folder of the secret file: %w", err)
	}
	return nil
}
