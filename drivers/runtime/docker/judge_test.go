package docker

import (
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

var (
	accepted = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	looked   = accepted.Add(time.Minute)
)

func inState(state container.State) seen {
	return seen{inspect: container.InspectResponse{State: &state}}
}

var up = inState(container.State{Running: true})

func exited(code int, after time.Duration) seen {
	return inState(container.State{ExitCode: code, FinishedAt: accepted.Add(after).Format(time.RFC3339Nano)})
}

// runningRecord is of a running task: app is essential, side is not.
func runningRecord(containers ...runtime.Container) record {
	if len(containers) == 0 {
		containers = []runtime.Container{{Name: "app", Essential: true, StopTimeout: 7 * time.Second}, {Name: "side"}}
	}
	r := newRecord(runtime.TaskSet{ID: "web-1", Service: "prod/web", TaskDefinition: "web:1", Containers: containers}, 3, "web-1-1", accepted)
	r.Engine, r.Begun, r.Task.State, r.Task.RunningTime = "local", true, runtime.Running, accepted.Add(time.Second)
	return r
}

func TestTheStateOfATaskFollowsFromItsContainers(t *testing.T) {
	t.Parallel()
	oom := exited(137, 20*time.Second)
	oom.inspect.State.OOMKilled = true
	for name, c := range map[string]struct {
		app, side seen
		unlisted  bool
		state     runtime.TaskState
		code      runtime.StopCode
		reason    string
		exit      int
		stop      time.Duration
	}{
		"all run":                {app: up, side: up, state: runtime.Running, exit: -1},
		"paused is running":      {app: inState(container.State{Paused: true}), side: up, state: runtime.Running, exit: -1},
		"side exited":            {app: up, side: exited(1, 9*time.Second), state: runtime.Running, exit: -1},
		"app exited, side runs":  {app: exited(3, 9*time.Second), side: up, state: runtime.Stopping, code: runtime.EssentialContainerExited, reason: "essential container app exited with code 3", exit: 3},
		"both exited":            {app: exited(3, 9*time.Second), side: exited(0, 12*time.Second), state: runtime.Stopped, code: runtime.EssentialContainerExited, reason: "essential container app exited with code 3", exit: 3, stop: 12 * time.Second},
		"out of memory":          {app: oom, side: exited(0, time.Second), state: runtime.Stopped, code: runtime.EssentialContainerExited, reason: "essential container app was killed: out of memory (OutOfMemoryError)", exit: 137, stop: 20 * time.Second},
		"removed from outside":   {app: seen{gone: true}, side: seen{gone: true}, state: runtime.Stopped, code: runtime.EssentialContainerExited, reason: "essential container app was removed from outside", exit: -1, stop: time.Minute},
		"unlisted":               {app: up, side: up, unlisted: true, state: runtime.Stopping, code: runtime.ServiceSchedulerInitiated, reason: unlisted, exit: -1},
		"ended in the future":    {app: exited(1, time.Hour), side: seen{gone: true}, state: runtime.Stopped, code: runtime.EssentialContainerExited, reason: "essential container app exited with code 1", exit: 1, stop: time.Minute},
		"exited before unlisted": {app: exited(4, 9*time.Second), side: up, unlisted: true, state: runtime.Stopping, code: runtime.EssentialContainerExited, reason: "essential container app exited with code 4", exit: 4},
	} {
		before := runningRecord()
		got := judge(before, []seen{c.app, c.side}, !c.unlisted, looked)
		task := got.rec.Task
		if task.State != c.state || task.StopCode != c.code || task.StopReason != c.reason || got.changed != (c.state != runtime.Running) {
			t.Errorf("%s: got %s %s %q (changed: %v)", name, task.State, task.StopCode, task.StopReason, got.changed)
		}
		if exit := task.ExitCode; (exit == nil) != (c.exit < 0) || exit != nil && *exit != c.exit {
			t.Errorf("%s: exit code %v, want %d", name, exit, c.exit)
		}
		if c.state == runtime.Stopped && !task.StopTime.Equal(accepted.Add(c.stop)) {
			t.Errorf("%s: stopped at %s", name, task.StopTime)
		}
		if c.state == runtime.Stopping && (!got.rec.StopDeadlines[0].Equal(looked.Add(7*time.Second)) || !got.rec.StopDeadlines[1].Equal(looked.Add(30*time.Second))) {
			t.Errorf("%s: kill at %v", name, got.rec.StopDeadlines)
		}
		if before.Task.State != runtime.Running || before.StopDeadlines != nil {
			t.Errorf("%s: judge changed what it was given", name)
		}
	}
}

func TestATaskThatWasToldToStopHasTheExitCodeOfItsEssentialContainer(t *testing.T) {
	t.Parallel()
	stopping := judge(runningRecord(), []seen{up, up}, false, looked).rec
	got := judge(stopping, []seen{exited(143, 9*time.Second), exited(0, 9*time.Second)}, false, looked).rec.Task
	if got.State != runtime.Stopped || got.ExitCode == nil || *got.ExitCode != 143 || got.StopReason != unlisted {
		t.Errorf("got %+v", got)
	}
}

func TestTheHealthOfATaskIsThatOfItsEssentialContainers(t *testing.T) {
	t.Parallel()
	checked := func(name string, essential bool) runtime.Container {
		return runtime.Container{Name: name, Essential: essential, HealthCheck: &runtime.HealthCheck{}}
	}
	with := func(status container.HealthStatus) seen {
		return inState(container.State{Running: true, Health: &container.Health{Status: status}})
	}
	both := []runtime.Container{checked("a", true), checked("b", true)}
	for name, c := range map[string]struct {
		containers []runtime.Container
		found      []seen
		want       runtime.Health
	}{
		"no result yet":                  {both, []seen{with(container.Starting), with(container.Healthy)}, runtime.Unknown},
		"all healthy":                    {both, []seen{with(container.Healthy), with(container.Healthy)}, runtime.Healthy},
		"one unhealthy, one unknown":     {both, []seen{with(container.Starting), with(container.Unhealthy)}, runtime.Unhealthy},
		"not essential":                  {[]runtime.Container{checked("a", true), checked("b", false)}, []seen{with(container.Healthy), with(container.Unhealthy)}, runtime.Healthy},
		"none is essential with a check": {[]runtime.Container{{Name: "a", Essential: true}, checked("b", false)}, []seen{up, with(container.Healthy)}, runtime.Unknown},
		"the image's own check":          {[]runtime.Container{{Name: "a", Essential: true}}, []seen{with(container.Unhealthy)}, runtime.Unknown},
		"exited":                         {both[:1], []seen{exited(0, time.Second)}, runtime.Unknown},
		"gone":                           {both[:1], []seen{{gone: true}}, runtime.Unknown},
	} {
		if got := health(c.containers, c.found); got != c.want {
			t.Errorf("%s: got %s", name, got)
		}
	}
}
