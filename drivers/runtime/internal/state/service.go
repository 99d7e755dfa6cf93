package state

import (
	"maps"
	"slices"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

// maxEnded bounds the names remembered of a task set that are no longer listed. Names count up, so an order that
// lists an older one again than the last thousand does not come.
const maxEnded = 1000

// Service is what is on disk of a service: the fence and the orders in force.
type Service struct {
	Service    string
	Generation int64
	Sets       map[string]Set
}

// Set is the order of one task set.
type Set struct {
	TaskDefinition string
	Containers     []runtime.Container
	Tasks          []string
	// Ended are names that were listed once: they are not started again.
	Ended []string `json:",omitempty"`
	// Images are what the set's images stood for when its first task resolved them, for runtimes of containers.
	Images map[string]string `json:",omitempty"`
	// Deleted: the set is forgotten once its tasks are stopped.
	Deleted bool `json:",omitempty"`
}

// Key names a task set in the whole runtime.
type Key struct{ Service, ID string }

// With is the record with another order for one set; it shares what did not change.
func (r *Service) With(generation int64, id string, set Set) *Service {
	next := &Service{Service: r.Service, Generation: generation, Sets: maps.Clone(r.Sets)}
	if next.Sets == nil {
		next.Sets = make(map[string]Set)
	}
	next.Sets[id] = set
	return next
}

// Without is the record without the set.
func (r *Service) Without(id string) *Service {
	next := &Service{Service: r.Service, Generation: r.Generation, Sets: maps.Clone(r.Sets)}
	delete(next.Sets, id)
	return next
}

// List is the set's record with other wanted tasks.
func (s Set) List(tasks []string) Set {
	wanted := make(map[string]bool, len(tasks))
	for _, name := range tasks {
		wanted[name] = true
	}
	ended := slices.Clone(s.Ended)
	known := make(map[string]bool, len(ended))
	for _, name := range ended {
		known[name] = true
	}
	for _, name := range s.Tasks {
		if !wanted[name] && !known[name] {
			ended = append(ended, name)
		}
	}
	s.Ended = ended[max(0, len(ended)-maxEnded):]
	s.Tasks = slices.Clone(tasks)
	return s
}

// Order is the set as it was ordered.
func (s Set) Order(key Key) runtime.TaskSet {
	return runtime.TaskSet{
		ID: key.ID, Service: key.Service, TaskDefinition: s.TaskDefinition,
		Containers: s.Containers, Tasks: s.Tasks,
	}
}

// Lists reports whether the task should run.
func (s Set) Lists(task string) bool { return slices.Contains(s.Tasks, task) }
