// Package runtime is the port between the orchestrator and whatever runs tasks: local processes, a Docker
// engine, a cluster. It holds the contract and its vocabulary only. A driver decides nothing: it runs exactly the
// tasks it is told to run, each once, and reports what became of them. It imports the standard library and problem.
package runtime

import (
	"context"
	"io"
	"time"
)

// Runtime runs tasks. Its methods may be called by several goroutines at once.
//
// Every write carries a generation, the version of the service that wrote it. A driver remembers the highest
// generation of each TaskSet.Service durably and refuses a lower one with problem.Aborted, reason STALE_GENERATION.
// The same generation again is accepted: every write may be repeated.
type Runtime interface {
	// EnsureTaskSet makes the tasks named in set.Tasks run, each started at most once under its name, and stops
	// every other task of the set. A task that stopped stays stopped under its name; only a new name starts a new
	// task. It returns when the order is durably accepted, not when it is carried out. How to run a task is fixed
	// when its name is first seen. A set that is not valid is refused whole with problem.InvalidArgument.
	EnsureTaskSet(ctx context.Context, generation int64, set TaskSet) error

	// DeleteTaskSet stops all tasks of the set and forgets the set once they are stopped. An unknown set is no
	// error. The service's generation is remembered on.
	DeleteTaskSet(ctx context.Context, generation int64, service, id string) error

	// Watch calls f first with a snapshot of every task and then with each change, one call at a time, until ctx
	// ends (nil) or the watch breaks (an error; open it again). f must not block long. Changes of one task that
	// follow each other faster than f returns may arrive as the latest one. A stopped task is reported as long as
	// its name is listed; one that was stopped because it is no longer listed is reported STOPPED and then Removed.
	Watch(ctx context.Context, f func(Update)) error

	// Logs copies a task's output to w: the last opts.Tail lines, then, while opts.Follow, what comes until the
	// task is stopped or ctx ends (both nil). An unknown task is problem.NotFound.
	Logs(ctx context.Context, task string, opts LogOptions, w io.Writer) error
}

// TaskSet is what is wanted of one task set: how its tasks run and which of them, by name, should.
type TaskSet struct {
	// ID names the set, e.g. "web-3"; unique within its service.
	ID string
	// Service is "cluster/service", the key of the generation's fence.
	Service string
	// TaskDefinition is "family:revision".
	TaskDefinition string
	// Containers are what each task runs; at least one is essential.
	Containers []Container
	// Tasks names the tasks that should run. A name belongs to one set and is unique in the whole runtime.
	Tasks []string
}

// Container is one part of a task: for the process runtime one process.
type Container struct {
	// Name is unique in the task.
	Name string
	// Image is what a container runtime starts; the process runtime ignores it.
	Image string
	// Command is the program and its arguments. $PORT, ${PORT} and the other variables that the runtime sets are
	// replaced in it; every other $ stays as it is.
	Command []string
	// Environment is given to the container. What the runtime sets itself (PORT, PORT_*, SLIPWAY_*) wins.
	Environment map[string]string
	// WorkingDirectory is where the command starts; empty: the runtime's choice.
	WorkingDirectory string
	// Ports are what the container listens on.
	Ports []Port
	// HealthCheck is the container's own check; nil: none.
	HealthCheck *HealthCheck
	// Essential: the task stops when this container exits.
	Essential bool
	// StopTimeout is how long after SIGTERM the container is killed; 0 means DefaultStopTimeout.
	StopTimeout time.Duration
	// CPU is in 1/1024 of a core; 0: no limit. A runtime may ignore it.
	CPU int
	// MemoryMiB is the limit of memory; 0: no limit. A runtime may ignore it.
	MemoryMiB int
}

// DefaultStopTimeout is the StopTimeout of a container that names none (ECS: 30 s).
const DefaultStopTimeout = 30 * time.Second

// Port is one port a container listens on.
type Port struct {
	// Name is the port mapping's name; may be empty.
	Name string
	// ContainerPort is the port inside; 0 is allowed where the container is told its port by environment.
	ContainerPort int
	// HostPort is the port outside; 0: assigned by the runtime.
	HostPort int
}

// HealthCheck is a container health check with the meaning and the defaults of ECS.
type HealthCheck struct {
	// Command begins with CMD (the rest is run) or CMD-SHELL (one string for the shell). Exit 0 is healthy.
	Command []string
	// Interval lies between the checks; 0 means 30 s.
	Interval time.Duration
	// Timeout ends one check as failed; 0 means 5 s.
	Timeout time.Duration
	// StartPeriod is the time from the start in which failures do not count; 0: none.
	StartPeriod time.Duration
	// Retries is the number of failures in a row that make the container unhealthy; 0 means 3.
	Retries int
}

// Task is the state of one task.
type Task struct {
	Name    string
	TaskSet string
	Service string
	State   TaskState
	Health  Health
	// Endpoints say where the ports of the task are reached; known when it is RUNNING at the latest.
	Endpoints []Endpoint
	// StartTime is when the task was accepted, RunningTime when all its containers had started, StopTime when the
	// last of them was gone. Zero means absent.
	StartTime, RunningTime, StopTime time.Time
	// StopCode and StopReason say why the task stops or stopped: set with STOPPING and STOPPED.
	StopCode   StopCode
	StopReason string
	// ExitCode is that of the essential container which ended the task, 128 + n for signal n; nil when unknown.
	ExitCode *int
}

// Endpoint is where a container's port is reached.
type Endpoint struct {
	Container     string
	ContainerPort int
	// Address is host:port.
	Address string
}

// TaskState is where a task is in its life. It only moves forward.
type TaskState string

// The states of a task.
const (
	// Pending: accepted, not all containers have started.
	Pending TaskState = "PENDING"
	// Running: all containers have started.
	Running TaskState = "RUNNING"
	// Stopping: the containers were told to stop, or an essential one exited and the rest are.
	Stopping TaskState = "STOPPING"
	// Stopped: nothing of the task runs any more.
	Stopped TaskState = "STOPPED"
)

// Health is the health of a task by its containers' own checks. Over the essential containers that define one
// (ECS): UNHEALTHY if any is unhealthy, else UNKNOWN if any is unknown, else HEALTHY; UNKNOWN if none defines one.
type Health string

// The health of a task.
const (
	Unknown   Health = "UNKNOWN"
	Healthy   Health = "HEALTHY"
	Unhealthy Health = "UNHEALTHY"
)

// StopCode says why a task stopped (the ECS codes that apply here).
type StopCode string

// The stop codes.
const (
	// TaskFailedToStart: a container could not be started.
	TaskFailedToStart StopCode = "TASK_FAILED_TO_START"
	// EssentialContainerExited: an essential container ended by itself.
	EssentialContainerExited StopCode = "ESSENTIAL_CONTAINER_EXITED"
	// ServiceSchedulerInitiated: the task's name is no longer listed, or its set was deleted.
	ServiceSchedulerInitiated StopCode = "SERVICE_SCHEDULER_INITIATED"
)

// Update is a snapshot of every task or the tasks that changed.
type Update struct {
	// Snapshot: Tasks is all there is; what is not in it does not exist.
	Snapshot bool
	// Tasks are the tasks, or those that changed, by name.
	Tasks []Task
	// Removed names tasks that the runtime has forgotten.
	Removed []string
}

// LogOptions say how much of a task's output to copy.
type LogOptions struct {
	// Container names one container; empty: all, each line prefixed with its container where there are several.
	Container string
	// Tail is how many last lines to begin with: 0 none of the past, below 0 all that is kept.
	Tail int
	// Follow goes on with new output until the task is stopped.
	Follow bool
}
