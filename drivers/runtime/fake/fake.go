// Package fake is a runtime for tests: it keeps every promise of the port and runs nothing. What its tasks do is
// scripted for each task definition and, by hand, for each task; without a script a task runs at once and stops at
// once. It starts no goroutine, only timers, and so works under testing/synctest. It may import the port, problem
// and the feed.
package fake

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/internal/feed"
	"github.com/slipway-deploy/slipway/platform/problem"
)

var _ runtime.Runtime = (*Runtime)(nil)

// Runtime is the fake. Its state outlives its watches: a broken Watch that is opened again finds everything, as
// with a driver that was restarted.
type Runtime struct {
	feed *feed.Feed

	mu          sync.Mutex
	scripts     map[string]Behavior // by task definition
	generations map[string]int64    // by service
	sets        map[setKey]*set
	tasks       map[string]*task
	orders      []Order
	fail        error
	port        int
}

type setKey struct{ service, id string }

type set struct {
	listed map[string]bool
	ended  map[string]bool // names that were listed once and never start again

	deleted bool
}

// Order is one accepted write.
type Order struct {
	Generation int64
	// Set is what EnsureTaskSet was given; for DeleteTaskSet only ID and Service are set.
	Set     runtime.TaskSet
	Deleted bool
}

// New returns a runtime without tasks.
func New() *Runtime {
	return &Runtime{
		feed:        feed.New(),
		scripts:     make(map[string]Behavior),
		generations: make(map[string]int64),
		sets:        make(map[setKey]*set),
		tasks:       make(map[string]*task),
		port:        20_000,
	}
}

// EnsureTaskSet is Runtime.EnsureTaskSet.
func (r *Runtime) EnsureTaskSet(ctx context.Context, generation int64, order runtime.TaskSet) error {
	if err := order.Validate(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.admit(ctx, order.Service, generation); err != nil {
		return err
	}
	key := setKey{order.Service, order.ID}
	for i, name := range order.Tasks {
		if t := r.tasks[name]; t != nil && t.set != key {
			return problem.Invalid(taskField(i), "%s belongs to task set %s of %s", name, t.set.id, t.set.service)
		}
	}
	r.generations[order.Service] = generation
	r.orders = append(r.orders, Order{Generation: generation, Set: order.Clone()})
	s := r.sets[key]
	if s == nil {
		s = &set{listed: make(map[string]bool), ended: make(map[string]bool)}
		r.sets[key] = s
	}
	s.deleted = false
	r.list(key, s, order.Tasks)
	for _, name := range order.Tasks {
		if r.tasks[name] == nil {
			r.add(key, order, name, s.ended[name])
		}
	}
	return nil
}

// DeleteTaskSet is Runtime.DeleteTaskSet.
func (r *Runtime) DeleteTaskSet(ctx context.Context, generation int64, service, id string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.admit(ctx, service, generation); err != nil {
		return err
	}
	r.generations[service] = generation
	r.orders = append(r.orders, Order{Generation: generation, Set: runtime.TaskSet{ID: id, Service: service}, Deleted: true})
	key := setKey{service, id}
	if s := r.sets[key]; s != nil {
		s.deleted = true
		r.list(key, s, nil)
		r.dropIfEmpty(key)
	}
	return nil
}

// Watch is Runtime.Watch.
func (r *Runtime) Watch(ctx context.Context, f func(runtime.Update)) error {
	return r.feed.Watch(ctx, f)
}

// Close ends every watch and stops all timers; the tasks stay as they are.
func (r *Runtime) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.tasks {
		t.cancelTimers()
	}
	r.feed.Close(problem.New(problem.Unavailable, "SERVICE_UNAVAILABLE", "the runtime is closed").Wrap(errClosed))
}

var errClosed = errors.New("fake: closed")

// admit says whether an order may be carried out. The lock is held.
func (r *Runtime) admit(ctx context.Context, service string, generation int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.fail != nil {
		return r.fail
	}
	return runtime.CheckGeneration(service, generation, r.generations[service])
}

// list makes names the wanted tasks of the set and stops the others. The lock is held.
func (r *Runtime) list(key setKey, s *set, names []string) {
	before := s.listed
	s.listed = make(map[string]bool, len(names))
	for _, name := range names {
		s.listed[name] = true
	}
	for name := range before {
		if !s.listed[name] {
			s.ended[name] = true
		}
	}
	for _, name := range r.names(key) {
		if t := r.tasks[name]; !s.listed[name] {
			r.stop(t, runtime.ServiceSchedulerInitiated, "the task is no longer wanted")
			r.forgetIfDone(t)
		}
	}
}

// names lists the tasks of a set in order. The lock is held.
func (r *Runtime) names(key setKey) []string {
	var names []string
	for name, t := range r.tasks {
		if t.set == key {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// forgetIfDone removes a task that is stopped and not listed. The lock is held.
func (r *Runtime) forgetIfDone(t *task) {
	if r.tasks[t.Name] != t || t.State != runtime.Stopped || r.sets[t.set].listed[t.Name] {
		return
	}
	delete(r.tasks, t.Name)
	r.feed.Remove(t.Name)
	r.dropIfEmpty(t.set)
}

// dropIfEmpty forgets a deleted set: its names may be used again. The lock is held.
func (r *Runtime) dropIfEmpty(key setKey) {
	if s := r.sets[key]; s != nil && s.deleted && len(r.names(key)) == 0 {
		delete(r.sets, key)
	}
}

// now is the bubble's time under testing/synctest.
func now() time.Time { return time.Now().UTC() }
