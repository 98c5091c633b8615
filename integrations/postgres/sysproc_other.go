//go:build !linux

package postgres

import "syscall"

// sysProcAttr runs a process as cred, out of the terminal's reach. This system
// cannot tell a process that its parent died: a server left behind by a kill -9
// stays until the next start finds and ends it, or somebody does.
func sysProcAttr(cred *syscall.Credential, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: cred, Setpgid: true}
}
