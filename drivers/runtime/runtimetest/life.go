package runtimetest

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func namedTasksRun(b *bench) {
	set := b.set(Workload{}, "1", "1", "2")
	b.ensure(1, set)
	for _, name := range set.Tasks {
		task := b.reaches(name, runtime.Running)
		if task.TaskSet != set.ID || task.Service != set.Service {
			b.Errorf("task %s is of set %s of %s", name, task.TaskSet, task.Service)
		}
		if task.RunningTime.Before(task.StartTime) {
			b.Errorf("task %s ran at %s, before it was accepted at %s", name, task.RunningTime, task.StartTime)
		}
	}
	set.Tasks = append(set.Tasks, b.name("1", "3"))
	b.ensure(2, set)
	b.reaches(b.name("1", "3"), runtime.Running)
	if states := b.states(set.Tasks[0]); slices.Contains(states, runtime.Stopping) {
		b.Errorf("a task that is listed on went through %q", states)
	}
}

func repeatedOrder(b *bench) {
	set := b.set(Workload{}, "1", "1")
	b.ensure(1, set)
	first := b.reaches(set.Tasks[0], runtime.Running)
	b.ensure(1, set)
	b.ensure(2, set)
	// What a second set does tells that the repeated orders were carried out.
	other := b.set(Workload{}, "2", "1")
	b.ensure(2, other)
	b.reaches(other.Tasks[0], runtime.Running)
	if again := b.reaches(set.Tasks[0], runtime.Running); !reflect.DeepEqual(again, first) {
		b.Errorf("the task changed from %+v to %+v", first, again)
	}
}

func unlistedTasks(b *bench) {
	set := b.set(Workload{}, "1", "1", "2")
	b.ensure(1, set)
	gone := set.Tasks[1]
	for _, name := range set.Tasks {
		b.reaches(name, runtime.Running)
	}
	set.Tasks = set.Tasks[:1]
	b.ensure(2, set)
	b.removed(gone)
	states := b.states(gone)
	if n := len(states); n < 2 || states[n-2] != runtime.Stopped || states[n-1] != "" {
		b.Errorf("the task went through %q, want it STOPPED and then removed", states)
	}
	b.reaches(set.Tasks[0], runtime.Running)
}

func exitedTask(b *bench) {
	set := b.set(Workload{Exits: true, ExitCode: 3}, "1", "1")
	b.ensure(1, set)
	task := b.reaches(set.Tasks[0], runtime.Stopped)
	if task.StopCode != runtime.EssentialContainerExited {
		b.Errorf("got stop code %s", task.StopCode)
	}
	if task.ExitCode == nil || *task.ExitCode != 3 {
		b.Errorf("got exit code %v, want 3", task.ExitCode)
	}
	b.ensure(2, set)
	other := b.set(Workload{}, "2", "1")
	b.ensure(2, other)
	b.reaches(other.Tasks[0], runtime.Running)
	if again := b.reaches(set.Tasks[0], runtime.Stopped); !reflect.DeepEqual(again, task) {
		b.Errorf("the stopped task changed from %+v to %+v", task, again)
	}
	set.Tasks = nil
	b.ensure(3, set)
	b.removed(task.Name)
}

func forgottenName(b *bench) {
	set := b.set(Workload{}, "1", "1", "2")
	b.ensure(1, set)
	name := set.Tasks[1]
	b.reaches(name, runtime.Running)
	less := set
	less.Tasks = set.Tasks[:1]
	b.ensure(2, less)
	b.removed(name)
	b.ensure(3, set)
	if task := b.reaches(name, runtime.Stopped); task.StopCode != runtime.ServiceSchedulerInitiated {
		b.Errorf("got stop code %s", task.StopCode)
	}
	states := b.states(name)
	if slices.Contains(states[slices.Index(states, ""):], runtime.Running) {
		b.Errorf("the forgotten name ran again: %q", states)
	}
}

func cannotStart(b *bench) {
	set := b.set(Workload{CannotStart: true}, "1", "1")
	b.ensure(1, set)
	task := b.reaches(set.Tasks[0], runtime.Stopped)
	if task.StopCode != runtime.TaskFailedToStart || task.ExitCode != nil {
		b.Errorf("got %s with exit code %v", task.StopCode, task.ExitCode)
	}
	if states := b.states(task.Name); slices.Contains(states, runtime.Running) {
		b.Errorf("it went through %q", states)
	}
}

