package storetest

import "syscall"

// processAttributes keeps Ctrl-C away from the server (its own process group), so that tests that are
// still ending keep their database, and has the kernel end it when this process was killed.
func processAttributes(as *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: as, Setpgid: true, Pdeathsig: syscall.SIGQUIT}
}
