package process

import (
	"crypto/rand"
	"net"
	"strconv"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

// phase is how far a container is. It only moves forward, and each step is on disk before the next is taken.
type phase string

const (
	// planned: never started.
	planned phase = "planned"
	// starting: from here on it may have been started, and is never started again.
	starting phase = "starting"
	// running: its process id is known.
	running phase = "running"
	// exited: its process is gone, or never was.
	exited phase = "exited"
)

// taskRecord is what is on disk of a task: all that is needed to go on with it after a crash.
type taskRecord struct {
	Name           string
	TaskSet        string
	Service        string
	TaskDefinition string
	// Boot is the boot of the machine in which the processes were started.
	Boot       string `json:",omitempty"`
	Containers []containerRecord

	State       runtime.TaskState
	StartTime   time.Time        `json:",omitzero"`
	RunningTime time.Time        `json:",omitzero"`
	StopTime    time.Time        `json:",omitzero"`
	StopCode    runtime.StopCode `json:",omitempty"`
	StopReason  string           `json:",omitempty"`
	ExitCode    *int             `json:",omitempty"`
}

type containerRecord struct {
	Spec runtime.Container
	// Ports are the assigned ports, one for each of Spec.Ports.
	Ports []int
	// Token is in the environment of the container's processes and nowhere else: it tells them from all others.
	Token string
	Phase phase
	// PID and Start, the process's start time as the kernel tells it, name a process beyond doubt.
	PID      int    `json:",omitempty"`
	Start    uint64 `json:",omitempty"`
	ExitCode *int   `json:",omitempty"`
	Health   runtime.Health
	// StartTime is when the process was started.
	StartTime time.Time `json:",omitzero"`
	// StopDeadline is when the container is killed if it has not stopped; Terminated: SIGTERM was sent.
	StopDeadline time.Time `json:",omitzero"`
	Terminated   bool      `json:",omitempty"`

	killed bool // SIGKILL was sent by this driver
}

// newTask plans a task; its ports are not assigned yet.
func newTask(set runtime.TaskSet, name string, now time.Time) taskRecord {
	r := taskRecord{
		Name: name, TaskSet: set.ID, Service: set.Service, TaskDefinition: set.TaskDefinition,
		State: runtime.Pending, StartTime: now,
	}
	for _, c := range set.Containers {
		r.Containers = append(r.Containers, containerRecord{
			Spec: c, Token: rand.Text(), Phase: planned, Health: runtime.Unknown,
		})
	}
	return r
}

// stoppedBefore makes the record of a name that was listed before and is listed again.
func (r *taskRecord) stoppedBefore() {
	r.State, r.StopTime = runtime.Stopped, r.StartTime
	r.StopCode = runtime.ServiceSchedulerInitiated
	r.StopReason = "the task was stopped before, and a name is started once"
}

// task is what the world sees of the record. It shares nothing that changes later.
func (r *taskRecord) task() runtime.Task {
	t := runtime.Task{
		Name: r.Name, TaskSet: r.TaskSet, Service: r.Service,
		State: r.State, Health: r.health(),
		StartTime: r.StartTime, RunningTime: r.RunningTime, StopTime: r.StopTime,
		StopCode: r.StopCode, StopReason: r.StopReason, ExitCode: r.ExitCode,
	}
	for _, c := range r.Containers {
		for i, port := range c.Ports {
			t.Endpoints = append(t.Endpoints, runtime.Endpoint{
				Container:     c.Spec.Name,
				ContainerPort: c.Spec.Ports[i].ContainerPort,
				Address:       net.JoinHostPort(loopback, strconv.Itoa(port)),
			})
		}
	}
	return t
}

func (r *taskRecord) health() runtime.Health {
	containers := make([]runtime.CheckedContainer, len(r.Containers))
	for i, c := range r.Containers {
		containers[i] = runtime.CheckedContainer{Essential: c.Spec.Essential, HasCheck: c.Spec.HealthCheck != nil, Health: c.Health}
	}
	return runtime.TaskHealth(containers)
}

func (r *taskRecord) anyRunning() bool {
	for _, c := range r.Containers {
		if c.Phase == running {
			return true
		}
	}
	return false
}

func (r *taskRecord) ports() []int {
	var ports []int
	for _, c := range r.Containers {
		ports = append(ports, c.Ports...)
	}
	return ports
}

// essentialExit is the exit code of the first essential container that has one.
func (r *taskRecord) essentialExit() *int {
	for _, c := range r.Containers {
		if c.Spec.Essential && c.ExitCode != nil {
			return c.ExitCode
		}
	}
	return nil
}

func (c *containerRecord) stopTimeout() time.Duration {
	if c.Spec.StopTimeout > 0 {
		return c.Spec.StopTimeout
	}
	return runtime.DefaultStopTimeout
}
