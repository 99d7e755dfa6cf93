package grpcapi_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// once is a method with a request_id, a request and another request with the same id.
type once struct {
	method     string
	req, other proto.Message
}

func onces(deployment string) []once {
	cluster := func(name string) *orchestratorpb.CreateClusterRequest {
		return &orchestratorpb.CreateClusterRequest{RequestId: "same", Cluster: &orchestratorpb.Cluster{Name: name}}
	}
	definition := func(family string) *orchestratorpb.RegisterTaskDefinitionRequest {
		return &orchestratorpb.RegisterTaskDefinitionRequest{RequestId: "same", TaskDefinition: &orchestratorpb.TaskDefinition{
			Family: family, ContainerDefinitions: []*orchestratorpb.ContainerDefinition{{Name: "app"}},
		}}
	}
	config := func(name string) *orchestratorpb.CreateDeploymentConfigRequest {
		return &orchestratorpb.CreateDeploymentConfigRequest{RequestId: "same", DeploymentConfig: &orchestratorpb.DeploymentConfig{
			Name: name, Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_BLUE_GREEN,
		}}
	}
	create := func(count int32) *orchestratorpb.CreateServiceRequest {
		return &orchestratorpb.CreateServiceRequest{RequestId: "same", Service: &orchestratorpb.Service{Name: "new", TaskDefinition: "web", DesiredCount: count}}
	}
	update := func(count int32) *orchestratorpb.UpdateServiceRequest {
		return &orchestratorpb.UpdateServiceRequest{RequestId: "same", Service: &orchestratorpb.Service{Name: "web", DesiredCount: count}}
	}
	deploy := func(supersede bool) *orchestratorpb.CreateDeploymentRequest {
		return &orchestratorpb.CreateDeploymentRequest{RequestId: "same", Service: "shop", Supersede: supersede}
	}
	stop := func(reason string) *orchestratorpb.StopDeploymentRequest {
		return &orchestratorpb.StopDeploymentRequest{RequestId: "same", Deployment: deployment, Reason: reason}
	}
	remove := func(force bool) *orchestratorpb.DeleteServiceRequest {
		return &orchestratorpb.DeleteServiceRequest{RequestId: "same", Service: "old", Force: force}
	}
	return []once{
		{"CreateCluster", cluster("a"), cluster("b")},
		{"RegisterTaskDefinition", definition("a"), definition("b")},
		{"CreateDeploymentConfig", config("a"), config("b")},
		{"CreateService", create(1), create(2)},
		{"UpdateService", update(3), update(4)},
		{"CreateDeployment", deploy(true), deploy(false)},
		{"StopDeployment", stop("a"), stop("b")},
		{"DeleteService", remove(true), remove(false)},
	}
}

// The same request_id has the same answer, whatever was done in the meantime, and takes effect once; with another request it
// is refused.
func TestARequestIDIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.register("web")
	deployment := e.plain("web").GetDeployment().GetId()
	for _, name := range []string{"shop", "old"} {
		e.plain(name)
		e.finish(name)
	}
	left := map[string]bool{}
	for _, file := range contract() {
		for i := range file.Services().Len() {
			for j := range file.Services().Get(i).Methods().Len() {
				m := file.Services().Get(i).Methods().Get(j)
				if m.Input().Fields().ByName("request_id") != nil && m.Name() != "ContinueDeployment" { // TestContinueIsAnsweredOnce
					left[string(m.Name())] = true
				}
			}
		}
	}
	for _, c := range onces(deployment) {
		method := methodNamed(c.method)
		delete(left, c.method)
		first := e.answer(method, c.req)
		e.clock.move(1)
		saved := e.dump()
		if again := e.answer(method, c.req); !proto.Equal(first, again) {
			t.Errorf("%s: the answer was\n%v\nand then\n%v", c.method, first, again)
		}
		err := e.call(method, c.other)
		refused(t, c.method+" with another request", err, problem.FailedPrecondition, "REQUEST_ID_REUSED")
		if now := e.dump(); now != saved {
			t.Errorf("%s: the repeated requests changed\n%s\nto\n%s", c.method, saved, now)
		}
	}
	for name := range left {
		t.Errorf("%s has a request_id and is not tested", name)
	}
}

func (e *env) answer(method protoreflect.MethodDescriptor, req proto.Message) proto.Message {
	e.t.Helper()
	resp := dynamicpb.NewMessage(method.Output())
	if err := e.conn.Invoke(e.ctx(), "/"+string(method.Parent().FullName())+"/"+string(method.Name()), req, resp); err != nil {
		e.t.Fatalf("%s: %v", method.Name(), err)
	}
	return resp
}

// A repeated CreateService is answered although what it was checked against is gone.
func TestACreatedServiceIsAnsweredThoughItsTargetGroupIsGone(t *testing.T) {
	t.Parallel()
	e := serve(t)
	req := &orchestratorpb.CreateServiceRequest{RequestId: "same", Service: e.web()}
	first := must[*orchestratorpb.CreateServiceResponse](t)(e.Services.CreateService(e.ctx(), req))
	e.health.remove("web-a")
	again, err := e.Services.CreateService(e.ctx(), req)
	if err != nil || again.GetDeployment().GetId() != first.GetDeployment().GetId() {
		t.Errorf("%v, %v; want deployment %s", again.GetDeployment().GetId(), err, first.GetDeployment().GetId())
	}
	other := proto.CloneOf(req)
	other.Service.DesiredCount = 7
	_, err = e.Services.CreateService(e.ctx(), other)
	refused(t, "another service with the same id", err, problem.FailedPrecondition, "REQUEST_ID_REUSED")
}

// A request that was refused is not remembered: it may succeed later under the same id.
func TestARefusedRequestMayBeMadeAgain(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.register("web")
	running := e.plain("web").GetDeployment().GetId()
	req := &orchestratorpb.CreateDeploymentRequest{RequestId: "later", Service: "web"}
	_, err := e.Deployments.CreateDeployment(e.ctx(), req)
	if p := refused(t, "a busy service", err, problem.FailedPrecondition, "DEPLOYMENT_IN_PROGRESS"); p.Metadata["deployment"] != running {
		t.Errorf("names deployment %q, want %s", p.Metadata["deployment"], running)
	}
	e.finish("web")
	got := must[*orchestratorpb.CreateDeploymentResponse](t)(e.Deployments.CreateDeployment(e.ctx(), req))
	if id := got.GetDeployment().GetId(); id == running || e.get("web").GetDeployment() != id {
		t.Errorf("deployment %s, and the service has %s at work", id, e.get("web").GetDeployment())
	}
}
