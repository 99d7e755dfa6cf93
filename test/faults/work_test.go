package faults

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

const (
	tasks = 2 // of each service
	smoke = "smoke"
)

// service is deployed on and on, under load.
type service struct {
	name, listener string
	config         *orchestratorpb.DeploymentConfiguration
	load           load

	mu      sync.Mutex
	made    []string // ids of deployments, the last is maybe at work
	version string   // that the last one brings
}

func (v *service) deployed() (ids []string, version string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]string(nil), v.made...), v.version
}

// work is the services, and what ends their deployments and load.
type work struct {
	*system
	list []*service
	hook *handler
	end  func()

	late []string // ids of the deployments of services that were made in a fault
}

func (s *system) begin() *work {
	s.t.Helper()
	w := &work{system: s, hook: serveHook(s.t)}
	_, err := s.hooks.RegisterHook(s.t.Context(), &hookspb.RegisterHookRequest{Hook: &hookspb.Hook{
		Name: smoke, Target: &hookspb.Hook_Grpc{Grpc: &hookspb.GrpcTarget{Address: w.hook.address}},
	}})
	s.must(err)
	for _, version := range []string{"v1", "v2"} {
		s.define(version)
	}
	for name, c := range map[string]*orchestratorpb.DeploymentConfiguration{
		"rolling": {Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_ROLLING, MinimumHealthyPercent: new(int32(100)), MaximumPercent: new(int32(200))},
		"bluegreen": {
			Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_BLUE_GREEN, BakeTime: durationpb.New(300 * time.Millisecond),
			LifecycleHooks: []*orchestratorpb.LifecycleHook{{
				Hook: smoke, Timeout: durationpb.New(5 * time.Minute), LifecycleStages: []orchestratorpb.LifecycleStage{
					orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_POST_SCALE_UP, orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_POST_PRODUCTION_TRAFFIC_SHIFT,
				},
			}},
		},
		"steps": {
			Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_STEPS,
			StepsConfiguration: &orchestratorpb.StepsConfiguration{Steps: []*orchestratorpb.TrafficStep{
				{Percent: 20, BakeTime: durationpb.New(200 * time.Millisecond)}, {Percent: 60, BakeTime: durationpb.New(200 * time.Millisecond)}, {Percent: 100},
			}},
		},
	} {
		w.list = append(w.list, s.create(name, c))
	}
	ctx, stop := context.WithCancel(context.Background())
	loading, unload := context.WithCancel(context.Background())
	var deploying, requesting sync.WaitGroup
	for _, v := range w.list {
		requesting.Go(func() { v.load.run(loading, v.listener) })
		deploying.Go(func() { s.deployOnAndOn(ctx, v) })
	}
	w.end = sync.OnceFunc(func() { stop(); deploying.Wait(); unload(); requesting.Wait() })
	s.t.Cleanup(w.end)
	return w
}

func (s *system) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) define(version string) {
	s.t.Helper()
	_, err := s.definitions.RegisterTaskDefinition(s.t.Context(), &orchestratorpb.RegisterTaskDefinitionRequest{TaskDefinition: &orchestratorpb.TaskDefinition{
		Family: "web-" + version, ContainerDefinitions: []*orchestratorpb.ContainerDefinition{{
			Name: "web", Command: []string{filepath.Join(programs, "web")}, PortMappings: []*orchestratorpb.PortMapping{{ContainerPort: 8080}},
			Environment: []*orchestratorpb.KeyValuePair{{Name: "VERSION", Value: version}}, StopTimeout: durationpb.New(5 * time.Second),
		}},
	}})
	s.must(err)
}

// create makes the service and waits until its first deployment is live.
func (s *system) create(name string, config *orchestratorpb.DeploymentConfiguration) *service {
	s.t.Helper()
	v := s.make(name, config)
	eventually(s.t, time.Minute, name+" to be live", func() bool { return s.finished(v.made[0]) })
	return v
}

