// Package runtimetest is the one conformance suite of the runtime port: every driver passes it, against the real
// thing. It may import the port and problem.
package runtimetest

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

// Workload is what the tasks of a task definition are to do. The zero Workload runs until it is stopped, and stops
// at once when told to.
type Workload struct {
	// Exits: the task ends by itself soon after it runs, with ExitCode.
	Exits    bool
	ExitCode int
	// IgnoresTerm: only SIGKILL ends it.
	IgnoresTerm bool
	// CannotStart: its program or image does not exist.
	CannotStart bool
	// Health is what its container check finds, soon after it runs; empty: it has no check.
	Health runtime.Health
	// Output is what it writes when it begins: whole lines.
	Output string
	// Ports are the ports of its container.
	Ports []runtime.Port
	// StopTimeout is its container's.
	StopTimeout time.Duration
}

// Harness is a driver under test. Each behaviour gets one of its own.
type Harness struct {
	Runtime runtime.Runtime
	// Define returns the task definition and the containers of tasks that do what w says.
	Define func(w Workload) (taskDefinition string, containers []runtime.Container)
	// Restart ends the driver in an orderly way and starts it again on the same state. nil: the driver keeps nothing,
	// and the behaviours that need it are skipped.
	Restart func() runtime.Runtime
}

// Run runs every behaviour as a subtest. newHarness cleans up through t.Cleanup.
func Run(t *testing.T, newHarness func(t *testing.T) Harness) {
	behaviours := []struct {
		name string
		test func(*bench)
	}{
		{"the named tasks run", namedTasksRun},
		{"an order that is repeated changes nothing", repeatedOrder},
		{"a task that is no longer listed is stopped, shown STOPPED and removed", unlistedTasks},
		{"a task that exits stays STOPPED under its name", exitedTask},
		{"a name is started once, also after it was forgotten", forgottenName},
		{"a task that cannot start says why", cannotStart},
		{"a task that ignores SIGTERM is killed after its stop timeout", ignoredTerm},
		{"a deleted set is stopped and forgotten", deletedSet},
		{"deleting an unknown set is no error", unknownSet},
		{"a lower generation is refused across the sets of a service", staleGeneration},
		{"a refused order changes nothing", refusedOrder},
		{"an invalid set is refused whole", invalidSet},
		{"a task name belongs to one set", nameOfAnotherSet},
		{"a call that is already canceled is refused", canceledCall},
		{"health is what the container check says", health},
		{"every task has addresses of its own", addresses},
		{"every watch begins with a snapshot and ends with its context", watches},
		{"logs can be tailed", tail},
		{"logs can be followed until the task is stopped", follow},
		{"logs of an unknown task are not found", unknownLogs},
		{"tasks outlive the driver", tasksOutliveTheDriver},
		{"stopped tasks and the fence outlive the driver", recordsOutliveTheDriver},
		{"what stops goes on stopping after a restart", stoppingOutlivesTheDriver},
	}
	for _, b := range behaviours {
		t.Run(strings.ReplaceAll(b.name, " ", "_"), func(t *testing.T) {
			b.test(newBench(t, newHarness(t)))
		})
	}
}

// bench is one behaviour's driver, watched from the beginning.
type bench struct {
	*testing.T
	Harness
	*observer
	service string
	unique  string
}

func newBench(t *testing.T, h Harness) *bench {
	unique := strings.ToLower(rand.Text()[:8])
	b := &bench{T: t, Harness: h, service: "prod/web-" + unique, unique: unique}
	b.observer = observe(t, h.Runtime)
	return b
}

// set is a task set of the bench's service with the numbered tasks; names are unique on the machine.
func (b *bench) set(w Workload, id string, tasks ...string) runtime.TaskSet {
	definition, containers := b.Define(w)
	set := runtime.TaskSet{ID: "web-" + b.unique + "-" + id, Service: b.service, TaskDefinition: definition, Containers: containers}
	for _, task := range tasks {
		set.Tasks = append(set.Tasks, b.name(id, task))
	}
	return set
}

func (b *bench) name(id, task string) string { return "web-" + b.unique + "-" + id + "-" + task }

func (b *bench) ensure(generation int64, set runtime.TaskSet) {
	b.Helper()
	if err := b.Runtime.EnsureTaskSet(b.Context(), generation, set); err != nil {
		b.Fatalf("EnsureTaskSet: %v", err)
	}
}

func (b *bench) delete(generation int64, set runtime.TaskSet) {
	b.Helper()
	if err := b.Runtime.DeleteTaskSet(b.Context(), generation, set.Service, set.ID); err != nil {
		b.Fatalf("DeleteTaskSet: %v", err)
	}
}

// restart restarts the driver and watches the new one.
func (b *bench) restart() {
	b.Helper()
	if b.Restart == nil {
		b.Skip("the driver keeps nothing over a restart")
	}
	b.stop()
	b.Runtime = b.Restart()
	b.observer = observe(b.T, b.Runtime)
}
