//go:build !linux

package store

// NetworkFileSystem cannot tell here.
func NetworkFileSystem(string) string { return "" }
