package postgres

import "syscall"

// sysProcAttr runs a process as cred, out of the terminal's reach (Ctrl-C is for
// us, who then stop it in order), and sends it farewell when we die.
func sysProcAttr(cred *syscall.Credential, farewell syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: cred, Setpgid: true, Pdeathsig: farewell}
}
