package runtimetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

// patience is how long a test waits for what should come soon.
const patience = 20 * time.Second

// observer keeps what a watch tells and checks that it makes sense.
type observer struct {
	t      *testing.T
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	tasks   map[string]runtime.Task
	history map[string][]runtime.TaskState // of each name, without repeats; "" after a removal
	updates int
	changed chan struct{} // closed and replaced at each update
}

func observe(t *testing.T, r runtime.Runtime) *observer {
	ctx, cancel := context.WithCancel(context.Background())
	o := &observer{
		t: t, cancel: cancel, done: make(chan struct{}),
		tasks:   make(map[string]runtime.Task),
		history: make(map[string][]runtime.TaskState),
		changed: make(chan struct{}),
	}
	go func() {
		defer close(o.done)
		if err := r.Watch(ctx, o.update); err != nil {
			t.Errorf("Watch: %v", err)
		}
	}()
	t.Cleanup(o.stop)
	return o
}

// stop ends the watch.
func (o *observer) stop() {
	o.cancel()
	<-o.done
}

func (o *observer) update(u runtime.Update) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if u.Snapshot != (o.updates == 0) {
		o.t.Errorf("update %d: snapshot is %v", o.updates, u.Snapshot)
	}
	o.updates++
	for _, task := range u.Tasks {
		if err := sane(o.tasks[task.Name], task); err != nil {
			o.t.Errorf("task %s: %v: %+v", task.Name, err, task)
		}
		o.tasks[task.Name] = task
		if h := o.history[task.Name]; len(h) == 0 || h[len(h)-1] != task.State {
			o.history[task.Name] = append(h, task.State)
		}
	}
	for _, name := range u.Removed {
		if o.tasks[name].State != runtime.Stopped {
			o.t.Errorf("task %s is removed in state %q", name, o.tasks[name].State)
		}
		delete(o.tasks, name)
		o.history[name] = append(o.history[name], "")
	}
	close(o.changed)
	o.changed = make(chan struct{})
}

// sane checks one state of a task against the one before.
func sane(before, task runtime.Task) error {
	order := map[runtime.TaskState]int{runtime.Pending: 1, runtime.Running: 2, runtime.Stopping: 3, runtime.Stopped: 4}
	ended := task.State == runtime.Stopping || task.State == runtime.Stopped
	switch {
	case order[task.State] == 0:
		return fmt.Errorf("the state %q is unknown", task.State)
	case order[task.State] < order[before.State]:
		return fmt.Errorf("went back from %s", before.State)
	case task.TaskSet == "" || task.Service == "" || task.StartTime.IsZero():
		return fmt.Errorf("the set, the service or the start time is missing")
	case task.State == runtime.Running && task.RunningTime.IsZero():
		return fmt.Errorf("runs without a running time")
	case ended != (task.StopCode != "") || ended != (task.StopReason != ""):
		return fmt.Errorf("a stop code and reason belong to a task that stops, and to no other")
	case (task.State == runtime.Stopped) == task.StopTime.IsZero():
		return fmt.Errorf("a stop time belongs to a stopped task, and to no other")
	case task.Health != runtime.Unknown && task.Health != runtime.Healthy && task.Health != runtime.Unhealthy:
		return fmt.Errorf("the health %q is unknown", task.Health)
	}
	return nil
}

// until waits for a condition on what was observed.
func (o *observer) until(what string, condition func(tasks map[string]runtime.Task) bool) {
	o.t.Helper()
	deadline := time.After(patience)
	for {
		o.mu.Lock()
		ok, changed := o.updates > 0 && condition(o.tasks), o.changed
		o.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			o.mu.Lock()
			defer o.mu.Unlock()
			o.t.Fatalf("not in time: %s; tasks: %+v", what, o.tasks)
		}
	}
}

// reaches waits until the task is in the state and returns it.
func (o *observer) reaches(name string, state runtime.TaskState) (task runtime.Task) {
	o.t.Helper()
	o.until(fmt.Sprintf("task %s is %s", name, state), func(tasks map[string]runtime.Task) bool {
		task = tasks[name]
		return task.State == state
	})
	return task
}

// removed waits until the task was removed.
func (o *observer) removed(name string) {
	o.t.Helper()
	o.until("task "+name+" is removed", func(tasks map[string]runtime.Task) bool {
		_, there := tasks[name]
		return !there && len(o.history[name]) > 0
	})
}

// states are the states a task went through.
func (o *observer) states(name string) []runtime.TaskState {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]runtime.TaskState(nil), o.history[name]...)
}
