package fake

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// Behavior is what the tasks of a task definition do. The zero Behavior: run at once, health UNKNOWN, stop at
// once with exit code 0 when told to.
type Behavior struct {
	// RunAfter is the time from PENDING to RUNNING.
	RunAfter time.Duration
	// FailToStart, when set, is the reason why the task stops after RunAfter and never runs.
	FailToStart string
	// Exit, when set, ends the task by itself.
	Exit *Exit
	// Health is what the container checks say, HealthAfter after RUNNING; empty: there is none.
	Health      runtime.Health
	HealthAfter time.Duration
	// StopAfter is the time from SIGTERM to the exit; the containers' StopTimeout cuts it short.
	StopAfter time.Duration
	// IgnoreTerm: only SIGKILL ends the task, after the StopTimeout.
	IgnoreTerm bool
	// Endpoints gives a task's endpoints; nil: made up from the container ports.
	Endpoints func(task string) []runtime.Endpoint
	// Output is what the task writes when it begins to run.
	Output string
}

// Exit is the end of a task by itself.
type Exit struct {
	// After is the time since RUNNING.
	After time.Duration
	Code  int
}

// Script sets what the tasks of taskDefinition do that are made from now on.
func (r *Runtime) Script(taskDefinition string, b Behavior) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.scripts[taskDefinition] = b
}

// Exit ends a task by itself now. It reports whether the task was alive.
func (r *Runtime) Exit(name string, code int) bool {
	return r.alive(name, func(t *task) { r.exit(t, code) })
}

// SetHealth sets the health of a running task. It reports whether the task was alive.
func (r *Runtime) SetHealth(name string, health runtime.Health) bool {
	return r.alive(name, func(t *task) { r.setHealth(t, health) })
}

func (r *Runtime) alive(name string, f func(*task)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tasks[name]
	if t == nil || t.State != runtime.Pending && t.State != runtime.Running {
		return false
	}
	f(t)
	return true
}

// FailWith makes every write fail with err and change nothing, until it is called with nil.
func (r *Runtime) FailWith(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail = err
}

// BreakWatches ends every Watch under way with err.
func (r *Runtime) BreakWatches(err error) { r.feed.Break(err) }

// Orders returns every write accepted so far, in order.
func (r *Runtime) Orders() []Order {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.orders)
}

// Forget drops what Orders returns, and what is remembered of task sets that are deleted, for runs of hours.
func (r *Runtime) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.orders = nil
	for key, s := range r.sets {
		if s.deleted && len(s.listed) == 0 {
			delete(r.sets, key)
		}
	}
}

// Tasks returns every task, by name.
func (r *Runtime) Tasks() map[string]runtime.Task {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[string]runtime.Task, len(r.tasks))
	for name, t := range r.tasks {
		all[name] = t.Task
	}
	return all
}

// Logs is Runtime.Logs.
func (r *Runtime) Logs(ctx context.Context, name string, opts runtime.LogOptions, w io.Writer) error {
	r.mu.Lock()
	t := r.tasks[name]
	if t == nil {
		r.mu.Unlock()
		return problem.New(problem.NotFound, "TASK_NOT_FOUND", "there is no task %s", name).With("task", name)
	}
	begun, output := !t.RunningTime.IsZero(), t.script.Output
	r.mu.Unlock()
	if begun {
		output = lastLines(output, opts.Tail)
	} else if opts.Follow {
		select {
		case <-t.began:
		case <-t.stopped:
			return nil
		case <-ctx.Done():
			return nil
		}
	} else {
		return nil
	}
	if _, err := io.WriteString(w, output); err != nil || !opts.Follow {
		return err
	}
	select {
	case <-t.stopped:
	case <-ctx.Done():
	}
	return nil
}

// lastLines returns the last n lines of text; below 0 all of it.
func lastLines(text string, n int) string {
	lines := strings.SplitAfter(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	if n < 0 || n > len(lines) {
		n = len(lines)
	}
	return strings.Join(lines[len(lines)-n:], "")
}
