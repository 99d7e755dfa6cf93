package postgresdev

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// process is a started server. done is closed when it has ended and was waited for.
type process struct {
	pid  int
	done chan struct{}
	cmd  *exec.Cmd
}

// startProcess runs the program as the folder's owner, with the files, its output in the log. The child gets SIGINT when the thread that
// forked it ends (Linux), so that thread is held until the child has ended.
func startProcess(program string, args []string, f *folder, files []*os.File) (*process, error) {
	out, err := os.OpenFile(f.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = out, out // a file, not a pipe: nothing breaks when this process is killed
	cmd.ExtraFiles = files
	cmd.Dir = "/"
	cmd.Env = serverEnvironment()
	cmd.SysProcAttr = childAttributes(f.owner)
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer func() { _ = out.Close() }()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		p.pid = cmd.Process.Pid
		started <- nil
		_ = cmd.Wait() // how it ended is in ProcessState
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// signal sends s unless the process has been waited for.
func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.done:
	default:
		_ = p.cmd.Process.Signal(s)
	}
}

// state says how the process ended; for after done.
func (p *process) state() string {
	return p.cmd.ProcessState.String()
}

// serverEnvironment is what PostgreSQL needs and no more: PG* variables of the user must not change it.
func serverEnvironment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
}
