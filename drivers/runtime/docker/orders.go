package docker

import (
	"context"
	"fmt"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/internal/state"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// EnsureTaskSet is Runtime.EnsureTaskSet.
func (d *Driver) EnsureTaskSet(ctx context.Context, generation int64, set runtime.TaskSet) error {
	if err := set.Validate(); err != nil {
		return err
	}
	for i, c := range set.Containers {
		if c.Image == "" {
			return problem.Invalid(fmt.Sprintf("containers[%d].image", i), "must be set for the Docker runtime")
		}
	}
	set = set.Clone()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errClosed()
	}
	key := state.Key{Service: set.Service, ID: set.ID}
	for i, name := range set.Tasks {
		if k := d.tasks[name]; k != nil && k.key != key {
			return problem.Invalid(fmt.Sprintf("tasks[%d]", i), "%s belongs to task set %s of %s", name, k.key.ID, k.key.Service)
		}
	}
	order, err := d.orders.Ensure(ctx, generation, set)
	if err != nil {
		return err
	}
	d.ordered[set.Service] = true
	d.apply(key, order)
	return nil
}

// DeleteTaskSet is Runtime.DeleteTaskSet.
func (d *Driver) DeleteTaskSet(ctx context.Context, generation int64, service, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errClosed()
	}
	key := state.Key{Service: service, ID: id}
	order, known, err := d.orders.Delete(ctx, generation, key)
	if err != nil {
		return err
	}
	d.ordered[service] = true
	if !known {
		return nil
	}
	d.apply(key, order)
	d.dropIfEmpty(key)
	return nil
}

// apply brings the tasks of a set in line with its order: unlisted ones are told to stop, new ones begin. The lock is held.
func (d *Driver) apply(key state.Key, order state.Set) {
	listed := toSet(order.Tasks)
	ended := toSet(order.Ended)
	for name, k := range d.tasks {
		if k.key == key {
			k.order(listed[name], ended[name])
		}
	}
	for _, name := range order.Tasks {
		if d.tasks[name] != nil {
			continue
		}
		r := newRecord(order.Order(key), d.orders.Generation(key.Service), name, now())
		if ended[name] {
			r.end(runtime.ServiceSchedulerInitiated, "the task was stopped before, and a name is started once", nil, r.Task.StartTime)
		} else {
			r.Engine = place(d.loads(), key)
		}
		d.keep(r, true, fresh)
	}
}

// loads is how the tasks lie on the engines. The lock is held.
func (d *Driver) loads() []load {
	loads := make([]load, len(d.engines))
	for i, e := range d.engines {
		loads[i] = load{engine: e.Name, answers: e.answers.Load(), bySet: map[state.Key]int{}}
		for _, k := range d.tasks {
			if k.placed == e.Name {
				loads[i].all++
				loads[i].bySet[k.key]++
			}
		}
	}
	return loads
}

// keep makes a task known and goes on with it. The lock is held.
func (d *Driver) keep(r record, listed bool, from origin) {
	k := &keeper{
		d: d, key: r.key(), placed: r.Engine, rec: r, from: from, listed: listed, over: !listed,
		id: r.identity(d.cfg.Owner), poked: make(chan struct{}, 1), stopped: make(chan struct{}),
	}
	for i, c := range r.Containers {
		k.containers = append(k.containers, c.Name)
		k.names = append(k.names, r.container(d.cfg.Owner, i))
	}
	if r.Task.State == runtime.Stopped {
		close(k.stopped)
	}
	d.tasks[r.Task.Name] = k
	d.feed.Set(r.Task)
	d.spawn(k.run)
}

// release forgets a stopped task that is no longer listed. It reports whether it did.
func (d *Driver) release(k *keeper) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k.listed || d.closed {
		return false, nil
	}
	if err := d.disk.Remove(d.cfg.taskPath(k.rec.Task.Name)); err != nil {
		return false, err
	}
	delete(d.tasks, k.rec.Task.Name)
	d.feed.Remove(k.rec.Task.Name)
	d.dropIfEmpty(k.key)
	return true, nil
}

// dropIfEmpty forgets a deleted set without tasks. If that cannot be written it is done at the next start. The lock is held.
func (d *Driver) dropIfEmpty(key state.Key) {
	for _, k := range d.tasks {
		if k.key == key {
			return
		}
	}
	if err := d.orders.Forget(key); err != nil {
		d.log.Error("A deleted task set cannot be forgotten on disk.", "service", key.Service, "task_set", key.ID, "error", err)
	}
}

func (d *Driver) keeperOf(task string) *keeper {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tasks[task]
}

func toSet(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}
