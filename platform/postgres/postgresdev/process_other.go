//go:build unix && !linux

package postgresdev

import "syscall"

// childAttributes puts the child into a process group of its own. There is no death signal here: a server that
// outlives a killed program is ended by the next Start on its folder.
func childAttributes(owner *owner) *syscall.SysProcAttr {
	attributes := &syscall.SysProcAttr{Setpgid: true}
	if owner.switchUser {
		attributes.Credential = &syscall.Credential{Uid: owner.uid, Gid: owner.gid}
	}
	return attributes
}
