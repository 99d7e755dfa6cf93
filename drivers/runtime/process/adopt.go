//go:build linux || darwin

package process

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/internal/state"
	"github.com/slipway-deploy/slipway/drivers/runtime/process/internal/proc"
)

// findAgain is how long after a search that missed a container another is made.
const findAgain = 50 * time.Millisecond

// adopt reads the state folder and goes on with every task in it.
func (d *Driver) adopt() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := state.Load(d.cfg.servicesDir(), func(r *state.Service) error {
		d.services[r.Service] = r
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the task sets: %w", err)
	}
	var records []taskRecord
	err = state.Load(d.cfg.tasksDir(), func(r *taskRecord) error {
		records = append(records, *r)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the tasks: %w", err)
	}
	found, err := d.find(records)
	if err != nil {
		return fmt.Errorf("look for the tasks' processes: %w", err)
	}
	for _, record := range records {
		s := newSupervisor(d, record)
		if record.State != runtime.Stopped {
			s.adopt(found)
		}
		set := d.setOf(record)
		d.supervise(s, !set.Deleted && slices.Contains(set.Tasks, record.Name))
	}
	for name, service := range d.services {
		for id, set := range service.Sets {
			key := state.Key{Service: name, ID: id}
			d.apply(key, set)
			d.dropIfEmpty(key)
		}
	}
	return nil
}

// setOf is the order a task belongs to; the zero one if there is none any more.
func (d *Driver) setOf(record taskRecord) state.Set {
	if service := d.services[record.Service]; service != nil {
		return service.Sets[record.TaskSet]
	}
	return state.Set{}
}

// find looks through all processes for those of containers that may run: by token. It is done only when there is
// something to look for, and a second time when a container is missing that may have been started: a process that is
// just executing another program shows no environment.
func (d *Driver) find(records []taskRecord) (map[string][]proc.Process, error) {
	outputs := make(map[string]string)
	var unsure []string
	for _, record := range records {
		if record.State == runtime.Stopped || record.Boot != d.boot {
			continue
		}
		for _, c := range record.Containers {
			if c.Phase == starting || c.Phase == running {
				outputs[d.cfg.containerLog(record.Service, record.Name, c.Spec.Name)] = c.Token
			}
			if c.Phase == starting {
				unsure = append(unsure, c.Token)
			}
		}
	}
	if len(outputs) == 0 {
		return nil, nil
	}
	found, err := proc.Find(tokenVariable, outputs)
	missing := slices.ContainsFunc(unsure, func(token string) bool { return len(found[token]) == 0 })
	if err != nil || !missing {
		return found, err
	}
	<-time.After(findAgain)
	return proc.Find(tokenVariable, outputs)
}

// adopt finds out what became of the task's processes while no driver was at work.
func (s *supervisor) adopt(found map[string][]proc.Process) {
	for i := range s.rec.Containers {
		c := &s.rec.Containers[i]
		if c.Phase != starting && c.Phase != running {
			continue
		}
		if s.rec.Boot != s.d.boot {
			s.exits <- exitEvent{container: i, failed: c.Phase == starting, lost: "ended when the machine was restarted"}
			continue
		}
		if c.Phase == starting {
			s.recall(c, found[c.Token])
		}
		handle, err := proc.Open(c.PID, c.Start)
		if c.PID != 0 && err == nil {
			s.handles[i] = handle
			s.d.log.Info("A container runs on under this driver.", "task", s.rec.Name, "container", c.Spec.Name, "pid", c.PID)
			continue
		}
		s.sweep(found[c.Token])
		e := exitEvent{container: i, lost: "exited while the runtime was not at work"}
		if c.Phase == starting {
			e.failed, e.lost = true, "the runtime ended while it started the container, and there is no process of it"
		}
		s.exits <- e
	}
}

// recall completes the record of a container whose driver ended between starting it and writing that down. Each
// container's first process leads a session; of several leaders the first one is it.
func (s *supervisor) recall(c *containerRecord, processes []proc.Process) {
	for _, p := range processes {
		if p.Leader && (c.PID == 0 || p.Start < c.Start) {
			c.PID, c.Start = p.PID, p.Start
		}
	}
	if c.PID != 0 {
		c.Phase, s.unsaved = running, true
	}
}

// sweep kills what a container left behind that ended unseen.
func (s *supervisor) sweep(processes []proc.Process) {
	for _, p := range processes {
		handle, err := proc.Open(p.PID, p.Start)
		if err == nil {
			err = handle.Kill()
			handle.Close()
		}
		if err != nil && !errors.Is(err, proc.ErrGone) {
			s.d.log.Error("A process left behind cannot be killed.", "task", s.rec.Name, "pid", p.PID, "error", err)
		}
	}
}
