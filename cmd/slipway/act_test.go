package main

import (
	"strings"
	"testing"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

func TestStopRollsBackOrAborts(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	slipway(t, address, "stop", "web").want(t, 2, "no deployment of web is at work: d-1 ended as SUCCESSFUL")
	slipway(t, address, "deploy", "web", "--task-definition", "web:2", "--detach").want(t, 0)
	slipway(t, address, "stop", "web", "--reason", "drill").want(t, 0, "d-2 ROLLBACK_SUCCESSFUL after 20s: drill; ", "200ms after the rollback began")
	slipway(t, address, "deploy", "web", "--task-definition", "web:2", "--detach").want(t, 0)
	slipway(t, address, "stop", "d-3", "--abort", "--detach").want(t, 0, "deployment d-3 of web: STOPPED", "slipway watch d-3")
	for i, want := range []orchestratorpb.StopDeploymentRequest_StopType{
		orchestratorpb.StopDeploymentRequest_STOP_TYPE_ROLLBACK, orchestratorpb.StopDeploymentRequest_STOP_TYPE_ABORT,
	} {
		if got := f.stops[i]; got.GetStopType() != want || got.GetRequestId() == "" {
			t.Errorf("stop %d was %v", i, got)
		}
	}
}

func TestRollbackDuringADeploymentStopsIt(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	slipway(t, address, "deploy", "web", "--task-definition", "web:2", "--detach").want(t, 0)
	slipway(t, address, "rollback", "web").want(t, 0, "deployment d-2 ROLLBACK_SUCCESSFUL")
	if len(f.stops) != 1 || len(f.deployments) != 2 {
		t.Errorf("%d stops and %d deployments", len(f.stops), len(f.deployments))
	}
}

func TestRollbackAfterADeploymentDeploysWhatWasLiveBefore(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web") // d-1: web:1
	f.addDefinition("web")
	slipway(t, address, "rollback", "web").want(t, 2, "no other task definition of web has been live before")
	f.drive = succeed
	slipway(t, address, "deploy", "web", "--task-definition", "web:2").want(t, 0)
	slipway(t, address, "deploy", "web", "--task-definition", "web:2").want(t, 0) // d-3: the same again
	f.drive = func(f *fake, id string) { f.end(id, orchestratorpb.Deployment_STATE_ROLLBACK_SUCCESSFUL, "bad") }
	slipway(t, address, "deploy", "web", "--task-definition", "web:3").want(t, 1) // d-4: never live
	f.drive = succeed
	slipway(t, address, "rollback", "web").want(t, 0, "no deployment is at work: deploying web:1 of revision 1 again", "deployment d-5 SUCCESSFUL", "web:1 is live")
	slipway(t, address, "rollback", "web").want(t, 0, "deploying web:2 of revision 3 again")
}

func TestContinueAnswersAPause(t *testing.T) {
	t.Parallel()
	f, address := start(t)
	f.addService("web")
	slipway(t, address, "deploy", "web", "--task-definition", "web:2", "--detach").want(t, 0)
	slipway(t, address, "continue", "web").want(t, 2, `waits for no ContinueDeployment; "slipway status SERVICE" shows what it waits for`)
	f.change("d-2", 1, "X", "x", func(d *orchestratorpb.Deployment) { d.Conditions = []*orchestratorpb.Condition{{}} })
	slipway(t, address, "continue", "web", "--rollback", "--hook-id", "h-1").want(t, 0, "deployment d-2 of web: IN_PROGRESS")
	if calls := strings.Join(f.calls, ","); !strings.Contains(calls, "ContinueDeployment ACTION_CONTINUE ,") || !strings.HasSuffix(calls, "ContinueDeployment ACTION_ROLLBACK h-1") {
		t.Errorf("calls were %s", calls)
	}
}
