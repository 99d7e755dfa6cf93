package proc

import (
	"context"
	"errors"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pollInterval is how often a process is looked at where the kernel has no pidfd (before Linux 5.10).
const pollInterval = 100 * time.Millisecond

// attributes makes a session, and lets a dependent process die with the thread that starts it: Go keeps its threads
// as long as the program runs.
func attributes(dependent bool) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if dependent {
		attr.Pdeathsig = syscall.SIGKILL
	}
	return attr
}

// Handle is one process, also after its end.
type Handle struct {
	pid   int
	start uint64
	pidfd *os.File // nil on old kernels
}

// Open returns a handle of the process, or ErrGone. One that has ended and was not collected is still there.
func Open(pid int, start uint64) (*Handle, error) {
	h := &Handle{pid: pid, start: start}
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	switch {
	case errors.Is(err, unix.ESRCH):
		return nil, ErrGone
	case err == nil:
		// Non-blocking: the runtime's poller waits for it, without a thread.
		h.pidfd = os.NewFile(uintptr(fd), "pidfd:"+strconv.Itoa(pid))
	}
	// The pidfd came first: if the start time is right now, the pidfd is of this process for good.
	if !h.same() {
		h.Close()
		return nil, ErrGone
	}
	return h, nil
}

// Close frees the handle; the process runs on.
func (h *Handle) Close() {
	if h.pidfd != nil {
		_ = h.pidfd.Close()
	}
}

// Wait returns nil as soon as the process has ended, or the context's error.
func (h *Handle) Wait(ctx context.Context) error {
	if h.pidfd == nil {
		return h.poll(ctx)
	}
	stop := context.AfterFunc(ctx, func() { _ = h.pidfd.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	conn, err := h.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	err = conn.Read(func(fd uintptr) bool {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		return err == nil && n > 0
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (h *Handle) poll(ctx context.Context) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		stat, err := readStat(h.pid)
		if err != nil || stat.start != h.start || stat.state == 'Z' || stat.state == 'X' {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// SignalGroup signals the process group that the process leads. Nothing to signal is no error.
func (h *Handle) SignalGroup(signal syscall.Signal) error {
	err := error(unix.EINVAL)
	if h.pidfd != nil {
		// Linux 6.9: the group of this very process, whoever has its id now.
		err = h.control(func(fd int) error {
			return unix.PidfdSendSignal(fd, signal, nil, unix.PIDFD_SIGNAL_PROCESS_GROUP)
		})
	}
	if errors.Is(err, unix.EINVAL) && h.same() {
		err = unix.Kill(-h.pid, signal)
	} else if errors.Is(err, unix.EINVAL) {
		return nil // an older kernel, and the id may be another's: leave it alone
	}
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	return err
}

// Kill kills the process alone. It may return ErrGone.
func (h *Handle) Kill() error {
	err := ErrGone
	if h.pidfd != nil {
		err = h.control(func(fd int) error { return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) })
	} else if h.same() {
		err = unix.Kill(h.pid, unix.SIGKILL)
	}
	if errors.Is(err, unix.ESRCH) {
		return ErrGone
	}
	return err
}

// Reap collects the exit after Wait has returned nil.
func (h *Handle) Reap() Exit {
	child := h.same()
	if h.pidfd != nil {
		child = h.control(func(fd int) error {
			return unix.Waitid(unix.P_PIDFD, fd, nil, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
		}) == nil
	}
	if !child {
		return Exit{}
	}
	// An ended child keeps its id until it is collected: no other process can have it.
	return reap(h.pid)
}

// same says whether the id is this process's still.
func (h *Handle) same() bool {
	stat, err := readStat(h.pid)
	return err == nil && stat.start == h.start
}

func (h *Handle) control(f func(fd int) error) error {
	conn, err := h.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := conn.Control(func(fd uintptr) { result = f(int(fd)) }); err != nil {
		return err
	}
	return result
}
