package grpcapi

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/page"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

type deployments struct {
	orchestratorpb.UnimplementedDeploymentServiceServer
	s *Server
}

// wish is what CreateDeployment and PlanDeployment have in common.
type wish interface {
	GetCluster() string
	GetService() string
	GetTaskDefinition() string
	GetDeploymentConfiguration() *orchestratorpb.DeploymentConfiguration
}

// requestOf resolves a wish against the service as it stands.
func requestOf(ctx context.Context, st *store.Store, w wish, service rollout.Service) (rollout.DeployRequest, error) {
	name := w.GetTaskDefinition()
	if name == "" {
		name = service.Spec.TaskDefinition
	}
	definition, err := taskDefinitionByName(ctx, st, name)
	if err != nil {
		return rollout.DeployRequest{}, err
	}
	if lb := service.Spec.LoadBalancer; lb != nil && !exposes(definition, lb.ContainerName, lb.ContainerPort) {
		return rollout.DeployRequest{}, problem.Invalid("task_definition",
			"%s has no port mapping for container %q and port %d of the service's load balancer", fullName(definition), lb.ContainerName, lb.ContainerPort)
	}
	req := rollout.DeployRequest{
		ID: newDeploymentID(), TaskDefinition: fullName(definition), HasHealthCheck: hasHealthCheck(definition), Config: service.Spec.Config,
	}
	if w.GetDeploymentConfiguration() != nil {
		req.Config, err = configOf(ctx, st, w.GetDeploymentConfiguration())
	}
	return req, err
}

func (d *deployments) CreateDeployment(ctx context.Context, req *orchestratorpb.CreateDeploymentRequest) (*orchestratorpb.CreateDeploymentResponse, error) {
	key := store.Key{Cluster: orDefault(req.GetCluster()), Name: req.GetService()}
	var id string
	decide := func(tx pgx.Tx, a *store.Aggregate) (rollout.Decision, error) {
		request, err := requestOf(ctx, d.s.Store.In(tx), req, a.State.Service)
		if err != nil {
			return rollout.Decision{}, err
		}
		request.Supersede = req.GetSupersede()
		id = request.ID
		return rollout.Deploy(a.State, request, d.s.Now())
	}
	return command(ctx, d.s, "CreateDeployment", req, key, decide, func(a store.Aggregate, made rollout.Decision) *orchestratorpb.CreateDeploymentResponse {
		return &orchestratorpb.CreateDeploymentResponse{Deployment: d.s.deploymentOf(a, made, id)}
	})
}

// get returns a deployment with its service as it stands.
func (d *deployments) get(ctx context.Context, id string) (*orchestratorpb.Deployment, error) {
	row, err := d.s.Store.DeploymentGet(ctx, id)
	if err != nil {
		return nil, err
	}
	a, err := d.s.Store.ServiceGet(ctx, row.Cluster, row.Service)
	if err != nil {
		return nil, err
	}
	return d.s.deploymentPB(a.State.Service, row.Deployment), nil
}

func (d *deployments) GetDeployment(ctx context.Context, req *orchestratorpb.GetDeploymentRequest) (*orchestratorpb.GetDeploymentResponse, error) {
	pb, err := d.get(ctx, req.GetDeployment())
	if err != nil {
		return nil, err
	}
	return &orchestratorpb.GetDeploymentResponse{Deployment: pb}, nil
}

type deploymentPlace struct {
	Time time.Time
	ID   string
}

func (d *deployments) ListDeployments(ctx context.Context, req *orchestratorpb.ListDeploymentsRequest) (*orchestratorpb.ListDeploymentsResponse, error) {
	var place deploymentPlace
	if err := page.Decode(req.GetPageToken(), &place); err != nil {
		return nil, err
	}
	filter := store.DeploymentFilter{Cluster: req.GetCluster(), Service: req.GetService(), OlderThan: place.Time, OlderThanID: place.ID}
	var err error
	if filter.After, err = timeOf("created_after", req.GetCreatedAfter()); err != nil {
		return nil, err
	}
	if filter.Before, err = timeOf("created_before", req.GetCreatedBefore()); err != nil {
		return nil, err
	}
	for _, state := range req.GetStates() {
		filter.States = append(filter.States, strings.TrimPrefix(state.String(), "STATE_"))
	}
	size := int(page.Size(req.GetPageSize(), 20, 100))
	list, err := d.s.Store.DeploymentList(ctx, filter, size+1)
	if err != nil {
		return nil, err
	}
	resp := &orchestratorpb.ListDeploymentsResponse{}
	if len(list) > size {
		list = list[:size]
		last := list[size-1].Deployment
		resp.NextPageToken = page.Encode(deploymentPlace{last.CreateTime, last.ID})
	}
	services := map[store.Key]rollout.Service{}
	for _, row := range list {
		key := store.Key{Cluster: row.Cluster, Name: row.Service}
		if _, have := services[key]; !have {
			a, err := d.s.Store.ServiceGet(ctx, key.Cluster, key.Name)
			if err != nil {
				return nil, err
			}
			services[key] = a.State.Service
		}
		resp.Deployments = append(resp.Deployments, d.s.deploymentPB(services[key], row.Deployment))
	}
	return resp, nil
}

