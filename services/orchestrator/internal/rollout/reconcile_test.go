package rollout

import (
	"fmt"
	"testing"
	"time"
)

// bakingBlueGreen is a world in which web-1 has completed and a blue/green deployment of web-2 bakes: all production traffic
// is on web-2, and web-1 is kept for a rollback.
func bakingBlueGreen(t *testing.T) *world {
	t.Helper()
	config := DefaultConfig()
	config.Strategy, config.Steps = BlueGreen, AllAtOnce()
	w := newWorld(Spec{DesiredCount: 3, Config: config, LoadBalancer: testLoadBalancer()})
	deployAll(t, w, "d-1", config, time.Hour)
	config.BakeTime = time.Hour
	deployAll(t, w, "d-2", config, time.Minute)
	if w.state.Deployment == nil || w.state.Deployment.Stage != BakeTime || w.state.Service.share("b") != FullShare {
		t.Fatalf("d-2 does not bake: %+v", w.state.Deployment)
	}
	return w
}

func deployAll(t *testing.T, w *world, id string, config Config, limit time.Duration) {
	t.Helper()
	if err := w.deploy(id, "web:"+id, config, true); err != nil {
		t.Fatal(err)
	}
	w.run(limit)
}

func expectLive(t *testing.T, w *world, id string) {
	t.Helper()
	if len(w.problems) > 0 || w.state.Deployment != nil {
		t.Fatalf("%v\nat work: %+v", w.problems, w.state.Deployment)
	}
	last := w.ended[len(w.ended)-1]
	sets := w.state.Service.TaskSets
	if last.ID != id || last.State != Successful || len(sets) != 1 || sets[0].healthy() != 3 || w.state.Service.share(sets[0].TargetGroup) != FullShare {
		t.Errorf("%s ended %s (%s) with %+v, production %v", last.ID, last.State, last.Reason, sets, w.state.Service.Production)
	}
}

func TestARollingDeploymentThatSupersedesABlueGreenOneGathersTheTrafficFirst(t *testing.T) {
	t.Parallel()
	w := bakingBlueGreen(t)
	deployAll(t, w, "d-3", DefaultConfig(), time.Hour)
	expectLive(t, w, "d-3")
	if got := w.state.Service.productionTargetGroup(); got != "a" {
		t.Errorf("the traffic went to %s, not back to the completed revision's a", got)
	}
}

func TestARollingDeploymentStaysWhereTheOnlyHealthyTasksAre(t *testing.T) {
	t.Parallel()
	w := bakingBlueGreen(t)
	for _, task := range w.tasks { // web-1 is broken for good
		if task.set == "web-1" {
			task.behave, task.stopped = behaviour{ExitAtOnce: true}, true
		}
	}
	w.behave = func(set string, _ int) behaviour { return behaviour{Ready: time.Second, ExitAtOnce: set == "web-1"} }
	deployAll(t, w, "d-3", DefaultConfig(), time.Hour)
	expectLive(t, w, "d-3")
	if got := w.state.Service.productionTargetGroup(); got != "b" {
		t.Errorf("the traffic went to %s, where nothing was healthy", got)
	}
}

// A blue/green deployment is superseded when its tasks have just become unhealthy and the old revision has none: the data plane
// fails open to them, and must not be sent to a target group that is empty.
func TestTrafficStaysWithUnhealthyTasksWhileTheOtherTargetGroupIsEmpty(t *testing.T) {
	t.Parallel()
	w := bakingBlueGreen(t)
	for _, task := range w.tasks {
		task.behave.Unhealthy = true
	}
	w.state.Service.taskSet("default/web/1").Tasks = nil
	w.behave = func(set string, _ int) behaviour {
		return behaviour{Ready: 20 * time.Second, Unhealthy: set == "web-2"}
	}
	mustDeploy(t, w, "d-3", config(BlueGreen, nil), true)
	for w.state.Deployment != nil {
		w.settle()
		if home := w.state.Service.productionTargetGroup(); home == "a" && w.healthyIn(w.state.Service, "a") == 0 {
			t.Fatalf("all traffic goes to a, where nothing is healthy:\n%s", join(w.trace))
		}
		if w.now = w.next(w.settle()); w.now.IsZero() {
			break
		}
	}
	expectLive(t, w, "d-3")
}

func TestAFixIsDeployedWhenNoRevisionOfSeveralIsHealthy(t *testing.T) {
	t.Parallel()
	for _, strategy := range []Strategy{Rolling, BlueGreen, Canary} {
		t.Run(string(strategy), func(t *testing.T) {
			t.Parallel()
			w := bakingBlueGreen(t)
			w.behave = func(set string, _ int) behaviour {
				return behaviour{Ready: time.Second, ExitAtOnce: set != "web-3"}
			}
			for _, task := range w.tasks {
				task.behave, task.stopped = behaviour{ExitAtOnce: true}, true
			}
			config := DefaultConfig()
			if config.Strategy = strategy; strategy != Rolling {
				config.Steps = map[Strategy][]TrafficStep{BlueGreen: AllAtOnce(), Canary: CanarySteps(100, time.Minute)}[strategy]
			}
			deployAll(t, w, "d-3", config, 10*time.Hour)
			expectLive(t, w, "d-3")
		})
	}
}

// A blue/green deployment is aborted when its tasks are gone but have all the traffic; the old revision is healthy without any.
func TestACanaryOverAnOldRevisionWithoutTrafficDoesNotRaiseADeadTargetGroup(t *testing.T) {
	t.Parallel()
	for _, oldAlive := range []bool{true, false} {
		t.Run(fmt.Sprint("old alive: ", oldAlive), func(t *testing.T) {
			t.Parallel()
			w := bakingBlueGreen(t)
			for _, task := range w.tasks {
				task.stopped = task.set == "web-2"
			}
			cmd, err := Stop(w.state, StopAbort, "", w.now)
			if err != nil {
				t.Fatal(err)
			}
			w.save(cmd)
			w.settle()
			if !oldAlive {
				for _, task := range w.tasks {
					task.behave, task.stopped = behaviour{ExitAtOnce: true}, true
				}
				w.behave = func(set string, _ int) behaviour { return behaviour{Ready: time.Second, ExitAtOnce: set == "web-1"} }
			}
			config := DefaultConfig()
			config.Strategy, config.Steps = Canary, CanarySteps(100, time.Minute)
			deployAll(t, w, "d-3", config, 10*time.Hour)
			expectLive(t, w, "d-3")
		})
	}
}
