package grpcapi_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/grpcapi"
)

func TestATaskDefinitionComesBackAsItWasSent(t *testing.T) {
	t.Parallel()
	e := serve(t)
	sent := fullTaskDefinition()
	if missing := unset(sent); !slices.Equal(missing, []string{"TaskDefinition.register_time", "TaskDefinition.revision"}) {
		t.Fatalf("the sample does not set %v", missing)
	}
	ignored := proto.CloneOf(sent)
	ignored.Revision = 99
	resp := must[*orchestratorpb.RegisterTaskDefinitionResponse](t)(e.TaskDefinitions.RegisterTaskDefinition(e.ctx(),
		&orchestratorpb.RegisterTaskDefinitionRequest{TaskDefinition: ignored})).GetTaskDefinition()
	got := must[*orchestratorpb.DescribeTaskDefinitionResponse](t)(e.TaskDefinitions.DescribeTaskDefinition(e.ctx(),
		&orchestratorpb.DescribeTaskDefinitionRequest{TaskDefinition: "full"})).GetTaskDefinition()
	if !proto.Equal(resp, got) || got.GetRevision() != 1 || !got.GetRegisterTime().AsTime().Equal(epoch) {
		t.Errorf("registered\n%v, described\n%v", resp, got)
	}
	got.Revision, got.RegisterTime = 0, nil
	if !proto.Equal(got, sent) {
		t.Errorf("described\n%v, sent\n%v", got, sent)
	}
	containers, err := grpcapi.Containers(t.Context(), e.store, "full:1")
	want := []runtime.Container{
		{
			Name: "app", Image: "registry/app:1", Command: []string{"/bin/app", "-v"}, WorkingDirectory: "/srv", Essential: true,
			Environment: map[string]string{"A": "1", "B": "2"}, StopTimeout: 7 * time.Second, CPU: 256, MemoryMiB: 64,
			Ports: []runtime.Port{{Name: "http", ContainerPort: 80, HostPort: 8080}, {Name: "grpc", ContainerPort: 81}},
		},
		{Name: "side", Essential: true, Environment: map[string]string{}, HealthCheck: &runtime.HealthCheck{
			Command: []string{"CMD", "/bin/true"}, Interval: 11 * time.Second, Timeout: 3 * time.Second, StartPeriod: 5 * time.Second, Retries: 4,
		}},
	}
	if missing := zeroes(want); len(missing) > 0 {
		t.Errorf("the containers do not set %v", missing)
	}
	if err != nil || !reflect.DeepEqual(containers, want) {
		t.Errorf("the runtime gets\n%+v: %v, want\n%+v", containers, err, want)
	}
}

// What a user writes of a service comes back, and nothing of it is lost on the way to the core.
func TestAServiceComesBackAsItWasSent(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.web()
	must[*orchestratorpb.RegisterTaskDefinitionResponse](t)(e.TaskDefinitions.RegisterTaskDefinition(e.ctx(),
		&orchestratorpb.RegisterTaskDefinitionRequest{TaskDefinition: fullTaskDefinition()}))
	var sent []proto.Message
	var specs []any
	for name, service := range fullServices() {
		resp := e.create(service)
		got := e.get(name)
		if !proto.Equal(userPart(got), service) || !proto.Equal(userPart(resp.GetService()), service) {
			t.Errorf("%s: sent\n%v, answered\n%v, got\n%v", name, service, resp.GetService(), got)
		}
		spec := e.state(name).Service.Spec
		sent, specs = append(sent, service), append(specs, spec)
		if lb := service.GetLoadBalancer(); "ALGORITHM_"+strings.ToUpper(spec.LoadBalancer.Algorithm) != lb.GetAlgorithm().String() ||
			"PROTOCOL_VERSION_"+spec.LoadBalancer.ProtocolVersion != lb.GetProtocolVersion().String() {
			t.Errorf("%s: the core has %+v of %v", name, spec.LoadBalancer, lb)
		}
	}
	output := []string{
		"Service.conditions", "Service.create_time", "Service.deployment", "Service.etag", "Service.pending_count", "Service.queued_deployments",
		"Service.running_count",
		"Service.service_revision", "Service.state", "Service.task_sets", "Service.update_time",
	}
	var missing []string
	for _, name := range unset(sent...) {
		if !strings.HasPrefix(name, "TaskSet.") && !strings.HasPrefix(name, "Condition.") { // inside output only fields
			missing = append(missing, name)
		}
	}
	if !slices.Equal(missing, output) {
		t.Errorf("the samples do not set %v, want to leave out what is output only: %v", missing, output)
	}
	if missing := zeroes(specs...); len(missing) > 0 {
		t.Errorf("nothing that was sent reaches %v", missing)
	}
}

// A deployment shows the configuration it runs by: what was sent, with names resolved and defaults filled in.
func TestADeploymentShowsTheConfigurationItRunsBy(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.create(e.web())
	e.finish("web")
	var shown, asked []proto.Message
	for name, c := range fullConfigs() {
		plan := must[*orchestratorpb.PlanDeploymentResponse](t)(e.Deployments.PlanDeployment(e.ctx(),
			&orchestratorpb.PlanDeploymentRequest{Service: "web", DeploymentConfiguration: c[0]}))
		made := must[*orchestratorpb.CreateDeploymentResponse](t)(e.Deployments.CreateDeployment(e.ctx(),
			&orchestratorpb.CreateDeploymentRequest{Service: "web", DeploymentConfiguration: c[0], Supersede: true})).GetDeployment()
		got := e.deployment(made.GetId())
		for what, have := range map[string]*config{
			"planned": plan.GetDeploymentConfiguration(), "answered": made.GetDeploymentConfiguration(), "read": got.GetDeploymentConfiguration(),
		} {
			if !proto.Equal(have, c[1]) {
				t.Errorf("%s: %s\n%v, want\n%v", name, what, have, c[1])
			}
		}
		asked, shown = append(asked, c[0]), append(shown, got.GetDeploymentConfiguration())
	}
	if missing := unset(asked...); len(missing) > 0 {
		t.Errorf("the samples do not set %v", missing)
	}
	// Resolved, canaries and linear shifts are steps.
	for _, name := range unset(shown...) {
		if !strings.Contains(strings.ToLower(name), "linear") && !strings.Contains(strings.ToLower(name), "canary") {
			t.Errorf("no deployment shows %s", name)
		}
	}
	for _, enum := range []protoreflect.EnumDescriptor{
		orchestratorpb.DeploymentConfiguration_Strategy(0).Descriptor(), orchestratorpb.ThresholdConfiguration_Type(0).Descriptor(),
		orchestratorpb.DeploymentAlarms_InitialAlarmPolicy(0).Descriptor(), orchestratorpb.LifecycleHook_TimeoutAction(0).Descriptor(),
	} {
		for i := 1; i < enum.Values().Len(); i++ {
			if value := string(enum.Values().Get(i).Name()); !strings.Contains(fmt.Sprint(shown), value) {
				t.Errorf("no sample shows %s", value)
			}
		}
	}
}
