package grpcapi_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// updatable creates a service with every field that can be updated set, and gives the values for an update of them all.
func updatable(e *env) (before, after *orchestratorpb.Service) {
	e.register("web")
	e.register("web")
	e.create(&orchestratorpb.Service{
		Name: "web", TaskDefinition: "web:1", DesiredCount: 1, HealthCheckGracePeriod: seconds(1),
		DeploymentConfiguration: &config{BakeTime: seconds(1), MinimumHealthyPercent: proto.Int32(50)},
		DeploymentConcurrency:   &orchestratorpb.DeploymentConcurrency{Mode: orchestratorpb.DeploymentConcurrency_MODE_COALESCE},
	})
	e.finish("web")
	return e.get("web"), &orchestratorpb.Service{
		Name: "web", TaskDefinition: "web:2", DesiredCount: 2, HealthCheckGracePeriod: seconds(2),
		DeploymentConfiguration: &config{ScaleUpTimeout: seconds(2)},
		DeploymentConcurrency:   &orchestratorpb.DeploymentConcurrency{Mode: orchestratorpb.DeploymentConcurrency_MODE_REJECT},
	}
}

var updatableFields = []string{"task_definition", "desired_count", "deployment_configuration", "health_check_grace_period", "deployment_concurrency"}

func field(m proto.Message, name string) (protoreflect.FieldDescriptor, protoreflect.Message) {
	return m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(name)), m.ProtoReflect()
}

// changed checks that of the fields that users write those named have the values of want, and the others those of before.
func changed(t *testing.T, what string, before, got, want *orchestratorpb.Service, paths ...string) {
	t.Helper()
	expect := userPart(before)
	for _, path := range paths {
		f, from := field(want, path)
		if from.Has(f) {
			expect.ProtoReflect().Set(f, from.Get(f))
		} else {
			expect.ProtoReflect().Clear(f)
		}
	}
	if have := userPart(got); !proto.Equal(have, expect) {
		t.Errorf("%s: the service is\n%v, want\n%v", what, have, expect)
	}
}

// userPart is a service without the fields that are output only.
func userPart(s *orchestratorpb.Service) *orchestratorpb.Service {
	return &orchestratorpb.Service{
		Cluster: s.GetCluster(), Name: s.GetName(), TaskDefinition: s.GetTaskDefinition(), DesiredCount: s.GetDesiredCount(),
		DeploymentConfiguration: s.GetDeploymentConfiguration(), LoadBalancer: s.GetLoadBalancer(), HealthCheckGracePeriod: s.GetHealthCheckGracePeriod(),
		DeploymentConcurrency: s.GetDeploymentConcurrency(),
	}
}

func TestAMaskChangesTheFieldsItNamesAndNoOther(t *testing.T) {
	t.Parallel()
	for _, path := range updatableFields {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			e := serve(t)
			before, want := updatable(e)
			resp := must[*orchestratorpb.UpdateServiceResponse](t)(e.Services.UpdateService(e.ctx(), &orchestratorpb.UpdateServiceRequest{
				Service: want, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{path}},
			}))
			changed(t, "the answer", before, resp.GetService(), want, path)
			changed(t, "read again", before, e.get("web"), want, path)
			if began := resp.GetDeployment() != nil; began != (path == "task_definition") {
				t.Errorf("the update began %v", resp.GetDeployment())
			}
			spec := e.state("web").Service.Spec
			if spec.TaskDefinition != e.get("web").GetTaskDefinition() || spec.DesiredCount != int(e.get("web").GetDesiredCount()) {
				t.Errorf("the service shows\n%v, the core has\n%+v", e.get("web"), spec)
			}
		})
	}
}

func TestWithoutAMaskEveryFieldThatIsSetChanges(t *testing.T) {
	t.Parallel()
	e := serve(t)
	before, want := updatable(e)
	update := func(s *orchestratorpb.Service, paths ...string) *orchestratorpb.Service {
		var mask *fieldmaskpb.FieldMask
		if paths != nil {
			mask = &fieldmaskpb.FieldMask{Paths: paths}
		}
		return must[*orchestratorpb.UpdateServiceResponse](t)(e.Services.UpdateService(e.ctx(), &orchestratorpb.UpdateServiceRequest{
			Service: s, UpdateMask: mask,
		})).GetService()
	}
	changed(t, "nothing is set", before, update(&orchestratorpb.Service{Name: "web"}), want)
	got := update(want)
	changed(t, "all is set", before, got, want, updatableFields...)
	cleared := update(&orchestratorpb.Service{Name: "web"}, "desired_count", "deployment_configuration", "health_check_grace_period")
	changed(t, "all is cleared", got, cleared, &orchestratorpb.Service{}, "desired_count", "deployment_configuration", "health_check_grace_period")
	if spec := e.state("web").Service.Spec; spec.DesiredCount != 0 || spec.HealthCheckGracePeriod != 0 || spec.Config.MinimumHealthyPercent != 100 {
		t.Errorf("the core has %+v", spec)
	}
}

func TestOtherFieldsCannotBeUpdated(t *testing.T) {
	t.Parallel()
	e := serve(t)
	_, want := updatable(e)
	fields := want.ProtoReflect().Descriptor().Fields()
	paths := []string{"nobody", "service.desired_count", "desired_count.x", "deployment_configuration.bake_time", "*"}
	for i := range fields.Len() {
		paths = append(paths, string(fields.Get(i).Name()))
	}
	before := e.dump()
	for _, path := range paths {
		allowed := false
		for _, f := range updatableFields {
			allowed = allowed || f == path || path == "load_balancer"
		}
		if allowed {
			continue
		}
		_, err := e.Services.UpdateService(e.ctx(), &orchestratorpb.UpdateServiceRequest{
			Service: want, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"desired_count", path}},
		})
		names(t, path, err, "update_mask", path)
	}
	if after := e.dump(); after != before {
		t.Errorf("refused updates changed\n%s\nto\n%s", before, after)
	}
}

