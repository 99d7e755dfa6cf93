//go:build !unix

package idleconn

import "syscall"

// Usable cannot be told here without waiting.
func Usable(syscall.RawConn) bool { return true }
