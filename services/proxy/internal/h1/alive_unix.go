//go:build unix

package h1

import (
	"errors"
	"syscall"
	"time"
)

// alive says whether the unused connection can carry a request: the target has neither closed it nor sent anything.
// It does not wait.
func (cn *conn) alive() bool {
	if cn.raw == nil {
		return true
	}
	if cn.limited { // a deadline that has passed would look like a closed connection
		_ = cn.nc.SetReadDeadline(time.Time{})
		cn.limited = false
	}
	alive := false
	err := cn.raw.Read(func(fd uintptr) bool {
		var one [1]byte
		_, err := syscall.Read(int(fd), one[:])
		alive = errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EWOULDBLOCK)
		return true
	})
	return err == nil && alive
}
