//go:build !linux

package store

// NetworkFileSystem returns "", because it cannot find out on this system.
func NetworkFileSystem(string) string { return "" }
