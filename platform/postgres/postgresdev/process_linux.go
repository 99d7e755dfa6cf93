package postgresdev

import "syscall"

// childAttributes puts the child into a process group of its own, so that a Ctrl-C in the terminal reaches this
// program only, and asks the kernel to stop the child (SIGINT, a fast shutdown) when this process dies.
func childAttributes(owner *owner) *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGINT}
	if owner.switchUser {
		attributes.Credential = &syscall.Credential{Uid: owner.uid, Gid: owner.gid}
	}
	return attributes
}
