package grpcapi_test

import (
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// insert saves a service past the API: the engine does not hear of it.
func (e *env) insert(service *orchestratorpb.Service, change func(*rollout.State)) {
	e.t.Helper()
	lb := service.GetLoadBalancer()
	s := rollout.NewService(nil, "default", service.GetName(), rollout.Spec{
		TaskDefinition: service.GetTaskDefinition(), DesiredCount: int(service.GetDesiredCount()), Config: rollout.DefaultConfig(),
		LoadBalancer: &rollout.LoadBalancer{
			TargetGroup: lb.GetTargetGroup(), AlternateTargetGroup: lb.GetAlternateTargetGroup(), ProductionListener: lb.GetProductionListener(),
		},
	})
	s.Service.Generation = 1
	change(&s)
	body, err := proto.Marshal(service)
	if err != nil {
		e.t.Fatal(err)
	}
	err = e.store.InTx(e.t.Context(), func(tx pgx.Tx) error { return e.store.ServiceInsert(e.t.Context(), tx, s.Service, body, epoch) })
	if err != nil {
		e.t.Fatal(err)
	}
}

// follow watches a deployment to its end and returns it and the sequences of its events.
func (e *env) follow(id string) (*orchestratorpb.Deployment, []int64) {
	e.t.Helper()
	stream := e.watch(id, 0)
	var last *orchestratorpb.Deployment
	var seen []int64
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return last, seen
		}
		if err != nil {
			e.t.Fatalf("%v; last %v", err, last)
		}
		last, seen = m.GetDeployment(), append(seen, sequences(m.GetEvents())...)
	}
}

// The whole life of a service with the real engine: created, deployed blue/green, scaled, deleted, created again.
func TestTheLifeOfAService(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.work()
	service := e.web()
	service.LoadBalancer.DeregistrationDelay = seconds(0)
	service.DeploymentConfiguration = &config{}
	blueGreen(service.GetDeploymentConfiguration())
	e.register("web")
	ends := func(what, id string, revision string) {
		t.Helper()
		last, seen := e.follow(id)
		if last.GetState() != orchestratorpb.Deployment_STATE_SUCCESSFUL || last.GetRolloutState() != orchestratorpb.Deployment_ROLLOUT_STATE_COMPLETED {
			t.Fatalf("%s: %v", what, last)
		}
		want := make([]int64, last.GetEventSequence())
		for i := range want {
			want[i] = int64(i) + 1
		}
		if !slices.Equal(seen, want) {
			t.Errorf("%s: the events %v were told, want %v", what, seen, want)
		}
		if got := e.get("web"); got.GetServiceRevision() != revision || got.GetDeployment() != "" {
			t.Errorf("%s: %v", what, got)
		}
	}
	ends("create", e.create(service).GetDeployment().GetId(), "default/web/1")
	ends("deploy", must[*orchestratorpb.CreateDeploymentResponse](t)(e.Deployments.CreateDeployment(e.ctx(),
		&orchestratorpb.CreateDeploymentRequest{Service: "web", TaskDefinition: "web:2"})).GetDeployment().GetId(), "default/web/2")
	running := func(n int32) func() bool {
		return func() bool {
			got := e.get("web")
			return got.GetRunningCount() == n && len(got.GetTaskSets()) == 1 && got.GetTaskSets()[0].GetTaskDefinition() == "web:2" &&
				got.GetTaskSets()[0].GetProductionTrafficWeight() == 100
		}
	}
	eventually(t, "the new revision alone runs", running(1))
	must[*orchestratorpb.UpdateServiceResponse](t)(e.Services.UpdateService(e.ctx(),
		&orchestratorpb.UpdateServiceRequest{Service: &orchestratorpb.Service{Name: "web", DesiredCount: 3}}))
	eventually(t, "three tasks run", running(3))
	must[*orchestratorpb.DeleteServiceResponse](t)(e.Services.DeleteService(e.ctx(), &orchestratorpb.DeleteServiceRequest{Service: "web", Force: true}))
	eventually(t, "the service is gone", func() bool { return e.get("web").GetState() == orchestratorpb.Service_STATE_INACTIVE })
	list := must[*orchestratorpb.ListServicesResponse](t)(e.Services.ListServices(e.ctx(), &orchestratorpb.ListServicesRequest{}))
	if len(list.GetServices()) != 0 || len(e.runtime.Tasks()) != 0 {
		t.Errorf("left are the services %v and the tasks %v", list.GetServices(), e.runtime.Tasks())
	}
	ends("create again", e.create(service).GetDeployment().GetId(), "default/web/3")
}