func ignoredTerm(b *bench) {
	const timeout = 400 * time.Millisecond
	set := b.set(Workload{IgnoresTerm: true, StopTimeout: timeout, Output: "ready\n"}, "1", "1")
	b.ensure(1, set)
	name := set.Tasks[0]
	b.reaches(name, runtime.Running)
	b.untilLogged(name, "ready\n")
	set.Tasks = nil
	ordered := time.Now()
	b.ensure(2, set)
	b.reaches(name, runtime.Stopping)
	var task runtime.Task
	b.until("it is stopped", func(tasks map[string]runtime.Task) bool {
		if seen, ok := tasks[name]; ok {
			task = seen
		}
		return !slices.Contains([]runtime.TaskState{runtime.Running, runtime.Stopping}, tasks[name].State)
	})
	if lasted := time.Since(ordered); lasted < timeout {
		b.Errorf("it was stopped after %s, before its stop timeout of %s", lasted, timeout)
	}
	if task.State == runtime.Stopped && (task.ExitCode == nil || *task.ExitCode != 137) {
		b.Errorf("got exit code %v, want 137 (SIGKILL)", task.ExitCode)
	}
}

func deletedSet(b *bench) {
	running, exited := b.set(Workload{}, "1", "1"), b.set(Workload{Exits: true}, "2", "1")
	b.ensure(1, running)
	b.ensure(1, exited)
	b.reaches(running.Tasks[0], runtime.Running)
	b.reaches(exited.Tasks[0], runtime.Stopped)
	b.delete(2, running)
	b.delete(2, exited)
	b.removed(running.Tasks[0])
	b.removed(exited.Tasks[0])
	b.delete(2, running)
}

func unknownSet(b *bench) {
	b.delete(1, b.set(Workload{}, "1"))
}

func staleGeneration(b *bench) {
	set := b.set(Workload{}, "1", "1")
	b.ensure(7, set)
	b.refused(b.Runtime.EnsureTaskSet(b.Context(), 6, b.set(Workload{}, "2", "1")))
	b.refused(b.Runtime.DeleteTaskSet(b.Context(), 6, set.Service, set.ID))
	b.delete(8, b.set(Workload{}, "3"))
	b.refused(b.Runtime.EnsureTaskSet(b.Context(), 7, set))
	other := b.set(Workload{}, "4", "1")
	other.Service += "-other"
	b.ensure(1, other)
	b.ensure(8, set)
}

func (b *bench) refused(err error) {
	b.Helper()
	if !errors.Is(err, problem.Aborted) || problem.ReasonOf(err) != "STALE_GENERATION" {
		b.Errorf("got %v, want ABORTED for the reason STALE_GENERATION", err)
	}
}

func refusedOrder(b *bench) {
	set := b.set(Workload{}, "1", "1")
	b.ensure(7, set)
	b.reaches(set.Tasks[0], runtime.Running)
	late := set
	late.Tasks = []string{b.name("1", "9")}
	b.refused(b.Runtime.EnsureTaskSet(b.Context(), 6, late))
	set.Tasks = append(set.Tasks, b.name("1", "2"))
	b.ensure(7, set)
	b.reaches(set.Tasks[1], runtime.Running)
	b.reaches(set.Tasks[0], runtime.Running)
	if states := b.states(late.Tasks[0]); len(states) > 0 {
		b.Errorf("a task of the refused order went through %q", states)
	}
}

func invalidSet(b *bench) {
	set := b.set(Workload{}, "1", "1", "1")
	err := b.Runtime.EnsureTaskSet(b.Context(), 5, set)
	if !errors.Is(err, problem.InvalidArgument) {
		b.Errorf("got %v, want INVALID_ARGUMENT", err)
	}
	// Its generation was not remembered either.
	b.ensure(1, b.set(Workload{}, "1", "2"))
	b.reaches(b.name("1", "2"), runtime.Running)
	if states := b.states(b.name("1", "1")); len(states) > 0 {
		b.Errorf("a task of the refused set went through %q", states)
	}
}

func nameOfAnotherSet(b *bench) {
	set := b.set(Workload{}, "1", "1")
	b.ensure(1, set)
	b.reaches(set.Tasks[0], runtime.Running)
	thief := b.set(Workload{}, "2")
	thief.Tasks = set.Tasks
	if err := b.Runtime.EnsureTaskSet(b.Context(), 1, thief); !errors.Is(err, problem.InvalidArgument) {
		b.Errorf("got %v, want INVALID_ARGUMENT", err)
	}
}

func canceledCall(b *bench) {
	ctx, cancel := context.WithCancel(b.Context())
	cancel()
	if err := b.Runtime.EnsureTaskSet(ctx, 1, b.set(Workload{}, "1", "1")); !errors.Is(err, context.Canceled) {
		b.Errorf("got %v, want canceled", err)
	}
}
