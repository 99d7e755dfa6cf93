//go:build unix

package idleconn

import (
	"errors"
	"syscall"
)

// Usable says whether nothing has come over an unused connection since its last use, neither bytes nor its end, so that it can carry a
// request. It does not wait. The connection must have no read deadline that has passed; a nil one is taken for usable.
func Usable(raw syscall.RawConn) bool {
	if raw == nil {
		return true
	}
	silent := false
	err := raw.Read(func(fd uintptr) bool {
		var one [1]byte
		_, err := syscall.Read(int(fd), one[:])
		silent = errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EWOULDBLOCK)
		return true
	})
	return err == nil && silent
}
