package grpcapi_test

import (
	"slices"
	"testing"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// queueing is a service, live, whose deployments wait for their turn.
func queueing(e *env, mode orchestratorpb.DeploymentConcurrency_Mode) {
	e.t.Helper()
	service := e.web()
	service.DeploymentConcurrency = &orchestratorpb.DeploymentConcurrency{Mode: mode}
	if mode == orchestratorpb.DeploymentConcurrency_MODE_QUEUE {
		service.DeploymentConcurrency.QueueLimit = 2
	}
	service.LoadBalancer.DeregistrationDelay = seconds(0)
	e.work()
	first := e.create(service).GetDeployment().GetId()
	if d, _ := e.follow(first); d.GetState() != orchestratorpb.Deployment_STATE_SUCCESSFUL {
		e.t.Fatal(d)
	}
	e.register("web")
}

// deploy asks for a deployment that pauses before any traffic moves.
func (e *env) deploy(approver string) (*orchestratorpb.Deployment, error) {
	c := &config{LifecycleHooks: []*orchestratorpb.LifecycleHook{{
		Pause: true, LifecycleStages: []orchestratorpb.LifecycleStage{orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_POST_SCALE_UP},
	}}}
	blueGreen(c)
	resp, err := e.Deployments.CreateDeployment(e.ctx(), &orchestratorpb.CreateDeploymentRequest{
		Service: "web", TaskDefinition: "web", DeploymentConfiguration: c, RequestId: approver,
	})
	return resp.GetDeployment(), err
}

// goOn continues a deployment once it waits, and follows it to its end.
func (e *env) goOn(id string) *orchestratorpb.Deployment {
	e.t.Helper()
	stream := e.watch(id, 0)
	for {
		m, err := stream.Recv()
		if err != nil {
			e.t.Fatal(err)
		}
		if slices.ContainsFunc(m.GetDeployment().GetLifecycleHooks(), func(h *orchestratorpb.LifecycleHookStatus) bool {
			return h.GetStatus() == orchestratorpb.LifecycleHookStatus_STATUS_AWAITING_ACTION
		}) {
			break
		}
	}
	must[*orchestratorpb.ContinueDeploymentResponse](e.t)(e.Deployments.ContinueDeployment(e.ctx(), &orchestratorpb.ContinueDeploymentRequest{Deployment: id}))
	d, _ := e.follow(id)
	return d
}

func TestDeploymentsOfAServiceQueue(t *testing.T) {
	t.Parallel()
	e := serve(t)
	queueing(e, orchestratorpb.DeploymentConcurrency_MODE_QUEUE)
	var ids []string
	for _, request := range []string{"a", "b", "c"} {
		d := must[*orchestratorpb.Deployment](t)(e.deploy(request))
		ids = append(ids, d.GetId())
	}
	again := must[*orchestratorpb.Deployment](t)(e.deploy("b"))
	if again.GetId() != ids[1] {
		t.Errorf("the same request made %s, and %s before", again.GetId(), ids[1])
	}
	_, err := e.deploy("d")
	refused(t, "a third that waits", err, problem.FailedPrecondition, "DEPLOYMENT_IN_PROGRESS")
	if got := e.get("web"); got.GetDeployment() != ids[0] || !slices.Equal(got.GetQueuedDeployments(), ids[1:]) {
		t.Errorf("at work %s, waiting %v; want %v", got.GetDeployment(), got.GetQueuedDeployments(), ids)
	}
	waiting := e.deployment(ids[1])
	if waiting.GetState() != orchestratorpb.Deployment_STATE_PENDING || len(waiting.GetConditions()) != 1 ||
		waiting.GetConditions()[0].GetType() != orchestratorpb.Condition_TYPE_QUEUE {
		t.Errorf("the one that waits is shown as %v", waiting)
	}
	stopped := must[*orchestratorpb.StopDeploymentResponse](t)(e.Deployments.StopDeployment(e.ctx(), &orchestratorpb.StopDeploymentRequest{
		Deployment: ids[1], Reason: "not this one",
	})).GetDeployment()
	if stopped.GetState() != orchestratorpb.Deployment_STATE_STOPPED || stopped.GetReason() != "not this one" || stopped.GetErrorCode() != "MANUAL_STOP" {
		t.Errorf("taken out of the queue it is %v", stopped)
	}
	for _, id := range []string{ids[0], ids[2]} {
		if d := e.goOn(id); d.GetState() != orchestratorpb.Deployment_STATE_SUCCESSFUL {
			t.Errorf("%s: %s %s", id, d.GetState(), d.GetReason())
		}
	}
	if got := e.get("web"); len(got.GetQueuedDeployments()) != 0 || got.GetServiceRevision() != e.deployment(ids[2]).GetTargetServiceRevision().GetId() {
		t.Errorf("in the end %s serves, and %v wait", got.GetServiceRevision(), got.GetQueuedDeployments())
	}
}

func TestOnlyTheNewestDeploymentWaits(t *testing.T) {
	t.Parallel()
	e := serve(t)
	queueing(e, orchestratorpb.DeploymentConcurrency_MODE_COALESCE)
	first := must[*orchestratorpb.Deployment](t)(e.deploy("a"))
	second := must[*orchestratorpb.Deployment](t)(e.deploy("b"))
	third := must[*orchestratorpb.Deployment](t)(e.deploy("c"))
	if d := e.deployment(second.GetId()); d.GetState() != orchestratorpb.Deployment_STATE_STOPPED || d.GetReason() != "superseded by "+third.GetId() {
		t.Errorf("the one in between: %s %s", d.GetState(), d.GetReason())
	}
	for _, d := range []*orchestratorpb.Deployment{first, third} {
		if end := e.goOn(d.GetId()); end.GetState() != orchestratorpb.Deployment_STATE_SUCCESSFUL {
			t.Errorf("%s: %s", end.GetId(), end.GetReason())
		}
	}
}

func TestANewDeploymentTakesThePlaceOfTheOneAtWork(t *testing.T) {
	t.Parallel()
	e := serve(t)
	queueing(e, orchestratorpb.DeploymentConcurrency_MODE_SUPERSEDE)
	first := must[*orchestratorpb.Deployment](t)(e.deploy("a"))
	second := must[*orchestratorpb.Deployment](t)(e.deploy("b"))
	if d := e.deployment(first.GetId()); d.GetState() != orchestratorpb.Deployment_STATE_STOPPED || d.GetSupersededBy() != second.GetId() {
		t.Errorf("the first: %v", d)
	}
	if end := e.goOn(second.GetId()); end.GetState() != orchestratorpb.Deployment_STATE_SUCCESSFUL {
		t.Error(end.GetReason())
	}
}