// timeOf reads an optional time; absent is zero.
func timeOf(field string, pb *timestamppb.Timestamp) (time.Time, error) {
	if pb == nil {
		return time.Time{}, nil
	}
	if err := pb.CheckValid(); err != nil {
		return time.Time{}, problem.Invalid(field, "must be a time from year 1 to year 9999").Wrap(err)
	}
	return pb.AsTime(), nil
}

func (d *deployments) StopDeployment(ctx context.Context, req *orchestratorpb.StopDeploymentRequest) (*orchestratorpb.StopDeploymentResponse, error) {
	var how rollout.StopType
	if t := req.GetStopType(); t != orchestratorpb.StopDeploymentRequest_STOP_TYPE_UNSPECIFIED {
		how = rollout.StopType(strings.TrimPrefix(t.String(), "STOP_TYPE_"))
	}
	a, err := d.change(ctx, "StopDeployment", req, req.GetDeployment(), func(s rollout.State) (rollout.Decision, error) {
		if at := s.Deployment; at == nil || at.ID != req.GetDeployment() {
			return rollout.Withdraw(s, req.GetDeployment(), req.GetReason(), d.s.Now())
		}
		return rollout.Stop(s, how, req.GetReason(), d.s.Now())
	})
	return &orchestratorpb.StopDeploymentResponse{Deployment: a}, err
}

func (d *deployments) ContinueDeployment(
	ctx context.Context,
	req *orchestratorpb.ContinueDeploymentRequest,
) (*orchestratorpb.ContinueDeploymentResponse, error) {
	answer := rollout.Answer{
		HookID: req.GetHookId(), Approver: req.GetApprover(), Rollback: req.GetAction() == orchestratorpb.ContinueDeploymentRequest_ACTION_ROLLBACK,
	}
	if w := req.GetDeploymentWaitType(); w != orchestratorpb.DeploymentWaitType_DEPLOYMENT_WAIT_TYPE_UNSPECIFIED {
		if answer.HookID != "" {
			return nil, problem.Invalid("deployment_wait_type", "names the pause instead of hook_id; set one of them")
		}
		answer.Wait = strings.TrimPrefix(w.String(), "DEPLOYMENT_WAIT_TYPE_")
	}
	a, err := d.change(ctx, "ContinueDeployment", req, req.GetDeployment(), func(s rollout.State) (rollout.Decision, error) {
		return rollout.Continue(s, answer, d.s.Now())
	})
	return &orchestratorpb.ContinueDeploymentResponse{Deployment: a}, err
}

// change takes a command about a deployment that is at work.
func (d *deployments) change(
	ctx context.Context,
	method string,
	req mutation,
	id string,
	decide func(rollout.State) (rollout.Decision, error),
) (*orchestratorpb.Deployment, error) {
	row, err := d.s.Store.DeploymentGet(ctx, id)
	if err != nil {
		return nil, err
	}
	key := store.Key{Cluster: row.Cluster, Name: row.Service}
	check := func(_ pgx.Tx, a *store.Aggregate) (rollout.Decision, error) {
		if at := a.State.Deployment; (at == nil || at.ID != id) && !a.State.Service.Waits(id) {
			return rollout.Decision{}, problem.New(problem.FailedPrecondition, "DEPLOYMENT_STATE",
				"deployment %s has ended (%s)", id, row.Deployment.State).With("state", string(row.Deployment.State))
		}
		return decide(a.State)
	}
	return command(ctx, d.s, method, req, key, check, func(a store.Aggregate, made rollout.Decision) *orchestratorpb.Deployment {
		return d.s.deploymentOf(a, made, id)
	})
}

// deploymentOf is a deployment as a decision left it.
func (s *Server) deploymentOf(a store.Aggregate, made rollout.Decision, id string) *orchestratorpb.Deployment {
	d, _ := made.Deployment(id)
	return s.deploymentPB(a.State.Service, d)
}
