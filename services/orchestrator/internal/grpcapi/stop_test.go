package grpcapi_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

const (
	byDefault = orchestratorpb.StopDeploymentRequest_STOP_TYPE_UNSPECIFIED
	byBack    = orchestratorpb.StopDeploymentRequest_STOP_TYPE_ROLLBACK
	byAbort   = orchestratorpb.StopDeploymentRequest_STOP_TYPE_ABORT
)

// deploying makes a service that has a live revision and a deployment in the given state and stage.
func deploying(e *env, name string, state rollout.DeploymentState, stage rollout.Stage) string {
	e.t.Helper()
	e.plain(name)
	e.finish(name)
	resp, err := e.Deployments.CreateDeployment(e.t.Context(), &orchestratorpb.CreateDeploymentRequest{Service: name})
	if err != nil {
		e.t.Fatal(err)
	}
	e.save(name, func(s *rollout.State) []rollout.Event {
		d := s.Deployment
		d.State, d.Stage, d.StartTime = state, stage, epoch
		if state == rollout.RollbackInProgress || state == rollout.RollbackSuccessful || state == rollout.RollbackFailed {
			d.Rollback = &rollout.Rollback{Reason: "why", Revision: s.Service.Completed.Revision, StartTime: epoch, Deadline: epoch.Add(time.Hour)}
		}
		return nil
	})
	return resp.GetDeployment().GetId()
}

