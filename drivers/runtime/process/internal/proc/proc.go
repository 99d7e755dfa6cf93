//go:build linux || darwin

// Package proc watches and signals processes that may not be children of this one. A process is named by its id
// and its start time, so that an id that was used again is never taken for it. It knows no tasks; it imports the
// standard library and golang.org/x/sys.
package proc

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// ErrGone says that the process does not exist any more, or that its id belongs to another one now.
var ErrGone = errors.New("the process is gone")

// Exit is how a process ended.
type Exit struct {
	// Known is false when the process was not a child of this one: then nobody can tell.
	Known bool
	// Code is the exit code, 128 + n after signal n.
	Code int
	// Signal is what killed it; 0: none.
	Signal syscall.Signal
}

// Process is one that was found running.
type Process struct {
	PID   int
	Start uint64
	// Leader: it leads its session, as every container's first process does.
	Leader bool
}

// Command is a program to start.
type Command struct {
	Path      string
	Args, Env []string
	Dir       string
	// Output gets what the program writes; nil: nothing keeps it.
	Output *os.File
	// Dependent: the program ends with this process (on Linux; elsewhere it may outlive it).
	Dependent bool
}

// Start starts a program with an empty input in a session and process group of its own, so that it outlives this
// process.
func Start(c Command) (*Handle, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	output := c.Output
	if output == nil {
		output = null
	}
	p, err := os.StartProcess(c.Path, c.Args, &os.ProcAttr{
		Dir: c.Dir, Env: c.Env, Files: []*os.File{null, output, output}, Sys: attributes(c.Dependent),
	})
	if err != nil {
		return nil, err
	}
	pid := p.Pid
	// The Handle waits for it instead. A child that was not collected keeps its id, so it is found even if it has ended.
	err = p.Release()
	start, startErr := StartTime(pid)
	handle, openErr := Open(pid, start)
	if err := errors.Join(err, startErr, openErr); err != nil {
		_ = syscall.Kill(-pid, syscall.SIGKILL) // what cannot be watched must not run
		return nil, fmt.Errorf("watch the new process: %w", err)
	}
	return handle, nil
}

// Process names the process.
func (h *Handle) Process() Process { return Process{PID: h.pid, Start: h.start, Leader: true} }

// reap collects the exit of a child that has ended. It must be certain that pid is that child still.
func reap(pid int) Exit {
	var status syscall.WaitStatus
	for {
		got, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || got != pid {
			return Exit{}
		}
		if status.Signaled() {
			return Exit{Known: true, Code: 128 + int(status.Signal()), Signal: status.Signal()}
		}
		return Exit{Known: true, Code: status.ExitStatus()}
	}
}
