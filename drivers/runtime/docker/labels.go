package docker

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/moby/moby/client"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/internal/state"
)

// The labels of a container.
const (
	ownerLabel          = "io.slipway.owner"
	taskLabel           = "io.slipway.task"
	taskSetLabel        = "io.slipway.task-set"
	serviceLabel        = "io.slipway.service"
	taskDefinitionLabel = "io.slipway.task-definition"
	startTimeLabel      = "io.slipway.start-time"
	containersLabel     = "io.slipway.containers" // of the task, in their order, without their environment
)

// labels says who a container is. The environment is left out: it may hold secrets, and labels are seen by many.
func (r *record) labels(owner string) map[string]string {
	specs := make([]runtime.Container, len(r.Containers))
	for i, c := range r.Containers {
		specs[i] = runtime.Container{Name: c.Name, Essential: c.Essential, StopTimeout: c.StopTimeout, Ports: c.Ports, HealthCheck: c.HealthCheck}
	}
	body, err := json.Marshal(specs)
	if err != nil {
		body = []byte("[]") // a container has nothing that JSON does not
	}
	return map[string]string{
		ownerLabel: owner, taskLabel: r.Task.Name, taskSetLabel: r.Task.TaskSet, serviceLabel: r.Task.Service,
		taskDefinitionLabel: r.TaskDefinition, startTimeLabel: r.Task.StartTime.Format(time.RFC3339Nano), containersLabel: string(body),
	}
}

// recordOf is the record of a task by the labels of one of its containers.
func recordOf(labels map[string]string, engine string) (record, error) {
	var containers []runtime.Container
	if err := json.Unmarshal([]byte(labels[containersLabel]), &containers); err != nil {
		return record{}, err
	}
	at, err := time.Parse(time.RFC3339Nano, labels[startTimeLabel])
	if err != nil {
		return record{}, err
	}
	set := runtime.TaskSet{ID: labels[taskSetLabel], Service: labels[serviceLabel], TaskDefinition: labels[taskDefinitionLabel], Containers: containers}
	if set.ID == "" || set.Service == "" || len(containers) == 0 {
		return record{}, errors.New("a label is missing")
	}
	r := newRecord(set, labels[taskLabel], at.UTC())
	r.Engine, r.Begun = engine, true
	return r, nil
}

// adoptUnknown takes up containers of this installation whose records are lost: they run on until an order says otherwise.
func (e *engine) adoptUnknown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	list, err := e.cli.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", ownerLabel+"="+e.d.cfg.Owner)})
	if err != nil {
		return e.problem(err)
	}
	for _, c := range list.Items {
		if name := c.Labels[taskLabel]; name == "" || e.d.keeperOf(name) != nil {
			continue
		}
		r, err := recordOf(c.Labels, e.Name)
		if err != nil {
			e.d.log.Warn("A container of this installation has labels that cannot be read; it is left alone.", "container", c.ID, "error", err)
			continue
		}
		// One that is being removed is no longer there.
		if _, err := e.cli.ContainerInspect(ctx, c.ID, client.ContainerInspectOptions{}); err == nil {
			if err := e.d.adoptOne(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Driver) adoptOne(r record) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.tasks[r.Task.Name] != nil {
		return nil
	}
	err := d.orders.Change(r.key(), func(set *state.Set) {
		if set.TaskDefinition == "" {
			set.TaskDefinition, set.Containers = r.TaskDefinition, r.Containers
		}
		if !set.Lists(r.Task.Name) && !set.Deleted {
			set.Tasks = append(append([]string(nil), set.Tasks...), r.Task.Name)
		}
	})
	if err != nil {
		return err
	}
	set, _ := d.orders.Set(r.key())
	d.log.Info("A task was adopted by its containers' labels.", "task", r.Task.Name)
	d.keep(r, set.Lists(r.Task.Name), loaded)
	return nil
}
