//go:build linux || darwin

package process

import (
	"context"
	"fmt"
	"reflect"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/internal/state"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// EnsureTaskSet is Runtime.EnsureTaskSet.
func (d *Driver) EnsureTaskSet(ctx context.Context, generation int64, set runtime.TaskSet) error {
	if err := set.Validate(); err != nil {
		return err
	}
	set = set.Clone()
	d.mu.Lock()
	defer d.mu.Unlock()
	service, err := d.admit(ctx, set.Service, generation)
	if err != nil {
		return err
	}
	key := state.Key{Service: set.Service, ID: set.ID}
	for i, name := range set.Tasks {
		if e := d.tasks[name]; e != nil && e.set != key {
			return problem.Invalid(fmt.Sprintf("tasks[%d]", i), "%s belongs to task set %s of %s", name, e.set.ID, e.set.Service)
		}
	}
	record := service.Sets[set.ID].List(set.Tasks)
	record.TaskDefinition, record.Containers, record.Deleted = set.TaskDefinition, set.Containers, false
	if err := d.accept(service, service.With(generation, set.ID, record)); err != nil {
		return err
	}
	d.apply(key, record)
	return nil
}

// DeleteTaskSet is Runtime.DeleteTaskSet.
func (d *Driver) DeleteTaskSet(ctx context.Context, generation int64, service, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.admit(ctx, service, generation); err != nil {
		return err
	}
	return d.delete(generation, state.Key{Service: service, ID: id})
}

// admit returns the service's record, an empty one if there is none, or why the order is refused. The lock is held.
func (d *Driver) admit(ctx context.Context, name string, generation int64) (*state.Service, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if d.closed {
		return nil, errClosed()
	}
	service := d.services[name]
	if service == nil {
		return &state.Service{Service: name, Generation: generation}, nil
	}
	return service, runtime.CheckGeneration(name, generation, service.Generation)
}

// accept makes next the service's record, first on disk. Then the order is durable. The lock is held.
func (d *Driver) accept(current, next *state.Service) error {
	if d.services[next.Service] != nil && reflect.DeepEqual(current, next) {
		return nil
	}
	if err := d.disk.Write(d.cfg.servicePath(next.Service), next); err != nil {
		return err
	}
	d.services[next.Service] = next
	return nil
}

// delete accepts that a set should go. The lock is held.
func (d *Driver) delete(generation int64, key state.Key) error {
	service := d.services[key.Service]
	if service == nil {
		service = &state.Service{Service: key.Service}
	}
	set, known := service.Sets[key.ID]
	if !known {
		next := &state.Service{Service: key.Service, Generation: generation, Sets: service.Sets}
		return d.accept(service, next)
	}
	set = set.List(nil)
	set.Deleted = true
	if err := d.accept(service, service.With(generation, key.ID, set)); err != nil {
		return err
	}
	d.apply(key, set)
	d.dropIfEmpty(key)
	return nil
}

// apply brings the tasks of a set in line with its record: unlisted ones are told to stop, new ones begin. The lock
// is held.
func (d *Driver) apply(key state.Key, set state.Set) {
	_ = d.cfg.at("accepted")
	listed, ended := make(map[string]bool), make(map[string]bool)
	for _, name := range set.Tasks {
		listed[name] = true
	}
	for _, name := range set.Ended {
		ended[name] = true
	}
	for name, e := range d.tasks {
		if e.set != key {
			continue
		}
		e.listed = listed[name]
		if !e.listed || ended[name] {
			e.sup.unlist()
		}
	}
	for _, name := range set.Tasks {
		if d.tasks[name] != nil {
			continue
		}
		record := newTask(set.Order(key), name, now())
		if ended[name] {
			record.stoppedBefore()
		}
		s := newSupervisor(d, record)
		s.unsaved = ended[name]
		d.supervise(s, true)
	}
}

// supervise makes a task known and goes on with it. The lock is held.
func (d *Driver) supervise(s *supervisor, listed bool) {
	e := &entry{
		set: state.Key{Service: s.rec.Service, ID: s.rec.TaskSet}, listed: listed, sup: s,
	}
	for _, c := range s.rec.Containers {
		e.containers = append(e.containers, c.Spec.Name)
	}
	d.tasks[s.rec.Name] = e
	d.feed.Set(s.rec.task())
	if !listed {
		s.unlist()
	}
	d.spawn(s.run)
}

// release forgets a stopped task if it is no longer listed. It is called by the task's supervisor, which is the only
// one to touch the task's record.
func (d *Driver) release(record *taskRecord) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.tasks[record.Name]
	if e.listed || d.closed {
		return false
	}
	if err := d.disk.Remove(d.cfg.taskPath(record.Name)); err != nil {
		d.log.Error("A forgotten task's record cannot be removed.", "task", record.Name, "error", err)
	}
	delete(d.tasks, record.Name)
	d.feed.Remove(record.Name)
	d.pruneLogs(record.Service, record.Name)
	d.dropIfEmpty(e.set)
	return true
}

// dropIfEmpty forgets a deleted set without tasks. If that cannot be written it is done at the next start. The lock
// is held.
func (d *Driver) dropIfEmpty(key state.Key) {
	service := d.services[key.Service]
	if service == nil || !service.Sets[key.ID].Deleted {
		return
	}
	for _, e := range d.tasks {
		if e.set == key {
			return
		}
	}
	if err := d.accept(service, service.Without(key.ID)); err != nil {
		d.log.Error("A deleted task set cannot be forgotten on disk.", "service", key.Service, "task_set", key.ID, "error", err)
	}
}
