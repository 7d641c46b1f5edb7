//go:build unix

package store

import (
	"os"
	"syscall"
)

// links returns the number of hard links of a file.
func links(info os.FileInfo) uint64 {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 1
	}
	return uint64(stat.Nlink) //nolint:unconvert // narrower on other systems
}
