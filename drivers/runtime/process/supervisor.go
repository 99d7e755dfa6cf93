//go:build linux || darwin

package process

import (
	"context"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/process/internal/proc"
)

// retryAfter is when a record that could not be written is tried again.
const retryAfter = time.Second

// supervisor carries one task through its life. Its goroutine, run, is the only one to touch the record, in memory
// and on disk.
type supervisor struct {
	d   *Driver
	rec taskRecord
	// startError is why the task cannot start, known before it is tried.
	startError error

	handles  []*proc.Handle // by container; nil: no process
	exits    chan exitEvent
	health   chan healthEvent
	unlisted chan struct{} // holds a token when the task may be no longer listed
	stopped  chan struct{} // closed when the task is stopped

	stopChecks context.CancelFunc
	unsaved    bool // the record on disk is older than rec
}

// exitEvent: a container's process is gone.
type exitEvent struct {
	container int
	// lost says why nothing is known of the end; empty: the process can be asked.
	lost string
	// failed: it is not even certain that it began.
	failed bool
}

func newSupervisor(d *Driver, record taskRecord) *supervisor {
	n := len(record.Containers)
	s := &supervisor{
		d: d, rec: record,
		handles:    make([]*proc.Handle, n),
		exits:      make(chan exitEvent, n),
		health:     make(chan healthEvent),
		unlisted:   make(chan struct{}, 1),
		stopped:    make(chan struct{}),
		stopChecks: func() {},
	}
	if record.State == runtime.Stopped {
		close(s.stopped)
		return s
	}
	s.assignPorts()
	return s
}

// assignPorts gives each container its ports, so that the endpoints are known before the task runs.
func (s *supervisor) assignPorts() {
	for i := range s.rec.Containers {
		c := &s.rec.Containers[i]
		if len(c.Ports) == len(c.Spec.Ports) {
			s.d.ports.reserve(s.rec.Name, c.Ports)
			continue
		}
		var err error
		if c.Ports, err = s.d.ports.assign(s.rec.Name, c.Spec.Ports); err != nil {
			s.startError = err
		}
	}
}

// unlist tells the supervisor that the task is no longer listed. The driver's lock is held.
func (s *supervisor) unlist() {
	select {
	case s.unlisted <- struct{}{}:
	default:
	}
}

// run goes on until the task is forgotten or the driver closes.
func (s *supervisor) run(ctx context.Context) {
	defer s.leave()
	if s.rec.State != runtime.Stopped {
		s.resume()
	} else if s.unsaved {
		s.save()
	}
	for {
		timer := time.NewTimer(s.nextWake())
		forgotten := false
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.unlisted:
			forgotten = s.onUnlisted()
		case e := <-s.exits:
			s.onExit(e)
			forgotten = s.rec.State == runtime.Stopped && s.d.release(&s.rec)
		case e := <-s.health:
			s.onHealth(e)
		case <-timer.C:
			s.killOverdue()
			if s.unsaved {
				s.save()
			}
		}
		timer.Stop()
		if forgotten {
			return
		}
	}
}

// resume begins the task, or goes on with it where an earlier driver was.
func (s *supervisor) resume() {
	for i := range s.handles {
		if s.handles[i] != nil {
			s.watch(i)
		}
	}
	for len(s.exits) > 0 {
		s.onExit(<-s.exits)
	}
	if s.unsaved {
		s.save()
	}
	switch s.rec.State {
	case runtime.Pending:
		s.start()
	case runtime.Running:
		s.startChecks()
	case runtime.Stopping:
		if !s.rec.anyRunning() {
			s.finish()
			return
		}
		s.terminate()
	case runtime.Stopped:
	}
}

// watch reports the end of a container's process.
func (s *supervisor) watch(container int) {
	handle := s.handles[container]
	s.d.logs.add(s.logPath(container))
	s.d.spawn(func(ctx context.Context) {
		for {
			err := handle.Wait(ctx)
			if ctx.Err() != nil {
				return
			}
			if err == nil {
				s.exits <- exitEvent{container: container} // there is room for one from each
				return
			}
			s.d.log.Error("A process cannot be waited for.", "task", s.rec.Name, "error", err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(retryAfter):
			}
		}
	})
}

// leave ends what the supervisor runs and leaves the processes alone.
func (s *supervisor) leave() {
	s.stopChecks()
	for _, handle := range s.handles {
		if handle != nil {
			handle.Close()
		}
	}
}

// nextWake is how long nothing needs to be done.
func (s *supervisor) nextWake() time.Duration {
	wake := time.Hour
	if s.unsaved {
		wake = retryAfter
	}
	for i, c := range s.rec.Containers {
		if c.Phase == running && s.handles[i] != nil && !c.StopDeadline.IsZero() && !c.killed {
			wake = min(wake, max(0, time.Until(c.StopDeadline)))
		}
	}
	return wake
}

// onUnlisted stops the task, or forgets it if it is stopped. It reports whether it is forgotten.
func (s *supervisor) onUnlisted() bool {
	if s.rec.State == runtime.Stopped {
		return s.d.release(&s.rec)
	}
	s.beginStop(runtime.ServiceSchedulerInitiated, "the task is no longer wanted", nil)
	return s.rec.State == runtime.Stopped && s.d.release(&s.rec)
}

// save writes the record. When it cannot be written it is tried again later: what is in memory holds.
func (s *supervisor) save() {
	err := s.d.disk.Write(s.d.cfg.taskPath(s.rec.Name), &s.rec)
	s.unsaved = err != nil
	if err != nil {
		s.d.log.Error("A task's record cannot be written.", "task", s.rec.Name, "error", err)
	}
}

// publish shows the task's state to the watchers.
func (s *supervisor) publish() { s.d.feed.Set(s.rec.task()) }
