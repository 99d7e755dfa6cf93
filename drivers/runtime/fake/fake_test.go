package fake_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/fake"
	"github.com/slipway-deploy/slipway/drivers/runtime/runtimetest"
)

func TestTheFakeKeepsThePromisesOfThePort(t *testing.T) {
	runtimetest.Run(t, func(t *testing.T) runtimetest.Harness {
		r := fake.New()
		t.Cleanup(r.Close)
		scripts := 0
		return runtimetest.Harness{
			Runtime: r,
			Restart: func() runtime.Runtime { return r },
			Define: func(w runtimetest.Workload) (string, []runtime.Container) {
				scripts++
				definition := fmt.Sprintf("web:%d", scripts)
				b := fake.Behavior{IgnoreTerm: w.IgnoresTerm, Health: w.Health, Output: w.Output}
				if w.CannotStart {
					b.FailToStart = "the image does not exist"
				}
				if w.Exits {
					b.Exit = &fake.Exit{After: time.Millisecond, Code: w.ExitCode}
				}
				r.Script(definition, b)
				return definition, []runtime.Container{{
					Name: "app", Essential: true, Ports: w.Ports, StopTimeout: w.StopTimeout,
				}}
			},
		}
	})
}

func order(tasks ...string) runtime.TaskSet {
	return runtime.TaskSet{
		ID: "web-1", Service: "prod/web", TaskDefinition: "web:1",
		Containers: []runtime.Container{{Name: "app", Essential: true, StopTimeout: time.Minute}},
		Tasks:      tasks,
	}
}

func ensure(t *testing.T, r *fake.Runtime, set runtime.TaskSet) {
	t.Helper()
	if err := r.EnsureTaskSet(t.Context(), 1, set); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, r *fake.Runtime, name string, state runtime.TaskState, health runtime.Health) {
	t.Helper()
	synctest.Wait()
	if task := r.Tasks()[name]; task.State != state || task.Health != health {
		t.Errorf("after %s task %s is %s and %s, want %s and %s", time.Since(task.StartTime), name, task.State, task.Health, state, health)
	}
}

func TestAScriptIsFollowedToTheMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := fake.New()
		r.Script("web:1", fake.Behavior{
			RunAfter: 2 * time.Second, Health: runtime.Healthy, HealthAfter: 3 * time.Second,
			Exit: &fake.Exit{After: time.Minute, Code: 9},
		})
		ensure(t, r, order("a"))
		expect(t, r, "a", runtime.Pending, runtime.Unknown)
		<-time.After(2 * time.Second)
		expect(t, r, "a", runtime.Running, runtime.Unknown)
		<-time.After(3 * time.Second)
		expect(t, r, "a", runtime.Running, runtime.Healthy)
		if !r.SetHealth("a", runtime.Unhealthy) {
			t.Error("the task is not alive")
		}
		expect(t, r, "a", runtime.Running, runtime.Unhealthy)
		<-time.After(time.Minute)
		expect(t, r, "a", runtime.Stopped, runtime.Unhealthy)
		if code := r.Tasks()["a"].ExitCode; code == nil || *code != 9 {
			t.Errorf("got exit code %v, want 9", code)
		}
		if r.Exit("a", 1) {
			t.Error("a stopped task exited again")
		}
	})
}

func TestStoppingTakesItsTimeButNoLongerThanTheStopTimeout(t *testing.T) {
	for stopAfter, want := range map[time.Duration]time.Duration{time.Second: time.Second, time.Hour: time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			r := fake.New()
			r.Script("web:1", fake.Behavior{StopAfter: stopAfter})
			ensure(t, r, order("a"))
			ensure(t, r, order())
			<-time.After(want - 1)
			expect(t, r, "a", runtime.Stopping, runtime.Unknown)
			<-time.After(1)
			synctest.Wait()
			if _, there := r.Tasks()["a"]; there {
				t.Errorf("after %s the task is still there", want)
			}
		})
	}
}

func TestATaskThatIsStoppedBeforeItRunsNeverRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := fake.New()
		r.Script("web:1", fake.Behavior{RunAfter: time.Second})
		ensure(t, r, order("a"))
		ensure(t, r, order())
		<-time.After(time.Hour)
		if tasks := r.Tasks(); len(tasks) != 0 {
			t.Errorf("got %+v", tasks)
		}
	})
}

func TestFailuresAndBrokenWatchesCanBeScripted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, broken := fake.New(), errors.New("out of order")
		r.FailWith(broken)
		if err := r.EnsureTaskSet(t.Context(), 1, order("a")); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
		r.FailWith(nil)
		ensure(t, r, order("a"))
		result := make(chan error, 1)
		go func() { result <- r.Watch(context.Background(), func(runtime.Update) {}) }()
		synctest.Wait()
		r.BreakWatches(broken)
		if err := <-result; !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
		if orders := r.Orders(); len(orders) != 1 || orders[0].Set.Tasks[0] != "a" {
			t.Errorf("got the orders %+v, want the accepted one", orders)
		}
	})
}
