//go:build !linux

package store

import "syscall"

// giveUp leaves the limit for unacknowledged data to the system.
func giveUp(string, string, syscall.RawConn) error { return nil }