// make makes the service, which begins its first deployment.
func (s *system) make(name string, config *orchestratorpb.DeploymentConfiguration) *service {
	s.t.Helper()
	v := &service{name: name, listener: freeAddress(s.t), config: config, version: "v1"}
	for _, group := range []string{name + "-a", name + "-b"} {
		_, err := s.groups.CreateTargetGroup(s.t.Context(), &healthcheckpb.CreateTargetGroupRequest{TargetGroup: &healthcheckpb.TargetGroup{
			Name: group, HealthCheck: &healthcheckpb.HealthCheck{
				Path: "/health", Interval: durationpb.New(time.Second), Timeout: durationpb.New(time.Second), HealthyThreshold: 2, UnhealthyThreshold: 5,
			},
		}})
		s.must(err)
	}
	lb := &orchestratorpb.LoadBalancer{TargetGroup: name + "-a", ProductionListener: v.listener, DeregistrationDelay: durationpb.New(time.Second)}
	if config.GetStrategy() != orchestratorpb.DeploymentConfiguration_STRATEGY_ROLLING {
		lb.AlternateTargetGroup = name + "-b"
	}
	got, err := s.services.CreateService(s.t.Context(), &orchestratorpb.CreateServiceRequest{Service: &orchestratorpb.Service{
		Name: name, TaskDefinition: "web-v1", DesiredCount: tasks, DeploymentConfiguration: config, LoadBalancer: lb,
	}})
	s.must(err)
	v.made = []string{got.GetDeployment().GetId()}
	return v
}

// finished asks the database; while that is away nothing is.
func (s *system) finished(id string) (done bool) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := s.db.QueryRow(ctx, `SELECT finish_time IS NOT NULL FROM orchestrator.deployments WHERE id = $1`, id).Scan(&done)
	return err == nil && done
}

// deployOnAndOn begins a deployment when the one before has ended, at any orchestrator that answers.
func (s *system) deployOnAndOn(ctx context.Context, v *service) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := 1; ; n++ {
		version := []string{"v1", "v2"}[n%2]
		id := ""
		for try := n; id == ""; try++ {
			<-tick.C
			if ctx.Err() != nil {
				return
			}
			bounded, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			got, err := s.deployments[try%len(s.deployments)].CreateDeployment(bounded, &orchestratorpb.CreateDeploymentRequest{
				Service: v.name, TaskDefinition: "web-" + version, DeploymentConfiguration: v.config, RequestId: fmt.Sprintf("%s-%d", v.name, n),
			})
			cancel()
			if err == nil {
				id = got.GetDeployment().GetId()
			}
		}
		v.mu.Lock()
		v.made, v.version = append(v.made, id), version
		v.mu.Unlock()
		for !s.finished(id) {
			<-tick.C // also after the end: the last one ends, too
		}
	}
}

// handler is a hook that says yes and remembers under which identities it was called.
type handler struct {
	hookspb.UnimplementedHookHandlerServiceServer
	address string
	mu      sync.Mutex
	called  map[string]map[string]bool // "deployment/stage" -> execution ids
}

func serveHook(t *testing.T) *handler {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &handler{address: l.Addr().String(), called: map[string]map[string]bool{}}
	server := grpc.NewServer()
	hookspb.RegisterHookHandlerServiceServer(server, h)
	go func() { _ = server.Serve(l) }() // ends with Stop
	t.Cleanup(server.Stop)
	return h
}

// HandleHook says yes.
func (h *handler) HandleHook(_ context.Context, req *hookspb.HandleHookRequest) (*hookspb.HandleHookResponse, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := req.GetDeploymentId() + " " + req.GetLifecycleStage()
	if h.called[key] == nil {
		h.called[key] = map[string]bool{}
	}
	h.called[key][req.GetExecutionId()] = true
	return &hookspb.HandleHookResponse{HookStatus: hookspb.HookStatus_HOOK_STATUS_SUCCEEDED}, nil
}