// Stopping a deployment, by its state: what it becomes, or that it is refused and changes nothing.
func TestStopDeploymentByState(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.register("web")
	same := orchestratorpb.Deployment_STATE_UNSPECIFIED
	asked, stopping := orchestratorpb.Deployment_STATE_ROLLBACK_REQUESTED, orchestratorpb.Deployment_STATE_STOP_REQUESTED
	for name, c := range map[string]struct {
		state   rollout.DeploymentState
		stage   rollout.Stage
		how     orchestratorpb.StopDeploymentRequest_StopType
		becomes orchestratorpb.Deployment_State // same: not changed
		refused bool
	}{
		"pending-back":       {state: rollout.Pending, how: byBack, becomes: asked},
		"pending-default":    {state: rollout.Pending, how: byDefault, becomes: asked},
		"pending-abort":      {state: rollout.Pending, how: byAbort, becomes: stopping},
		"at-work-back":       {state: rollout.InProgress, how: byBack, becomes: asked},
		"at-work-default":    {state: rollout.InProgress, how: byDefault, becomes: asked},
		"at-work-abort":      {state: rollout.InProgress, how: byAbort, becomes: stopping},
		"baking-back":        {state: rollout.InProgress, stage: rollout.BakeTime, how: byBack, becomes: asked},
		"clean-up-back":      {state: rollout.InProgress, stage: rollout.CleanUp, how: byBack, refused: true},
		"clean-up-default":   {state: rollout.InProgress, stage: rollout.CleanUp, how: byDefault, refused: true},
		"clean-up-abort":     {state: rollout.InProgress, stage: rollout.CleanUp, how: byAbort, becomes: stopping},
		"asked-back":         {state: rollout.RollbackRequested, how: byBack, becomes: same},
		"asked-abort":        {state: rollout.RollbackRequested, how: byAbort, becomes: same},
		"stopping-back":      {state: rollout.StopRequested, how: byBack, becomes: same},
		"stopping-abort":     {state: rollout.StopRequested, how: byAbort, becomes: same},
		"rolling-back-back":  {state: rollout.RollbackInProgress, how: byBack, becomes: same},
		"rolling-back-abort": {state: rollout.RollbackInProgress, how: byAbort, refused: true},
		"live-back":          {state: rollout.Successful, how: byBack, refused: true},
		"live-abort":         {state: rollout.Successful, how: byAbort, refused: true},
		"stopped-back":       {state: rollout.Stopped, how: byBack, refused: true},
		"stopped-abort":      {state: rollout.Stopped, how: byAbort, refused: true},
		"back-back":          {state: rollout.RollbackSuccessful, how: byBack, refused: true},
		"failed-abort":       {state: rollout.RollbackFailed, how: byAbort, refused: true},
	} {
		id := deploying(e, name, c.state, c.stage)
		before, saved := e.deployment(id), e.state(name)
		resp, err := e.Deployments.StopDeployment(e.ctx(), &orchestratorpb.StopDeploymentRequest{Deployment: id, StopType: c.how, Reason: "a word"})
		after := e.deployment(id)
		switch {
		case c.refused:
			if p := refused(t, name, err, problem.FailedPrecondition, "DEPLOYMENT_STATE"); p.Metadata["state"] != string(c.state) {
				t.Errorf("%s: names the state %q, want %s", name, p.Metadata["state"], c.state)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case !proto.Equal(resp.GetDeployment(), after):
			t.Errorf("%s: answered\n%v, saved\n%v", name, resp.GetDeployment(), after)
		}
		if c.refused || c.becomes == same {
			if !proto.Equal(before, after) || e.state(name).Service.Generation != saved.Service.Generation {
				t.Errorf("%s: the deployment was\n%v and is\n%v", name, before, after)
			}
		} else if after.GetState() != c.becomes || after.GetReason()[:6] != "a word" || after.GetEtag() == before.GetEtag() {
			t.Errorf("%s: the deployment is %v, %q, want %v", name, after.GetState(), after.GetReason(), c.becomes)
		}
		if after.GetFinishTime() != nil && before.GetFinishTime() == nil { // the engine ends it
			t.Errorf("%s: the deployment finished at %v", name, after.GetFinishTime())
		}
	}
}

// pausing makes a service whose deployment waits at pauses with the given ids.
func pausing(e *env, name string, ids ...string) string {
	e.t.Helper()
	e.plain(name)
	return e.save(name, func(s *rollout.State) []rollout.Event {
		d := s.Deployment
		d.State, d.Stage, d.HooksStarted = rollout.InProgress, rollout.PreScaleUp, true
		d.Config.Strategy, d.Config.Steps = rollout.BlueGreen, rollout.AllAtOnce()
		for i, id := range ids {
			d.Config.Hooks = append(d.Config.Hooks, rollout.Hook{Pause: true, Stages: []rollout.Stage{rollout.PreScaleUp}, Timeout: time.Hour})
			d.Hooks = append(d.Hooks, rollout.HookRun{ID: id, Stage: rollout.PreScaleUp, Status: rollout.HookAwaitingAction, Index: i})
		}
		return nil
	}).Deployment.ID
}

func TestContinueDeploymentAnswersAPause(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.register("web")
	answer := func(id, hook string, action orchestratorpb.ContinueDeploymentRequest_Action) (map[string]string, error) {
		resp, err := e.Deployments.ContinueDeployment(e.ctx(), &orchestratorpb.ContinueDeploymentRequest{Deployment: id, HookId: hook, Action: action})
		statuses := map[string]string{}
		for _, h := range resp.GetDeployment().GetLifecycleHooks() {
			statuses[h.GetHookId()] = h.GetStatus().String()
		}
		return statuses, err
	}
	const goOn, back = orchestratorpb.ContinueDeploymentRequest_ACTION_CONTINUE, orchestratorpb.ContinueDeploymentRequest_ACTION_ROLLBACK
	one := pausing(e, "one", "p1")
	_, err := answer(one, "p9", goOn)
	refused(t, "a pause that is none", err, problem.FailedPrecondition, "NOT_WAITING")
	if got, err := answer(one, "", orchestratorpb.ContinueDeploymentRequest_ACTION_UNSPECIFIED); err != nil || got["p1"] != "STATUS_SUCCEEDED" {
		t.Errorf("%v: %v", got, err)
	}
	_, err = answer(one, "", goOn)
	refused(t, "the answer again", err, problem.FailedPrecondition, "NOT_WAITING")
	two := pausing(e, "two", "p1", "p2")
	_, err = answer(two, "", goOn)
	names(t, "ContinueDeployment", err, "hook_id", "2 pauses")
	if got, err := answer(two, "p2", back); err != nil || got["p1"] != "STATUS_AWAITING_ACTION" || got["p2"] != "STATUS_FAILED" {
		t.Errorf("%v: %v", got, err)
	}
	ended := deploying(e, "ended", rollout.Successful, "")
	_, err = answer(ended, "", goOn)
	refused(t, "a deployment that has ended", err, problem.FailedPrecondition, "DEPLOYMENT_STATE")
}

func TestContinueIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.register("web")
	req := &orchestratorpb.ContinueDeploymentRequest{RequestId: "same", Deployment: pausing(e, "web", "p1")}
	first := must[*orchestratorpb.ContinueDeploymentResponse](t)(e.Deployments.ContinueDeployment(e.ctx(), req))
	e.finish("web")
	if again, err := e.Deployments.ContinueDeployment(e.ctx(), req); err != nil || !proto.Equal(first, again) {
		t.Errorf("%v: %v, want %v", again, err, first)
	}
	req.Action = orchestratorpb.ContinueDeploymentRequest_ACTION_ROLLBACK
	_, err := e.Deployments.ContinueDeployment(e.ctx(), req)
	refused(t, "another answer with the same id", err, problem.FailedPrecondition, "REQUEST_ID_REUSED")
}
