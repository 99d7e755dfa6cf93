package grpcapi_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// Each state of a deployment, of its outcome, its alarms and its service has its name in the contract.
func TestEveryStateHasItsName(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.register("web")
	id := e.plain("web").GetDeployment().GetId()
	change := func(f func(s *rollout.State)) *orchestratorpb.Deployment {
		e.save("web", func(s *rollout.State) []rollout.Event {
			f(s)
			return nil
		})
		return e.deployment(id)
	}
	monitors := []rollout.MonitorStatus{rollout.MonitorDisabled, rollout.Monitoring, rollout.MonitorTriggered, rollout.MonitorComplete}
	for i, status := range monitors {
		got := change(func(s *rollout.State) { s.Deployment.Alarms.Status = status }).GetAlarms().GetStatus()
		if got != orchestratorpb.TaskFailures_Status(i+1) || got.String() != "STATUS_"+string(status) {
			t.Errorf("%s is shown as %v", status, got)
		}
	}
	for i, state := range []rollout.RolloutState{rollout.RolloutInProgress, rollout.RolloutCompleted, rollout.RolloutFailed} {
		got := change(func(s *rollout.State) { s.Deployment.RolloutState = state }).GetRolloutState()
		if got != orchestratorpb.Deployment_RolloutState(i+1) {
			t.Errorf("%s is shown as %v", state, got)
		}
	}
	for i, state := range rollout.DeploymentStates() {
		if state.Terminal() { // at work no more: see the last
			continue
		}
		if got := change(func(s *rollout.State) { s.Deployment.State = state }).GetState(); got != orchestratorpb.Deployment_State(i+1) {
			t.Errorf("%s is shown as %v", state, got)
		}
	}
	for i, kind := range []rollout.EventType{rollout.Info, rollout.Warn, rollout.Error} {
		e.save("web", func(s *rollout.State) []rollout.Event {
			event := said(s, "E")
			event.Type, event.Detail = kind, map[string]string{"k": "v"}
			return []rollout.Event{event}
		})
		e.readable(i + 1)
		list := must[*orchestratorpb.ListEventsResponse](t)(e.Events.ListEvents(e.ctx(), &orchestratorpb.ListEventsRequest{}))
		want := &orchestratorpb.Event{
			Cluster: "default", Service: "web", Deployment: id, Sequence: int64(i + 1), Type: orchestratorpb.Event_Type(i + 1), Name: "E", Reason: "E",
			Detail: map[string]string{"k": "v"}, Time: timestamppb.New(epoch),
		}
		if got := list.GetEvents()[i]; !proto.Equal(got, want) || len(unset(want)) > 0 {
			t.Errorf("shown %v, want %v; not in the sample: %v", got, want, unset(want))
		}
	}
	for _, state := range []rollout.DeploymentState{rollout.Successful, rollout.Stopped, rollout.RollbackSuccessful, rollout.RollbackFailed} {
		name := strings.ToLower(strings.ReplaceAll(string(state), "_", "-"))
		if got := e.deployment(deploying(e, name, state, "")).GetState().String(); got != "STATE_"+string(state) {
			t.Errorf("%s is shown as %v", state, got)
		}
	}
}

// A service shows the conditions of the deployment at work, and its own when there is none.
func TestAServiceIsShownWhole(t *testing.T) {
	t.Parallel()
	e := serve(t)
	created := e.create(e.web())
	if got := e.get("web"); got.GetDeployment() != created.GetDeployment().GetId() || got.GetState() != orchestratorpb.Service_STATE_ACTIVE {
		t.Errorf("%v", got)
	}
	e.save("web", func(s *rollout.State) []rollout.Event {
		s.Service.Conditions = []rollout.Condition{{Type: rollout.WaitDrain, Message: "own"}}
		s.Deployment.Conditions = []rollout.Condition{{Type: rollout.WaitHook, Message: "the deployment's"}}
		return nil
	})
	if got := e.get("web").GetConditions(); len(got) != 1 || got[0].GetMessage() != "the deployment's" {
		t.Errorf("with a deployment at work: %v", got)
	}
	e.finish("web")
	got := e.get("web")
	if len(got.GetConditions()) != 1 || got.GetConditions()[0].GetMessage() != "own" || got.GetDeployment() != "" || got.GetServiceRevision() != "default/web/1" {
		t.Errorf("with none: %v", got)
	}
	if !got.GetCreateTime().AsTime().Equal(epoch) || len(got.GetTaskSets()) != 1 || got.GetPendingCount() != 1 {
		t.Errorf("%v", got)
	}
	for i, phase := range []rollout.Phase{rollout.Active, rollout.Draining, rollout.Inactive} {
		e.save("web", func(s *rollout.State) []rollout.Event {
			s.Service.Phase = phase
			return nil
		})
		if got := e.get("web").GetState(); got != orchestratorpb.Service_State(i+1) {
			t.Errorf("%s is shown as %v", phase, got)
		}
	}
	revisions := must[*orchestratorpb.ListServiceRevisionsResponse](t)(e.Services.ListServiceRevisions(e.ctx(),
		&orchestratorpb.ListServiceRevisionsRequest{Service: "web"})).GetServiceRevisions()
	want := created.GetDeployment().GetTargetServiceRevision()
	if len(revisions) != 1 || !proto.Equal(revisions[0], want) || len(unset(want)) > 0 {
		t.Errorf("%v, want %v", revisions, want)
	}
}
