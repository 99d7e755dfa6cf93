package process

import (
	"maps"
	"slices"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

// maxEnded bounds the names remembered of a task set that are no longer listed. Names count up, so an order that
// lists an older one again than the last thousand does not come.
const maxEnded = 1000

// serviceRecord is what is on disk of a service: the fence and the orders in force.
type serviceRecord struct {
	Service    string
	Generation int64
	Sets       map[string]setRecord
}

// setRecord is the order of one task set.
type setRecord struct {
	TaskDefinition string
	Containers     []runtime.Container
	Tasks          []string
	// Ended are names that were listed once: they are not started again.
	Ended []string `json:",omitempty"`
	// Deleted: the set is forgotten once its tasks are stopped.
	Deleted bool `json:",omitempty"`
}

// setKey names a task set in the whole runtime.
type setKey struct{ service, id string }

// with is the record with another order for one set; it shares what did not change.
func (r *serviceRecord) with(generation int64, id string, set setRecord) *serviceRecord {
	next := &serviceRecord{Service: r.Service, Generation: generation, Sets: maps.Clone(r.Sets)}
	if next.Sets == nil {
		next.Sets = make(map[string]setRecord)
	}
	next.Sets[id] = set
	return next
}

// without is the record without the set.
func (r *serviceRecord) without(id string) *serviceRecord {
	next := &serviceRecord{Service: r.Service, Generation: r.Generation, Sets: maps.Clone(r.Sets)}
	delete(next.Sets, id)
	return next
}

// list is the set's record with other wanted tasks.
func (s setRecord) list(tasks []string) setRecord {
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

// order is the set as it was ordered.
func (s setRecord) order(key setKey) runtime.TaskSet {
	return runtime.TaskSet{
		ID: key.id, Service: key.service, TaskDefinition: s.TaskDefinition,
		Containers: s.Containers, Tasks: s.Tasks,
	}
}
