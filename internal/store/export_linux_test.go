package store

// FileSystem names a network file system by its magic number.
func FileSystem(magic int64) string { return fileSystem(magic) }
