package settings

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/fake"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// served is what tasks do that answer requests with their names.
func (v *service) served() *fake.Behavior {
	b := v.good()
	b.Endpoints = func(task string) []runtime.Endpoint {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, task) }))
		v.t.Cleanup(server.Close)
		return []runtime.Endpoint{{Container: "web", ContainerPort: 80, Address: server.Listener.Addr().String()}}
	}
	return b
}

// ask sends a request to the production listener; what is not answered with 200 is its status.
func (v *service) ask() string {
	v.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+v.balance.GetProductionListener(), nil)
	if err != nil {
		v.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return resp.Status
	}
	return string(body)
}

func (v *service) attributes(change func(*orchestratorpb.LoadBalancer)) error {
	v.t.Helper()
	change(v.balance)
	_, err := system.Services.UpdateService(v.t.Context(), &orchestratorpb.UpdateServiceRequest{
		Service: &orchestratorpb.Service{Name: v.name, LoadBalancer: v.balance}, UpdateMask: mask("load_balancer"),
	})
	return err
}

// fail_open: when no task of a target group is healthy requests go to those that were, or to none.
func TestFailOpen(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, balanced: true})
	s.ends(s.deploy(s.served(), &config{}), successful)
	task := s.runs(2, 1)[0]
	system.tasks.Script(s.name+":2", fake.Behavior{}) // what takes its place does not get healthy
	s.health(runtime.Unhealthy, task)
	s.runs(2, 2)
	eventually(t, "an answer of the unhealthy task", func() (bool, any) { got := s.ask(); return got == task, got })
	closed := false
	if err := s.attributes(func(lb *orchestratorpb.LoadBalancer) { lb.FailOpen = &closed }); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a refusal", func() (bool, any) { got := s.ask(); return got == "503 Service Unavailable", got })
}

// minimum_healthy_targets_count: with fewer healthy ones requests go to all.
func TestMinimumHealthyTargetsCount(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 2, balanced: true})
	s.ends(s.deploy(s.served(), &config{}), successful)
	tasks := s.runs(2, 2)
	system.tasks.Script(s.name+":2", fake.Behavior{})
	s.health(runtime.Unhealthy, tasks[0])
	s.runs(2, 3)
	eventually(t, "only the healthy task to answer", func() (bool, any) {
		for range 20 {
			if got := s.ask(); got != tasks[1] {
				return false, got
			}
		}
		return true, nil
	})
	if err := s.attributes(func(lb *orchestratorpb.LoadBalancer) { lb.MinimumHealthyTargetsCount = 2 }); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an answer of the unhealthy task", func() (bool, any) { got := s.ask(); return got == tasks[0], got })
}

// slow_start is refused where ELB refuses it; target groups, listeners and container cannot be changed.
func TestLoadBalancersThatAreRefused(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, balanced: true})
	refused(t, s.attributes(func(lb *orchestratorpb.LoadBalancer) { lb.SlowStart = seconds(30) }), "service.load_balancer.slow_start")
	err := s.attributes(func(lb *orchestratorpb.LoadBalancer) {
		lb.Algorithm = orchestratorpb.LoadBalancer_ALGORITHM_ROUND_ROBIN
	})
	if err != nil {
		t.Errorf("with ROUND_ROBIN: %v", err)
	}
	refused(t, s.attributes(func(lb *orchestratorpb.LoadBalancer) { lb.SlowStart = seconds(901) }), "service.load_balancer.slow_start")
	refused(t, s.attributes(func(lb *orchestratorpb.LoadBalancer) {
		lb.SlowStart, lb.DeregistrationDelay = nil, seconds(3601)
	}), "service.load_balancer.deregistration_delay")
	refused(t, s.attributes(func(lb *orchestratorpb.LoadBalancer) {
		lb.DeregistrationDelay, lb.TestListener = nil, "127.0.0.1:1"
	}), "service.load_balancer")
}
