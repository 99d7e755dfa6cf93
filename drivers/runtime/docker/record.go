package docker

import (
	"fmt"
	"slices"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/internal/state"
	"github.com/slipway-deploy/slipway/drivers/runtime/internal/variables"
)

// record is what is on disk of a task.
type record struct {
	Task           runtime.Task
	TaskDefinition string
	Containers     []runtime.Container
	// Generation is that of the order in which the task's name was first listed.
	Generation int64 `json:",omitempty"`
	// Engine is where its containers are, once it was begun.
	Engine string
	// Begun: its containers may have been made.
	Begun bool
	// StopDeadlines is when the containers are killed, in their order; set with STOPPING.
	StopDeadlines []time.Time `json:",omitempty"`
}

func newRecord(set runtime.TaskSet, generation int64, name string, at time.Time) record {
	return record{
		TaskDefinition: set.TaskDefinition, Containers: set.Containers, Generation: generation,
		Task: runtime.Task{
			Name: name, TaskSet: set.ID, Service: set.Service, State: runtime.Pending, Health: runtime.Unknown, StartTime: at,
		},
	}
}

func (r *record) key() state.Key { return state.Key{Service: r.Task.Service, ID: r.Task.TaskSet} }

// end makes the task stopped.
func (r *record) end(code runtime.StopCode, reason string, exit *int, at time.Time) {
	r.Task.State, r.Task.StopTime = runtime.Stopped, at
	if r.Task.StopCode == "" {
		r.Task.StopCode, r.Task.StopReason = code, reason
	}
	if r.Task.ExitCode == nil {
		r.Task.ExitCode = exit
	}
}

// stopping makes the task one whose containers are told to stop.
func (r *record) stopping(code runtime.StopCode, reason string, at time.Time) {
	r.Task.State, r.Task.StopCode, r.Task.StopReason = runtime.Stopping, code, reason
	for _, c := range r.Containers {
		timeout := c.StopTimeout
		if timeout == 0 {
			timeout = runtime.DefaultStopTimeout
		}
		r.StopDeadlines = append(r.StopDeadlines, at.Add(timeout))
	}
}

// container is the name of the i-th container on its engine.
func (r *record) container(owner string, i int) string {
	return fmt.Sprintf("%s.%s.%s", owner, r.Task.Name, r.Containers[i].Name)
}

// network is the container whose network the others share: the first essential one, for the network goes when it exits.
func (r *record) network() int {
	return max(0, slices.IndexFunc(r.Containers, func(c runtime.Container) bool { return c.Essential }))
}

// inOrder is the order in which the containers are made and started: the one that has the network before those that share it.
func (r *record) inOrder() []int {
	order := []int{r.network()}
	for i := range r.Containers {
		if i != order[0] {
			order = append(order, i)
		}
	}
	return order
}

// firstAssigned is the port of the first mapping that names none.
const firstAssigned = 20_000

// listening is the containers with the ports that they listen on: their own, or assigned ones where none is named. They share
// a network, so no assigned port comes twice.
func (r *record) listening() []variables.Container {
	next := firstAssigned
	list := make([]variables.Container, len(r.Containers))
	for i, c := range r.Containers {
		list[i].Spec = c
		for _, p := range c.Ports {
			port := p.ContainerPort
			if port == 0 {
				port = next
				next++
			}
			list[i].Ports = append(list[i].Ports, port)
		}
	}
	return list
}
