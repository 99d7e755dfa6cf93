package proc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// attributes makes a session. The kernel has no way to end a process with another.
func attributes(bool) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// Handle is one process, also after its end.
type Handle struct {
	pid   int
	start uint64
}

// Open returns a handle of the process, or ErrGone. One that has ended and was not collected is still there.
func Open(pid int, start uint64) (*Handle, error) {
	h := &Handle{pid: pid, start: start}
	if !h.same() {
		return nil, ErrGone
	}
	return h, nil
}

// Close frees the handle; the process runs on.
func (h *Handle) Close() {}

// Wait returns nil as soon as the process has ended, or the context's error up to a second after it ended. The kernel
// tells the end of any process, child or not, through a kqueue.
func (h *Handle) Wait(ctx context.Context) error {
	queue, err := unix.Kqueue()
	if err != nil {
		return err
	}
	defer unix.Close(queue)
	var change unix.Kevent_t
	unix.SetKevent(&change, h.pid, unix.EVFILT_PROC, unix.EV_ADD|unix.EV_ONESHOT)
	change.Fflags = unix.NOTE_EXIT
	if _, err := unix.Kevent(queue, []unix.Kevent_t{change}, nil, nil); err != nil {
		if errors.Is(err, unix.ESRCH) {
			return nil
		}
		return err
	}
	if !h.same() {
		return nil
	}
	second := unix.NsecToTimespec(int64(time.Second))
	for ctx.Err() == nil {
		events := make([]unix.Kevent_t, 1)
		n, err := unix.Kevent(queue, nil, events, &second)
		if n > 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return ctx.Err()
}

// SignalGroup signals the process group that the process leads. Nothing to signal is no error.
func (h *Handle) SignalGroup(signal syscall.Signal) error {
	if !h.same() {
		return nil
	}
	if err := unix.Kill(-h.pid, signal); !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

// Kill kills the process alone. It may return ErrGone.
func (h *Handle) Kill() error {
	if !h.same() {
		return ErrGone
	}
	if err := unix.Kill(h.pid, unix.SIGKILL); !errors.Is(err, unix.ESRCH) {
		return err
	}
	return ErrGone
}

// Reap collects the exit after Wait has returned nil.
func (h *Handle) Reap() Exit {
	if !h.same() {
		return Exit{}
	}
	return reap(h.pid)
}

// same says whether the id is this process's still.
func (h *Handle) same() bool {
	start, err := StartTime(h.pid)
	return err == nil && start == h.start
}

// BootID names the boot of the machine: process ids of another boot mean nothing.
func BootID() (string, error) { return unix.Sysctl("kern.bootsessionuuid") }

// StartTime is the process's start in microseconds.
func StartTime(pid int) (uint64, error) {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil || info.Proc.P_pid != int32(pid) {
		return 0, ErrGone
	}
	return startTime(info), nil
}

func startTime(info *unix.KinfoProc) uint64 {
	return uint64(info.Proc.P_starttime.Sec)*1e6 + uint64(info.Proc.P_starttime.Usec)
}

// Find looks through every process for those that have variable in their environment and returns them by its value.
// The output files are not looked at here.
func Find(variable string, _ map[string]string) (map[string][]Process, error) {
	all, err := unix.SysctlKinfoProcSlice("kern.proc.all")
	if err != nil {
		return nil, err
	}
	found := make(map[string][]Process)
	for i := range all {
		pid := int(all[i].Proc.P_pid)
		mark := marked(pid, variable)
		if mark == "" {
			continue
		}
		session, err := unix.Getsid(pid)
		leader := err == nil && session == pid
		found[mark] = append(found[mark], Process{PID: pid, Start: startTime(&all[i]), Leader: leader})
	}
	return found, nil
}

// marked reads the variable from a process's first environment: after the count and the texts of its arguments.
func marked(pid int, variable string) string {
	data, err := unix.SysctlRaw("kern.procargs2", pid)
	if err != nil || len(data) < 4 {
		return ""
	}
	arguments := int(binary.LittleEndian.Uint32(data))
	texts := bytes.Split(data[4:], []byte{0})
	for i, text := range texts {
		if i <= arguments {
			continue
		}
		if key, value, ok := strings.Cut(string(text), "="); ok && key == variable {
			return value
		}
	}
	return ""
}
