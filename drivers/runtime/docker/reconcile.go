package docker

import (
	"context"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/slipway-deploy/slipway/drivers/runtime/internal/state"
)

// reconcile goes through the engine's containers of this installation that no record explains. They are left by a crash, or the
// state folder was lost.
func (e *engine) reconcile(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	list, err := e.cli.ContainerList(limited, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", ownerLabel+"="+e.d.cfg.Owner)})
	if err != nil {
		return e.problem(err)
	}
	ran := map[string]bool{} // tasks
	for _, c := range list.Items {
		task := c.Labels[taskLabel]
		ran[task] = ran[task] || c.State != container.StateCreated
	}
	for _, c := range list.Items {
		if err := e.reconcileOne(ctx, c, ran[c.Labels[taskLabel]]); err != nil {
			return err
		}
	}
	return nil
}

func (e *engine) reconcileOne(ctx context.Context, c container.Summary, ran bool) error {
	name, on := c.Labels[taskLabel], c.Labels[engineLabel]
	if name == "" || on != e.Name && e.d.engine(on) != nil { // not a task's, or of an engine that is configured by two names
		return nil
	}
	placed, known := e.d.placeOf(name)
	if known && placed == e.Name {
		return nil
	}
	// One that is being removed is no longer there.
	there, err := e.inspect(ctx, c.ID)
	if err != nil || there.gone {
		return err
	}
	if known || !ran {
		e.d.log.Warn("Removing a container that a crash left.", "container", c.ID, "task", name, "engine", e.Name)
		return e.removeID(ctx, c.ID)
	}
	r, err := recordOf(there.inspect.Config.Labels, e.Name)
	if err != nil {
		e.d.log.Warn("A container of this installation has labels that cannot be read; it is left alone.", "container", c.ID, "error", err)
		return nil
	}
	return e.d.adoptOne(r)
}

// placeOf is the engine of a task; false when there is no such task.
func (d *Driver) placeOf(task string) (string, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k := d.tasks[task]; k != nil {
		return k.placed, true
	}
	return "", false
}

// adoptOne takes up a task whose record is lost. Where the orders of its service are known, it goes on if they list it and is
// stopped if not. Where they are lost too, it runs on until an order says otherwise, and its generation is the fence.
func (d *Driver) adoptOne(r record) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.tasks[r.Task.Name] != nil {
		return nil
	}
	if !d.ordered[r.Task.Service] {
		err := d.orders.Restore(r.key(), r.Generation, func(set *state.Set) {
			if set.TaskDefinition == "" {
				set.TaskDefinition, set.Containers = r.TaskDefinition, r.Containers
			}
			set.Tasks = append(append([]string(nil), set.Tasks...), r.Task.Name)
		})
		if err != nil {
			return err
		}
	}
	set, _ := d.orders.Set(r.key())
	listed := set.Lists(r.Task.Name)
	d.log.Warn("A task without a record was found on its engine.", "task", r.Task.Name, "engine", r.Engine, "goes_on", listed)
	d.keep(r, listed, loaded)
	return nil
}
