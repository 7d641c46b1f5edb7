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

// WriteFile makes a new secret in a file that only its owner may read. It appears whole or not at all,
// and an existing file stays: of two processes that start at once, both end up with the first one's.
func WriteFile(path string) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".secret-*") // 0600
	if err != nil {
		return fmt.Errorf("make secret file: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = fmt.Fprintln(tmp, base64.RawURLEncoding.EncodeToString(Random(MinLength)))
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("write secret file: %w", err)
	}
	// A link, unlike a rename, does not replace what is there.
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("place secret file: %w", err)
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes the name of a new file survive a power cut: keys are sealed under the secret at once, and without
// it they are lost.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil // it has no such operation
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
