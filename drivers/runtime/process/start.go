//go:build linux || darwin

package process

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/internal/state"
	"github.com/slipway-deploy/slipway/drivers/runtime/process/internal/proc"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// start starts the containers of a pending task that have not been started, in order. It returns early when the
// task is no longer wanted.
func (s *supervisor) start() {
	if s.startError != nil {
		s.fail(s.startError)
		return
	}
	for i := range s.rec.Containers {
		if len(s.unlisted) > 0 {
			return
		}
		if s.rec.Containers[i].Phase != planned {
			continue
		}
		if err := s.startContainer(i); err != nil {
			s.fail(err)
			return
		}
	}
	s.rec.State, s.rec.RunningTime = runtime.Running, now()
	s.save()
	s.publish()
	s.startChecks()
}

// fail ends a task that cannot start.
func (s *supervisor) fail(err error) {
	reason := err.Error()
	if p := problem.As(err); p != nil {
		reason = p.Message
	}
	s.beginStop(runtime.TaskFailedToStart, reason, nil)
}

// startContainer starts one container: first it writes down that it will, then it does, then it writes down the
// process. The error is a sentence for the stop reason.
func (s *supervisor) startContainer(i int) error {
	c := &s.rec.Containers[i]
	command, err := s.rec.launch(i, s.d.cfg.WorkingDirectory)
	if err != nil {
		return err
	}
	output, err := s.openLog(i)
	if err != nil {
		return state.Problem(err)
	}
	defer output.Close()
	s.rec.Boot, c.Phase, c.StartTime = s.d.boot, starting, now()
	if err := s.write(); err != nil {
		c.Phase = planned
		return err
	}
	if err := s.d.cfg.at("intended"); err != nil {
		return err
	}
	env := command.env
	env[tokenVariable] = c.Token
	handle, err := proc.Start(proc.Command{
		Path: command.path, Args: command.args, Env: assignments(env), Dir: command.dir, Output: output,
	})
	if err != nil {
		c.Phase = exited
		return fmt.Errorf("container %s: command %q cannot start: %w", c.Spec.Name, command.args[0], err)
	}
	return s.take(i, handle)
}

// take writes down the process that was just started. If that fails the process is killed: what is not on disk must
// not run.
func (s *supervisor) take(i int, handle *proc.Handle) error {
	c := &s.rec.Containers[i]
	err := s.d.cfg.at("started")
	p := handle.Process()
	c.PID, c.Start, c.Phase = p.PID, p.Start, running
	s.handles[i] = handle
	if err == nil {
		err = s.write()
	}
	if err == nil {
		err = s.d.cfg.at("recorded")
	}
	if err != nil {
		// Its end is awaited like any other.
		c.StopDeadline, c.Terminated, c.killed = now(), true, true
		s.signal(i, syscall.SIGKILL)
	}
	s.watch(i)
	return err
}

// write writes the record or returns why not.
func (s *supervisor) write() error {
	err := s.d.disk.Write(s.d.cfg.taskPath(s.rec.Name), &s.rec)
	s.unsaved = err != nil
	return err
}

func (s *supervisor) logPath(i int) string {
	return s.d.cfg.containerLog(s.rec.Service, s.rec.Name, s.rec.Containers[i].Spec.Name)
}

// openLog opens the container's log file. Each write goes to its end, also after it was cut.
func (s *supervisor) openLog(i int) (*os.File, error) {
	path := s.logPath(i)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}
