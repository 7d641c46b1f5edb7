//go:build unix && !linux

package storetest

import "syscall"

// processAttributes protects the server from Ctrl-C. Only Linux can end it with a killed parent.
func processAttributes(as *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: as, Setpgid: true}
}