// How a load balancer treats its targets can be changed, where it leads cannot.
func TestALoadBalancersAttributesCanBeUpdated(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.create(e.web())
	e.finish("web")
	update := func(change func(*orchestratorpb.LoadBalancer)) error {
		lb := e.get("web").GetLoadBalancer()
		change(lb)
		_, err := e.Services.UpdateService(e.ctx(), &orchestratorpb.UpdateServiceRequest{Service: &orchestratorpb.Service{Name: "web", LoadBalancer: lb}})
		return err
	}
	if err := update(func(lb *orchestratorpb.LoadBalancer) {
		lb.Algorithm, lb.DeregistrationDelay = orchestratorpb.LoadBalancer_ALGORITHM_ROUND_ROBIN, seconds(7)
	}); err != nil {
		t.Fatal(err)
	}
	if got, core := e.get("web").GetLoadBalancer(), e.state("web").Service.Spec.LoadBalancer; got.GetDeregistrationDelay().AsDuration() != core.DeregistrationDelay ||
		core.Algorithm != "round_robin" {
		t.Errorf("shown %v, the core has %+v", got, core)
	}
	before := e.dump()
	names(t, "another listener", update(func(lb *orchestratorpb.LoadBalancer) { lb.ProductionListener = "127.0.0.1:9" }), "service.load_balancer", "listeners")
	_, err := e.Services.UpdateService(e.ctx(), &orchestratorpb.UpdateServiceRequest{
		Service: &orchestratorpb.Service{Name: "web"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"load_balancer"}},
	})
	names(t, "none", err, "service.load_balancer", "cannot be changed")
	if after := e.dump(); after != before {
		t.Errorf("refused updates changed\n%s\nto\n%s", before, after)
	}
}

// The etag is that of the service as users change it: it survives the work of the engine.
func TestAnUpdateWithAStaleEtagIsAborted(t *testing.T) {
	t.Parallel()
	e := serve(t)
	service, _ := updatable(e)
	update := func(etag string, count int32) (string, error) {
		resp, err := e.Services.UpdateService(e.ctx(), &orchestratorpb.UpdateServiceRequest{
			Service: &orchestratorpb.Service{Name: "web", DesiredCount: count, Etag: etag},
		})
		return resp.GetService().GetEtag(), err
	}
	first := service.GetEtag()
	e.save("web", func(*rollout.State) []rollout.Event { return nil })
	second, err := update(first, 3)
	if err != nil || second == first || second == "" || e.get("web").GetEtag() != second {
		t.Fatalf("etag %q after %q, read %q: %v", second, first, e.get("web").GetEtag(), err)
	}
	_, err = update(first, 4)
	refused(t, "the etag before", err, problem.Aborted, "STALE_ETAG")
	if e.get("web").GetDesiredCount() != 3 {
		t.Errorf("the desired count is %d", e.get("web").GetDesiredCount())
	}
	must[*orchestratorpb.CreateDeploymentResponse](t)(e.Deployments.CreateDeployment(e.ctx(),
		&orchestratorpb.CreateDeploymentRequest{Service: "web", TaskDefinition: "web:2"}))
	_, err = update(second, 4)
	refused(t, "the etag before another's deployment", err, problem.Aborted, "STALE_ETAG")
	if _, err = update(e.get("web").GetEtag(), 4); err != nil {
		t.Error(err)
	}
	if _, err = update("", 5); err != nil {
		t.Errorf("without an etag: %v", err)
	}
}

func TestAnUpdateOfABusyServiceIsRefusedWholeOrSupersedes(t *testing.T) {
	t.Parallel()
	e := serve(t)
	_, want := updatable(e)
	force := func(supersede bool) (*orchestratorpb.UpdateServiceResponse, error) {
		return e.Services.UpdateService(e.ctx(), &orchestratorpb.UpdateServiceRequest{
			Service: &orchestratorpb.Service{Name: "web"}, ForceNewDeployment: true, Supersede: supersede,
		})
	}
	first := must[*orchestratorpb.UpdateServiceResponse](t)(force(false)).GetDeployment().GetId()
	if first == "" {
		t.Fatal("force_new_deployment began none")
	}
	before := e.dump()
	_, err := e.Services.UpdateService(e.ctx(), &orchestratorpb.UpdateServiceRequest{Service: want})
	if p := refused(t, "a new task definition", err, problem.FailedPrecondition, "DEPLOYMENT_IN_PROGRESS"); p.Metadata["deployment"] != first {
		t.Errorf("names %q, want %s", p.Metadata["deployment"], first)
	}
	if after := e.dump(); after != before {
		t.Errorf("the refused update changed\n%s\nto\n%s", before, after)
	}
	second := must[*orchestratorpb.UpdateServiceResponse](t)(force(true)).GetDeployment().GetId()
	old := e.deployment(first)
	if old.GetState() != orchestratorpb.Deployment_STATE_STOPPED || old.GetSupersededBy() != second || e.get("web").GetDeployment() != second {
		t.Errorf("superseded by %s: %v %q, and at work is %s", second, old.GetState(), old.GetSupersededBy(), e.get("web").GetDeployment())
	}
}
