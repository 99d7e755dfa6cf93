//go:build linux || darwin

package process

import (
	"fmt"
	"syscall"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/process/internal/proc"
)

// beginStop ends the task: at once if nothing of it runs, or else by SIGTERM and, at a deadline that is written down
// first, SIGKILL. What stops it first is what is told.
func (s *supervisor) beginStop(code runtime.StopCode, reason string, exit *int) {
	if s.rec.State == runtime.Stopping || s.rec.State == runtime.Stopped {
		return
	}
	s.stopChecks()
	s.rec.StopCode, s.rec.StopReason, s.rec.ExitCode = code, reason, exit
	if !s.rec.anyRunning() {
		s.finish()
		return
	}
	s.rec.State = runtime.Stopping
	for i := range s.rec.Containers {
		if c := &s.rec.Containers[i]; c.Phase == running && c.StopDeadline.IsZero() {
			c.StopDeadline = now().Add(c.stopTimeout())
		}
	}
	s.save()
	s.publish()
	_ = s.d.cfg.at("stopping")
	s.terminate()
}

// terminate sends SIGTERM to every container that runs and has not got it.
func (s *supervisor) terminate() {
	sent := false
	for i := range s.rec.Containers {
		c := &s.rec.Containers[i]
		if c.Phase == running && s.handles[i] != nil && !c.Terminated {
			s.signal(i, syscall.SIGTERM)
			c.Terminated, sent = true, true
		}
	}
	if sent {
		_ = s.d.cfg.at("terminating")
		s.save()
	}
}

// killOverdue sends SIGKILL to every container whose deadline has passed.
func (s *supervisor) killOverdue() {
	for i := range s.rec.Containers {
		c := &s.rec.Containers[i]
		if c.Phase == running && s.handles[i] != nil && !c.StopDeadline.IsZero() && !c.killed && !now().Before(c.StopDeadline) {
			s.signal(i, syscall.SIGKILL)
			c.killed = true
		}
	}
}

func (s *supervisor) signal(i int, signal syscall.Signal) {
	if err := s.handles[i].SignalGroup(signal); err != nil {
		s.d.log.Error("A container cannot be signalled.",
			"task", s.rec.Name, "container", s.rec.Containers[i].Spec.Name, "signal", signal.String(), "error", err)
	}
}

// onExit notes that a container's process is gone, and ends what it left running in its group.
func (s *supervisor) onExit(e exitEvent) {
	_ = s.d.cfg.at("exited")
	c := &s.rec.Containers[e.container]
	c.Phase = exited
	var end proc.Exit
	if handle := s.handles[e.container]; handle != nil {
		s.signal(e.container, syscall.SIGKILL)
		end = handle.Reap()
		handle.Close()
		s.handles[e.container] = nil
	}
	if end.Known {
		c.ExitCode = &end.Code
	}
	s.d.logs.remove(s.logPath(e.container))
	switch {
	case e.failed:
		s.beginStop(runtime.TaskFailedToStart, fmt.Sprintf("container %s: %s", c.Spec.Name, e.lost), nil)
	case c.Spec.Essential:
		s.beginStop(runtime.EssentialContainerExited, exitReason(c.Spec.Name, end, e.lost), c.ExitCode)
	}
	if s.rec.State == runtime.Stopping && !s.rec.anyRunning() {
		s.finish()
		return
	}
	if s.rec.State != runtime.Stopped {
		s.save()
	}
}

// exitReason says how an essential container ended.
func exitReason(container string, end proc.Exit, lost string) string {
	switch {
	case lost != "":
		return fmt.Sprintf("essential container %s %s; its exit code is not known", container, lost)
	case !end.Known:
		return fmt.Sprintf("essential container %s exited; its exit code is not known, "+
			"for it was started by an earlier run of the runtime", container)
	case end.Signal != 0:
		return fmt.Sprintf("essential container %s was ended by signal %d (%s)", container, int(end.Signal), end.Signal)
	}
	return fmt.Sprintf("essential container %s exited with code %d", container, end.Code)
}

// finish makes the task stopped.
func (s *supervisor) finish() {
	s.rec.State, s.rec.StopTime = runtime.Stopped, now()
	if s.rec.ExitCode == nil {
		s.rec.ExitCode = s.rec.essentialExit()
	}
	for i := range s.rec.Containers {
		s.rec.Containers[i].Phase = exited
	}
	s.d.ports.release(s.rec.ports())
	if s.rec.StopCode == runtime.TaskFailedToStart {
		s.save() // before it is shown: a driver that does not find it written down would start the task again
		s.publish()
	} else {
		s.publish() // at once: a driver that does not find it written down finds the processes gone
		s.save()
	}
	close(s.stopped)
	_ = s.d.cfg.at("stopped")
}
