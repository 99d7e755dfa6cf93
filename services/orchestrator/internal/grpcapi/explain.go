package grpcapi

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

const explainedEvents = 1000 // the last ones

func (d *deployments) ExplainDeployment(ctx context.Context, req *orchestratorpb.ExplainDeploymentRequest) (*orchestratorpb.ExplainDeploymentResponse, error) {
	row, err := d.explained(ctx, req)
	if err != nil {
		return nil, err
	}
	a, err := d.s.Store.ServiceGet(ctx, row.Cluster, row.Service)
	if err != nil {
		return nil, err
	}
	about := row.Deployment
	if at := a.State.Deployment; at != nil && at.ID == about.ID {
		about = *at // as it was saved with the service
	}
	evidence := d.s.Engine.Evidence(rollout.State{Service: a.State.Service, Deployment: &about})
	events, err := d.s.Store.EventsOfDeployment(ctx, about.ID, max(0, about.EventSequence-explainedEvents), explainedEvents)
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		evidence.Events = append(evidence.Events, e.Event)
	}
	return explanationPB(row, about, rollout.Explain(a.State, about, evidence, d.s.Now()), authority(ctx)), nil
}

// explained finds the deployment that is meant.
func (d *deployments) explained(ctx context.Context, req *orchestratorpb.ExplainDeploymentRequest) (store.DeploymentRow, error) {
	var none store.DeploymentRow
	switch {
	case req.GetDeployment() != "" && req.GetService() != "":
		return none, problem.Invalid("service", "must be empty when deployment is set")
	case req.GetDeployment() != "":
		return d.s.Store.DeploymentGet(ctx, req.GetDeployment())
	case req.GetService() == "":
		return none, problem.Invalid("deployment", "must be set, or service")
	}
	a, err := d.s.Store.ServiceGet(ctx, orDefault(req.GetCluster()), req.GetService())
	if err != nil {
		return none, err
	}
	if at := a.State.Deployment; at != nil {
		return d.s.Store.DeploymentGet(ctx, at.ID)
	}
	list, err := d.s.Store.DeploymentList(ctx, store.DeploymentFilter{Cluster: orDefault(req.GetCluster()), Service: req.GetService()}, 1)
	if err != nil {
		return none, err
	}
	if len(list) == 0 {
		return none, problem.New(problem.NotFound, "DEPLOYMENT_NOT_FOUND", "service %s has had no deployment", req.GetService())
	}
	return list[0], nil
}

// authority is the address that the caller has called; the default one when it said none.
func authority(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	if values := md.Get(":authority"); len(values) == 1 && values[0] != "" {
		return values[0]
	}
	return "127.0.0.1:7001"
}

// addressOf is where a method is served: of another service than this one at its default address.
func addressOf(method, here string) string {
	if strings.HasPrefix(method, "slipway.hooks.") {
		return "127.0.0.1:7002"
	}
	return here
}

func explanationPB(row store.DeploymentRow, d rollout.Deployment, x rollout.Explanation, address string) *orchestratorpb.ExplainDeploymentResponse {
	pb := &orchestratorpb.ExplainDeploymentResponse{
		Deployment: d.ID, Cluster: row.Cluster, Service: row.Service,
		State:          orchestratorpb.Deployment_State(orchestratorpb.Deployment_State_value["STATE_"+string(d.State)]),
		LifecycleStage: stagePB(d.Stage), Step: int32(d.Step), StepCount: int32(len(d.Config.Steps)),
		Summary: x.Summary, Causes: factsPB(x.Causes), Serving: factsPB(x.Serving), RollbackServiceRevision: x.Revision,
		Actions: actionsPB(x.Actions, address), DeadlineTime: timePB(x.Deadline),
	}
	if r := d.Rollback; r != nil && !r.SafeTime.IsZero() {
		pb.TimeToSafe = durationpb.New(r.SafeTime.Sub(r.StartTime))
	}
	for _, w := range x.Waits {
		pb.Waits = append(pb.Waits, &orchestratorpb.ExplainedWait{
			Condition: conditionsPB([]rollout.Condition{w.Condition})[0], Evidence: factsPB(w.Evidence), Who: w.Who,
			Actions: actionsPB(w.Actions, address),
		})
	}
	return pb
}

func factsPB(list []rollout.Fact) []*orchestratorpb.Evidence {
	var pb []*orchestratorpb.Evidence
	for _, f := range list {
		pb = append(pb, &orchestratorpb.Evidence{
			Kind:    orchestratorpb.Evidence_Kind(orchestratorpb.Evidence_Kind_value["KIND_"+string(f.Kind)]),
			Subject: f.Subject, State: f.State, Text: f.Text, Time: timePB(f.Time),
		})
	}
	return pb
}

func actionsPB(list []rollout.Action, address string) []*orchestratorpb.ExplainedAction {
	var pb []*orchestratorpb.ExplainedAction
	for _, a := range list {
		action := &orchestratorpb.ExplainedAction{Description: a.Description, Command: a.Command}
		if a.Method != "" {
			action.Grpcurl = fmt.Sprintf("grpcurl -plaintext -d '%s' %s %s", a.Request, addressOf(a.Method, address), a.Method)
		}
		pb = append(pb, action)
	}
	return pb
}
