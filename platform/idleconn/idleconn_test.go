//go:build unix

package idleconn

import (
	"net"
	"syscall"
	"testing"
	"time"
)

// pair is a connection and its other end.
func pair(t *testing.T) (ours syscall.RawConn, theirs net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if theirs, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = theirs.Close() })
	if ours, err = nc.(*net.TCPConn).SyscallConn(); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

func unusable(raw syscall.RawConn) bool {
	deadline := time.After(5 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for Usable(raw) {
		select {
		case <-tick.C:
		case <-deadline:
			return false
		}
	}
	return true
}

func TestAConnectionIsUsableWhileNothingCameOverIt(t *testing.T) {
	t.Parallel()
	raw, theirs := pair(t)
	if !Usable(raw) {
		t.Error("an open connection is not usable")
	}
	_ = theirs.Close()
	if !unusable(raw) {
		t.Error("a closed connection is usable")
	}
	raw, theirs = pair(t)
	_, _ = theirs.Write([]byte("HTTP/1.1 408 Request Timeout\r\n"))
	if !unusable(raw) {
		t.Error("a connection over which an answer to nothing came is usable")
	}
	if !Usable(nil) {
		t.Error("one that cannot be asked is not usable")
	}
}
