package store

import (
	"os"
	"path/filepath"
	"syscall"
)

// networked lists the file systems, by the magic numbers of statfs(2), on which locks and shared memory may not work
// between hosts, or at all. FUSE covers sshfs, object stores and the folders that desktops share with containers.
var networked = map[uint32]string{
	0x00006969: "NFS",
	0x0000517b: "SMB",
	0xff534d42: "CIFS",
	0xfe534d42: "SMB2",
	0x65735546: "FUSE",
	0x01021997: "9P",
	0x00c36400: "Ceph",
	0x5346414f: "AFS",
	0x0bd00bd0: "Lustre",
	0x47504653: "GPFS",
	0x73757245: "Coda",
	0x786f4256: "VirtualBox",
}

// NetworkFileSystem names the network file system of path, which need not exist yet. It returns "" for a local file
// system and if it cannot find out.
func NetworkFileSystem(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return ""
	}
	for {
		var at syscall.Statfs_t
		err := syscall.Statfs(path, &at)
		if err == nil {
			return fileSystem(int64(at.Type))
		}
		if !os.IsNotExist(err) || path == filepath.Dir(path) {
			return ""
		}
		path = filepath.Dir(path)
	}
}

// fileSystem looks up a magic number. The type of Statfs_t.Type depends on the platform; magic numbers have 32 bits.
func fileSystem(magic int64) string { return networked[uint32(magic)] }
