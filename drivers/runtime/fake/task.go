package fake

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

// task is one task and its timers; guarded by the runtime's lock.
type task struct {
	runtime.Task
	set         setKey
	script      Behavior
	stopTimeout time.Duration
	began       chan struct{} // closed when it runs
	stopped     chan struct{} // closed when it is stopped
	timers      []*time.Timer
}

func taskField(i int) string { return fmt.Sprintf("tasks[%d]", i) }

// add makes a task and lets it begin; a name that ended before is shown stopped. The lock is held.
func (r *Runtime) add(key setKey, order runtime.TaskSet, name string, ended bool) {
	t := &task{
		Task: runtime.Task{
			Name: name, TaskSet: key.id, Service: key.service,
			State: runtime.Pending, Health: runtime.Unknown, StartTime: now(),
		},
		set:     key,
		script:  r.scripts[order.TaskDefinition],
		began:   make(chan struct{}),
		stopped: make(chan struct{}),
	}
	for _, c := range order.Containers {
		timeout := c.StopTimeout
		if timeout == 0 {
			timeout = runtime.DefaultStopTimeout
		}
		t.stopTimeout = max(t.stopTimeout, timeout)
	}
	t.Endpoints = r.endpoints(t.script, name, order.Containers)
	r.tasks[name] = t
	switch {
	case ended:
		r.finish(t, runtime.ServiceSchedulerInitiated, "the task was stopped before, and a name is started once", nil)
	default:
		r.feed.Set(t.Task)
		r.after(t, t.script.RunAfter, func() { r.begin(t) })
	}
}

func (r *Runtime) endpoints(b Behavior, name string, containers []runtime.Container) []runtime.Endpoint {
	if b.Endpoints != nil {
		return b.Endpoints(name)
	}
	var all []runtime.Endpoint
	for _, c := range containers {
		for _, p := range c.Ports {
			port := p.HostPort
			if port == 0 {
				port = r.port
				r.port++
			}
			address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
			all = append(all, runtime.Endpoint{Container: c.Name, ContainerPort: p.ContainerPort, Address: address})
		}
	}
	return all
}

// begin makes a pending task run, or fail to. The lock is held.
func (r *Runtime) begin(t *task) {
	if t.State != runtime.Pending {
		return
	}
	if t.script.FailToStart != "" {
		r.finish(t, runtime.TaskFailedToStart, t.script.FailToStart, nil)
		return
	}
	t.State, t.RunningTime = runtime.Running, now()
	close(t.began)
	r.feed.Set(t.Task)
	if t.script.Health != "" {
		r.after(t, t.script.HealthAfter, func() { r.setHealth(t, t.script.Health) })
	}
	if exit := t.script.Exit; exit != nil {
		r.after(t, exit.After, func() { r.exit(t, exit.Code) })
	}
}

// exit ends a task by itself. The lock is held.
func (r *Runtime) exit(t *task, code int) {
	if t.State == runtime.Pending || t.State == runtime.Running {
		reason := fmt.Sprintf("an essential container exited with code %d", code)
		r.finish(t, runtime.EssentialContainerExited, reason, &code)
	}
}

// setHealth changes the health of a task that runs. The lock is held.
func (r *Runtime) setHealth(t *task, health runtime.Health) {
	if t.State == runtime.Running && t.Health != health {
		t.Health = health
		r.feed.Set(t.Task)
	}
}

// stop begins the end of a task. The lock is held.
func (r *Runtime) stop(t *task, code runtime.StopCode, reason string) {
	if t.State == runtime.Stopping || t.State == runtime.Stopped {
		return
	}
	if t.State == runtime.Pending {
		r.finish(t, code, reason, nil)
		return
	}
	t.cancelTimers()
	t.State, t.StopCode, t.StopReason = runtime.Stopping, code, reason
	r.feed.Set(t.Task)
	exit, delay := 0, t.script.StopAfter
	if t.script.IgnoreTerm || delay > t.stopTimeout {
		exit, delay = 137, t.stopTimeout
	}
	r.after(t, delay, func() {
		r.finish(t, code, reason, &exit)
		r.forgetIfDone(t)
	})
}

// finish makes a task stopped. The lock is held.
func (r *Runtime) finish(t *task, code runtime.StopCode, reason string, exit *int) {
	t.cancelTimers()
	t.State, t.StopTime = runtime.Stopped, now()
	t.StopCode, t.StopReason, t.ExitCode = code, reason, exit
	close(t.stopped)
	r.feed.Set(t.Task)
}

// after runs f under the lock, at once when delay is 0: the lock is held then. A timer that was stopped too late
// finds the state changed: every f checks it.
func (r *Runtime) after(t *task, delay time.Duration, f func()) {
	if delay <= 0 {
		f()
		return
	}
	t.timers = append(t.timers, time.AfterFunc(delay, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		f()
	}))
}

func (t *task) cancelTimers() {
	for _, timer := range t.timers {
		timer.Stop()
	}
	t.timers = nil
}
