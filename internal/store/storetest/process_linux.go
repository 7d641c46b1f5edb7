package storetest

import "syscall"

// processAttributes gives the server its own process group, so that Ctrl-C does not end it before the tests that still
// use it, and makes the kernel end it if this process is killed.
func processAttributes(as *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: as, Setpgid: true, Pdeathsig: syscall.SIGQUIT}
}
