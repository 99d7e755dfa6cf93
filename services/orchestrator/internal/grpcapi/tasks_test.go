package grpcapi_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	runtimefake "github.com/slipway-deploy/slipway/drivers/runtime/fake"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// order is a task set of the service default/web as the runtime gets it.
func order(definition string, tasks ...string) runtime.TaskSet {
	return runtime.TaskSet{
		ID: "web-1", Service: "default/web", TaskDefinition: definition, Tasks: tasks,
		Containers: []runtime.Container{{Name: "app", Essential: true, Ports: []runtime.Port{{ContainerPort: 80}}}},
	}
}

// A task is shown with what the runtime, the healthcheck service and the service's state say of it.
func TestTasksAreShownWhole(t *testing.T) {
	t.Parallel()
	e := serve(t)
	if err := e.engine.Start(t.Context()); err != nil { // before there is a service: nobody works on it
		t.Fatal(err)
	}
	t.Cleanup(e.engine.Stop)
	service := e.web()
	service.DesiredCount = 3
	saved := &rollout.State{}
	e.insert(service, func(s *rollout.State) {
		revision := rollout.Revision{ID: "default/web/1", Number: 1, TaskDefinition: "web:1", Deployment: "d-1", CreateTime: epoch}
		s.Service.TaskSets = []rollout.TaskSet{{ID: "web-1", Revision: revision, TargetGroup: "web-a", Count: 3, Tasks: []rollout.Task{
			{Name: "web-1-1", Healthy: true}, {Name: "web-1-2", DrainTime: epoch}, {Name: "web-1-3"},
		}}}
		*saved = *s
	})
	e.runtime.Script("web:1", runtimefake.Behavior{Health: runtime.Healthy})
	if err := e.runtime.EnsureTaskSet(t.Context(), 1, order("web:1", "web-1-1", "web-1-2", "web-1-3")); err != nil {
		t.Fatal(err)
	}
	e.health.said <- &healthcheckpb.WatchTargetHealthResponse{Targets: []*healthcheckpb.TargetHealth{{
		TargetGroup: "web-a", Target: &healthcheckpb.Target{Id: "web-1-1"}, Service: "default/web", State: healthcheckpb.TargetHealth_STATE_HEALTHY,
	}}}
	eventually(t, "the tasks run", func() bool {
		for _, name := range []string{"web-1-1", "web-1-2", "web-1-3"} {
			if task := e.runtime.Tasks()[name]; task.State != runtime.Running || task.Health != runtime.Healthy {
				return false
			}
		}
		return true
	})
	e.runtime.Exit("web-1-3", 3)
	told := e.runtime.Tasks()
	var got []*orchestratorpb.Task
	eventually(t, "all that is known is shown", func() bool {
		got = must[*orchestratorpb.ListTasksResponse](t)(e.Tasks.ListTasks(e.ctx(), &orchestratorpb.ListTasksRequest{})).GetTasks()
		return len(got) == 3 && got[0].GetTargetHealth() != "" && got[2].GetState() == orchestratorpb.Task_STATE_STOPPED &&
			got[1].GetHealthStatus() == orchestratorpb.Task_HEALTH_STATUS_HEALTHY
	})
	for i, name := range []string{"web-1-1", "web-1-2", "web-1-3"} {
		task := told[name]
		want := &orchestratorpb.Task{
			Name: name, Cluster: "default", Service: "web", TaskSet: "web-1", ServiceRevision: "default/web/1", TaskDefinition: "web:1",
			State: orchestratorpb.Task_STATE_RUNNING, HealthStatus: orchestratorpb.Task_HEALTH_STATUS_HEALTHY, Draining: i == 1,
			Addresses: []string{task.Endpoints[0].Address}, StartTime: got[i].GetStartTime(), StopTime: got[i].GetStopTime(),
		}
		switch i {
		case 0:
			want.TargetHealth = "HEALTHY"
		case 2:
			want.State, want.HealthStatus = orchestratorpb.Task_STATE_STOPPED, got[i].GetHealthStatus()
			want.StopCode, want.StopReason, want.ExitCode = "ESSENTIAL_CONTAINER_EXITED", task.StopReason, proto.Int32(3)
		}
		if !proto.Equal(got[i], want) || want.GetStartTime().AsTime() != task.StartTime || (want.GetStopTime() != nil) != (i == 2) {
			t.Errorf("shown\n%v, want\n%v", got[i], want)
		}
	}
	if missing := unset(got[0], got[1], got[2]); len(missing) > 0 {
		t.Errorf("no task shows %v", missing)
	}
	web := e.get("web")
	set := web.GetTaskSets()[0]
	if web.GetRunningCount() != 2 || web.GetPendingCount() != 0 || set.GetRunningCount() != 2 || set.GetHealthyCount() != 1 || set.GetDrainingCount() != 1 {
		t.Errorf("the service shows %v", web)
	}
}

