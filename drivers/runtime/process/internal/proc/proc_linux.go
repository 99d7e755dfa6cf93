package proc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
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

// Kill kills the process alone.
func (h *Handle) Kill() error {
	if h.pidfd != nil {
		return h.control(func(fd int) error { return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) })
	}
	if !h.same() {
		return ErrGone
	}
	return unix.Kill(h.pid, unix.SIGKILL)
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

// BootID names the boot of the machine: process ids and start times of another boot mean nothing.
func BootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id)), err
}

// StartTime is the process's start in clock ticks since the boot.
func StartTime(pid int) (uint64, error) {
	stat, err := readStat(pid)
	if err != nil {
		return 0, ErrGone
	}
	return stat.start, nil
}

// Find looks through every process for those that have variable in their environment or that write their output to
// one of the files, and returns them by the variable's value or what the map says for the file. The second way finds a
// program that has overwritten its environment, as some do to show a title. A program that has in addition sent both
// its outputs elsewhere is not found.
func Find(variable string, outputs map[string]string) (map[string][]Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	found := make(map[string][]Process)
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// Processes come and go, and others' may not be read: what cannot be read is not ours.
		stat, err := readStat(pid)
		if err != nil || stat.state == 'Z' || stat.state == 'X' {
			continue
		}
		if mark := marked(pid, variable, outputs); mark != "" {
			found[mark] = append(found[mark], Process{PID: pid, Start: stat.start, Leader: stat.session == pid})
		}
	}
	return found, nil
}

func marked(pid int, variable string, outputs map[string]string) string {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err == nil {
		for assignment := range bytes.SplitSeq(environ, []byte{0}) {
			if key, value, ok := strings.Cut(string(assignment), "="); ok && key == variable {
				return value
			}
		}
	}
	for _, fd := range []int{1, 2} {
		target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
		if mark, ok := outputs[target]; err == nil && ok {
			return mark
		}
	}
	return ""
}

type stat struct {
	state   byte
	session int
	start   uint64
}

// readStat reads /proc/<pid>/stat. The second field, the name, may hold spaces and brackets: the others are counted
// from the last bracket.
func readStat(pid int) (stat, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	_, rest, ok := cutLast(string(data), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return stat{}, fmt.Errorf("/proc/%d/stat has another form than expected", pid)
	}
	session, err := strconv.Atoi(fields[3]) // field 6
	if err != nil {
		return stat{}, err
	}
	start, err := strconv.ParseUint(fields[19], 10, 64) // field 22
	if err != nil {
		return stat{}, err
	}
	return stat{state: fields[0][0], session: session, start: start}, nil
}

func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}
