package memory

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// ContainerLimit returns the smallest memory limit of the cgroups that this process is in (version 2), in bytes, or 0
// without one. root is the root of the file system.
func ContainerLimit(root fs.FS) int64 {
	own, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0
	}
	least := int64(0)
	for line := range strings.Lines(string(own)) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		// In a container the path is that of its own root.
		for ; ; group = path.Dir(group) {
			text, err := fs.ReadFile(root, path.Join("sys/fs/cgroup", group, "memory.max"))
			if err == nil {
				// A cgroup without a limit says "max".
				limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
				if err == nil && (least == 0 || limit < least) {
					least = limit
				}
			}
			if path.Dir(group) == group {
				break
			}
		}
	}
	return least
}
