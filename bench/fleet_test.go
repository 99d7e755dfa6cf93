package bench

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	runtimefake "github.com/slipway-deploy/slipway/drivers/runtime/fake"
	trafficfake "github.com/slipway-deploy/slipway/drivers/traffic/fake"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/internal/stack"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
)

// fleet is a whole Slipway whose tasks and data plane are in memory, so that what is measured is Slipway: its services, its
// state and PostgreSQL. Tasks are ready at once.
type fleet struct {
	b           *testing.B
	tasks       *runtimefake.Runtime
	routes      *trafficfake.Fake
	services    orchestratorpb.ServiceServiceClient
	deployments orchestratorpb.DeploymentServiceClient
	events      orchestratorpb.EventServiceClient
	definitions orchestratorpb.TaskDefinitionServiceClient
	groups      healthcheckpb.TargetGroupServiceClient
	database    string
	address     string // of the orchestrator
}

func newFleet(b *testing.B) *fleet {
	b.Helper()
	dir, err := os.MkdirTemp("", "slipway-bench-")
	check(b, err)
	check(b, os.Chmod(dir, 0o755))
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	tasks, routes := runtimefake.New(), trafficfake.New()
	s, err := stack.Start(b.Context(), stack.Config{
		Dir: dir, Addresses: stack.AnyAddresses(), Runtime: tasks, Traffic: routes, Log: slog.New(slog.DiscardHandler),
	})
	check(b, err)
	b.Cleanup(s.Stop)
	dial := func(target string) *grpcConn {
		conn, err := grpcclient.Dial(grpcclient.Config{Target: target, Name: "bench"})
		check(b, err)
		b.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	o := dial(s.Addresses.Orchestrator)
	return &fleet{
		b: b, tasks: tasks, routes: routes, database: s.DatabaseURL, address: s.Addresses.Orchestrator,
		services: orchestratorpb.NewServiceServiceClient(o), deployments: orchestratorpb.NewDeploymentServiceClient(o),
		events: orchestratorpb.NewEventServiceClient(o), definitions: orchestratorpb.NewTaskDefinitionServiceClient(o),
		groups: healthcheckpb.NewTargetGroupServiceClient(dial(s.Addresses.Healthcheck)),
	}
}

// clients is how many callers there are at a time.
const clients = 16

// each calls f for 0 to n-1, by several callers.
func each(n int, f func(i int) error) error {
	var wg sync.WaitGroup
	next, failed := make(chan int), make(chan error, clients)
	for range min(clients, n) {
		wg.Go(func() {
			for i := range next {
				if err := f(i); err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// define registers the task definition that all services run.
func (f *fleet) define(family string) {
	f.b.Helper()
	_, err := f.definitions.RegisterTaskDefinition(f.b.Context(), &orchestratorpb.RegisterTaskDefinitionRequest{
		TaskDefinition: &orchestratorpb.TaskDefinition{Family: family, ContainerDefinitions: []*orchestratorpb.ContainerDefinition{{
			Name: "web", PortMappings: []*orchestratorpb.PortMapping{{ContainerPort: 80}},
			HealthCheck: &orchestratorpb.ContainerHealthCheck{Command: []string{"CMD", "true"}},
		}}},
	})
	check(f.b, err)
	f.tasks.Script(family+":1", runtimefake.Behavior{Health: runtime.Healthy})
}

// populate makes services of two tasks with a load balancer each, and waits until all are live.
func (f *fleet) populate(prefix string, n int, config *configuration) {
	f.b.Helper()
	f.define(prefix)
	live := f.completions()
	check(f.b, each(n, func(i int) error {
		name := fmt.Sprintf("%s-%d", prefix, i)
		for _, group := range []string{name + "-a", name + "-b"} {
			_, err := f.groups.CreateTargetGroup(f.b.Context(), &healthcheckpb.CreateTargetGroupRequest{TargetGroup: &healthcheckpb.TargetGroup{
				Name: group, HealthCheck: &healthcheckpb.HealthCheck{Type: healthcheckpb.HealthCheck_TYPE_CONTAINER},
			}})
			if err != nil {
				return err
			}
		}
		_, err := f.services.CreateService(f.b.Context(), &orchestratorpb.CreateServiceRequest{Service: &orchestratorpb.Service{
			Name: name, TaskDefinition: prefix, DesiredCount: 2, DeploymentConfiguration: config,
			LoadBalancer: &orchestratorpb.LoadBalancer{
				TargetGroup: name + "-a", AlternateTargetGroup: name + "-b", DeregistrationDelay: durationpb.New(0),
				ProductionListener: fmt.Sprintf("127.0.%d.%d:80", 1+i/250, 1+i%250),
			},
		}})
		return err
	}))
	live(n)
}

// completions begins to count deployments that complete; what it returns waits for so many of them.
func (f *fleet) completions() func(n int) {
	f.b.Helper()
	ctx, cancel := context.WithTimeout(f.b.Context(), 5*time.Minute)
	stream, err := f.events.WatchEvents(ctx, &orchestratorpb.WatchEventsRequest{})
	check(f.b, err)
	_, err = stream.Header() // it has begun
	check(f.b, err)
	return func(n int) {
		f.b.Helper()
		defer cancel()
		for n > 0 {
			m, err := stream.Recv()
			if err != nil {
				f.b.Fatalf("%d deployments have not completed: %v", n, err)
			}
			switch m.GetEvent().GetName() {
			case "SERVICE_DEPLOYMENT_COMPLETED":
				n--
			case "SERVICE_DEPLOYMENT_FAILED", "SERVICE_DEPLOYMENT_STOPPED":
				f.b.Fatalf("%s: %s", m.GetEvent().GetDeployment(), m.GetEvent().GetReason())
			}
		}
	}
}

// deploy begins a deployment of each of the services and returns how long that took, and how long until all had completed.
func (f *fleet) deploy(prefix string, n int) (begun, completed time.Duration) {
	f.b.Helper()
	done := f.completions()
	start := time.Now()
	check(f.b, each(n, func(i int) error {
		_, err := f.deployments.CreateDeployment(f.b.Context(), &orchestratorpb.CreateDeploymentRequest{
			Service: fmt.Sprintf("%s-%d", prefix, i),
		})
		return err
	}))
	begun = time.Since(start)
	done(n)
	return begun, time.Since(start)
}

func blueGreen() *configuration {
	return &configuration{Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_BLUE_GREEN}
}

// fourSteps is a canary of 10, 25, 50 and 100 % that waits nowhere.
func fourSteps() *configuration {
	return &configuration{
		Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_STEPS,
		StepsConfiguration: &orchestratorpb.StepsConfiguration{Steps: []*orchestratorpb.TrafficStep{
			{Percent: 10}, {Percent: 25}, {Percent: 50}, {Percent: 100},
		}},
	}
}

// Limits: 100 deployments completed a second with 100 and 1,000 at once; one alone in less than 70 ms (blue/green) and 240 ms
// (four steps). Those are what Argo Rollouts takes for one with fake pods.
func BenchmarkFleet(b *testing.B) {
	for _, c := range []struct {
		name   string
		config *configuration
	}{{"blue-green", blueGreen()}, {"four-steps", fourSteps()}} {
		for _, n := range []int{1, 100, 1000} {
			b.Run(fmt.Sprintf("%s/%d-at-once", c.name, n), func(b *testing.B) {
				f := newFleet(b)
				f.populate("web", n, c.config)
				b.ResetTimer()
				var begun, took time.Duration
				for b.Loop() {
					start, all := f.deploy("web", n)
					begun, took = begun+start, took+all
				}
				total := float64(n * b.N)
				b.ReportMetric(total/took.Seconds(), "completed/s")
				b.ReportMetric(total/begun.Seconds(), "started/s")
				b.ReportMetric(float64(took.Microseconds())/1000/float64(b.N), "all-ms")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
