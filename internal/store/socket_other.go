//go:build !linux

package store

import "syscall"

// giveUp leaves to the system how long what was sent may stay unacknowledged.
func giveUp(string, string, syscall.RawConn) error { return nil }
