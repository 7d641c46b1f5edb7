package store

// FileSystem is fileSystem.
func FileSystem(magic int64) string { return fileSystem(magic) }
