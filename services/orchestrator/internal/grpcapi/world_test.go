package grpcapi_test

import (
	"context"
	"sync"

	"google.golang.org/grpc"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/grpcapi"
)

// stream gives the messages of a channel until its call ends.
type stream[T any] struct {
	grpc.ClientStream
	ctx      context.Context
	messages <-chan *T
}

func (s *stream[T]) Recv() (*T, error) {
	select {
	case m := <-s.messages:
		return m, nil
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}

// snapshot is a stream of one message.
func snapshot[T any](ctx context.Context, m *T) *stream[T] {
	one := make(chan *T, 1)
	one <- m
	return &stream[T]{ctx: ctx, messages: one}
}

// targetGroups is the healthcheck service. A target is healthy as soon as it is registered.
type targetGroups struct {
	healthcheckpb.TargetGroupServiceClient
	mu     sync.Mutex
	groups map[string]*healthcheckpb.TargetGroup
	fail   error
	held   bool // targets that are registered from now on get nowhere
	said   chan *healthcheckpb.WatchTargetHealthResponse
}

func (h *targetGroups) add(groups ...*healthcheckpb.TargetGroup) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, g := range groups {
		h.groups[g.GetName()] = g
	}
}

func (h *targetGroups) remove(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.groups, name)
}

func (h *targetGroups) failWith(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fail = err
}

func (h *targetGroups) hold() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.held = true
}

func (h *targetGroups) GetTargetGroup(
	_ context.Context, req *healthcheckpb.GetTargetGroupRequest, _ ...grpc.CallOption,
) (*healthcheckpb.GetTargetGroupResponse, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fail != nil {
		return nil, h.fail
	}
	if g := h.groups[req.GetName()]; g != nil {
		return &healthcheckpb.GetTargetGroupResponse{TargetGroup: g}, nil
	}
	return nil, problem.New(problem.NotFound, "TARGET_GROUP_NOT_FOUND", "there is no target group %s", req.GetName())
}

func (h *targetGroups) WatchTargetHealth(
	ctx context.Context, _ *healthcheckpb.WatchTargetHealthRequest, _ ...grpc.CallOption,
) (grpc.ServerStreamingClient[healthcheckpb.WatchTargetHealthResponse], error) {
	h.said <- &healthcheckpb.WatchTargetHealthResponse{Snapshot: true}
	return &stream[healthcheckpb.WatchTargetHealthResponse]{ctx: ctx, messages: h.said}, nil
}

func (h *targetGroups) RegisterTargets(
	_ context.Context, req *healthcheckpb.RegisterTargetsRequest, _ ...grpc.CallOption,
) (*healthcheckpb.RegisterTargetsResponse, error) {
	h.mu.Lock()
	held := h.held
	h.mu.Unlock()
	resp := &healthcheckpb.WatchTargetHealthResponse{}
	for _, t := range req.GetTargets() {
		if held {
			break
		}
		resp.Targets = append(resp.Targets, &healthcheckpb.TargetHealth{
			TargetGroup: req.GetTargetGroup(), Target: t, Service: req.GetService(), State: healthcheckpb.TargetHealth_STATE_HEALTHY,
		})
	}
	h.said <- resp
	return &healthcheckpb.RegisterTargetsResponse{}, nil
}

func (h *targetGroups) DeregisterTargets(
	_ context.Context, req *healthcheckpb.DeregisterTargetsRequest, _ ...grpc.CallOption,
) (*healthcheckpb.DeregisterTargetsResponse, error) {
	resp := &healthcheckpb.WatchTargetHealthResponse{}
	for _, id := range req.GetTargetIds() {
		resp.RemovedTargets = append(resp.RemovedTargets, &healthcheckpb.TargetRef{TargetGroup: req.GetTargetGroup(), TargetId: id})
	}
	h.said <- resp
	return &healthcheckpb.DeregisterTargetsResponse{}, nil
}

// hooks is a hooks service without hooks.
type hooks struct{ hookspb.HookServiceClient }

func (*hooks) WatchInvocations(
	ctx context.Context, _ *hookspb.WatchInvocationsRequest, _ ...grpc.CallOption,
) (grpc.ServerStreamingClient[hookspb.WatchInvocationsResponse], error) {
	return snapshot(ctx, &hookspb.WatchInvocationsResponse{Snapshot: true}), nil
}

// alarms is an alarms service without alarms.
type alarms struct{ alarmspb.AlarmServiceClient }

func (*alarms) WatchAlarms(
	ctx context.Context, _ *alarmspb.WatchAlarmsRequest, _ ...grpc.CallOption,
) (grpc.ServerStreamingClient[alarmspb.WatchAlarmsResponse], error) {
	return snapshot(ctx, &alarmspb.WatchAlarmsResponse{Snapshot: true}), nil
}

func (e *env) containers(ctx context.Context, taskDefinition string) ([]runtime.Container, error) {
	return grpcapi.Containers(ctx, e.store, taskDefinition)
}

// register registers a task definition of one container with a port.
func (e *env) register(family string) *orchestratorpb.TaskDefinition {
	e.t.Helper()
	resp, err := e.TaskDefinitions.RegisterTaskDefinition(e.t.Context(), &orchestratorpb.RegisterTaskDefinitionRequest{
		TaskDefinition: &orchestratorpb.TaskDefinition{Family: family, ContainerDefinitions: []*orchestratorpb.ContainerDefinition{{
			Name: "app", Command: []string{"/bin/app"}, PortMappings: []*orchestratorpb.PortMapping{{ContainerPort: 80}},
		}}},
	})
	if err != nil {
		e.t.Fatal(err)
	}
	return resp.GetTaskDefinition()
}

// web is a service behind two target groups, which exist.
func (e *env) web() *orchestratorpb.Service {
	e.t.Helper()
	e.register("web")
	e.health.add(&healthcheckpb.TargetGroup{Name: "web-a"}, &healthcheckpb.TargetGroup{Name: "web-b"})
	return &orchestratorpb.Service{
		Name: "web", TaskDefinition: "web:1", DesiredCount: 1,
		LoadBalancer: &orchestratorpb.LoadBalancer{
			TargetGroup: "web-a", AlternateTargetGroup: "web-b", ProductionListener: "127.0.0.1:8080", TestListener: "127.0.0.1:8081",
		},
	}
}

func (e *env) create(service *orchestratorpb.Service) *orchestratorpb.CreateServiceResponse {
	e.t.Helper()
	resp, err := e.Services.CreateService(e.t.Context(), &orchestratorpb.CreateServiceRequest{Service: service})
	if err != nil {
		e.t.Fatal(err)
	}
	return resp
}

// plain creates a service without traffic, with its first deployment pending.
func (e *env) plain(name string) *orchestratorpb.CreateServiceResponse {
	e.t.Helper()
	return e.create(&orchestratorpb.Service{Name: name, TaskDefinition: "web", DesiredCount: 1})
}

func (e *env) get(name string) *orchestratorpb.Service {
	e.t.Helper()
	resp, err := e.Services.GetService(e.t.Context(), &orchestratorpb.GetServiceRequest{Service: name})
	if err != nil {
		e.t.Fatal(err)
	}
	return resp.GetService()
}

func (e *env) deployment(id string) *orchestratorpb.Deployment {
	e.t.Helper()
	resp, err := e.Deployments.GetDeployment(e.t.Context(), &orchestratorpb.GetDeploymentRequest{Deployment: id})
	if err != nil {
		e.t.Fatal(err)
	}
	return resp.GetDeployment()
}
