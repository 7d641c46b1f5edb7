//go:build unix && !linux

package storetest

import "syscall"

// processAttributes keeps Ctrl-C away from the server. Only Linux can end it with a killed parent.
func processAttributes(as *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: as, Setpgid: true}
}