// Each state and health of a task has its name in the contract; that of a stopped one is in the test above.
func TestEveryStateOfATaskHasItsName(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.work()
	states := []runtime.TaskState{runtime.Pending, runtime.Running, runtime.Stopping, runtime.Stopped}
	shown := func() *orchestratorpb.Task {
		tasks := must[*orchestratorpb.ListTasksResponse](t)(e.Tasks.ListTasks(e.ctx(), &orchestratorpb.ListTasksRequest{})).GetTasks()
		if len(tasks) != 1 {
			return nil
		}
		return tasks[0]
	}
	state := func(i int) {
		t.Helper()
		eventually(t, string(states[i])+" is shown", func() bool { return shown().GetState() == orchestratorpb.Task_State(i+1) })
	}
	e.runtime.Script("slow:1", runtimefake.Behavior{RunAfter: time.Hour, StopAfter: time.Hour})
	if err := e.runtime.EnsureTaskSet(t.Context(), 1, order("slow:1", "slow")); err != nil {
		t.Fatal(err)
	}
	state(0)
	if err := e.runtime.EnsureTaskSet(t.Context(), 2, order("slow:1")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a task that never ran is gone", func() bool { return shown() == nil })
	e.runtime.Script("ready:1", runtimefake.Behavior{StopAfter: time.Hour})
	if err := e.runtime.EnsureTaskSet(t.Context(), 3, order("ready:1", "ready")); err != nil {
		t.Fatal(err)
	}
	state(1)
	for i, health := range []runtime.Health{runtime.Unknown, runtime.Healthy, runtime.Unhealthy} {
		e.runtime.SetHealth("ready", health)
		eventually(t, string(health)+" is shown", func() bool { return shown().GetHealthStatus() == orchestratorpb.Task_HealthStatus(i+1) })
	}
	if err := e.runtime.EnsureTaskSet(t.Context(), 4, order("ready:1")); err != nil {
		t.Fatal(err)
	}
	state(2)
	if n := orchestratorpb.Task_State(0).Descriptor().Values().Len(); n != len(states)+1 {
		t.Errorf("the contract has %d states of tasks, this test %d", n-1, len(states))
	}
}

func TestLogsAreStreamed(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.runtime.Script("web:1", runtimefake.Behavior{Output: "one\ntwo\nthree\n"})
	if err := e.runtime.EnsureTaskSet(t.Context(), 1, order("web:1", "web-1-1")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the task runs", func() bool { return e.runtime.Tasks()["web-1-1"].State == runtime.Running })
	for tail, want := range map[int32]string{0: "one\ntwo\nthree\n", 1: "three\n", 2: "two\nthree\n", 99: "one\ntwo\nthree\n"} {
		stream, err := e.Tasks.GetLogs(e.ctx(), &orchestratorpb.GetLogsRequest{Task: "web-1-1", TailLines: tail})
		if err != nil {
			t.Fatal(err)
		}
		var got string
		for {
			m, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got += string(m.GetData())
		}
		if got != want {
			t.Errorf("the last %d lines: %q, want %q", tail, got, want)
		}
	}
	follow, err := e.Tasks.GetLogs(e.ctx(), &orchestratorpb.GetLogsRequest{Task: "web-1-1", Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := recv(t, follow); string(got.GetData()) != "one\ntwo\nthree\n" {
		t.Errorf("followed: %q", got.GetData())
	}
	e.runtime.Exit("web-1-1", 0)
	if m, err := follow.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the task's end: %v, %v", m, err)
	}
}
