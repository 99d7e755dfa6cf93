// Package bench measures Slipway against its limits and its peers. docs/benchmarks.md says what came out and how.
package bench

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/internal/stack"
	"github.com/slipway-deploy/slipway/platform/grpcclient"
)

// system is a whole Slipway with one service of real processes.
type system struct {
	b           *testing.B
	services    orchestratorpb.ServiceServiceClient
	deployments orchestratorpb.DeploymentServiceClient
	tasks       orchestratorpb.TaskServiceClient
	events      orchestratorpb.EventServiceClient
	definitions orchestratorpb.TaskDefinitionServiceClient
	groups      healthcheckpb.TargetGroupServiceClient
	alarms      alarmspb.AlarmServiceClient
	dir         string
}

func newSystem(b *testing.B) *system {
	b.Helper()
	dir, err := os.MkdirTemp("", "slipway-bench-")
	check(b, err)
	check(b, os.Chmod(dir, 0o755))
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	build := exec.CommandContext(b.Context(), "go", "build", "-o", filepath.Join(dir, "web"), "../examples/web")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	s, err := stack.Start(b.Context(), stack.Config{Dir: dir, Addresses: stack.AnyAddresses(), Log: slog.New(slog.DiscardHandler)})
	check(b, err)
	b.Cleanup(s.Stop)
	dial := func(target string) *grpcConn {
		conn, err := grpcclient.Dial(grpcclient.Config{Target: target, Name: "bench"})
		check(b, err)
		b.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	o := dial(s.Addresses.Orchestrator)
	return &system{
		b: b, dir: dir, services: orchestratorpb.NewServiceServiceClient(o), deployments: orchestratorpb.NewDeploymentServiceClient(o),
		tasks: orchestratorpb.NewTaskServiceClient(o), events: orchestratorpb.NewEventServiceClient(o),
		definitions: orchestratorpb.NewTaskDefinitionServiceClient(o),
		groups:      healthcheckpb.NewTargetGroupServiceClient(dial(s.Addresses.Healthcheck)),
		alarms:      alarmspb.NewAlarmServiceClient(dial(s.Addresses.Alarms)),
	}
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// service brings a service of n processes live.
func (s *system) service(name string, n int32, config *orchestratorpb.DeploymentConfiguration) {
	s.b.Helper()
	ctx := s.b.Context()
	for _, group := range []string{name + "-a", name + "-b"} {
		_, err := s.groups.CreateTargetGroup(ctx, &healthcheckpb.CreateTargetGroupRequest{TargetGroup: &healthcheckpb.TargetGroup{
			Name: group, HealthCheck: &healthcheckpb.HealthCheck{
				Path: "/health", Interval: durationpb.New(500 * time.Millisecond), Timeout: durationpb.New(500 * time.Millisecond),
			},
		}})
		check(s.b, err)
	}
	_, err := s.definitions.RegisterTaskDefinition(ctx, &orchestratorpb.RegisterTaskDefinitionRequest{TaskDefinition: &orchestratorpb.TaskDefinition{
		Family: name, ContainerDefinitions: []*orchestratorpb.ContainerDefinition{{
			Name: "web", Command: []string{filepath.Join(s.dir, "web")}, PortMappings: []*orchestratorpb.PortMapping{{ContainerPort: 80}},
		}},
	}})
	check(s.b, err)
	created, err := s.services.CreateService(ctx, &orchestratorpb.CreateServiceRequest{Service: &orchestratorpb.Service{
		Name: name, TaskDefinition: name, DesiredCount: n, DeploymentConfiguration: config,
		LoadBalancer: &orchestratorpb.LoadBalancer{
			TargetGroup: name + "-a", AlternateTargetGroup: name + "-b", ProductionListener: freeAddress(s.b), DeregistrationDelay: durationpb.New(time.Second),
		},
	}})
	check(s.b, err)
	s.b.Cleanup(func() { s.remove(name) })
	s.end(created.GetDeployment().GetId())
}

// remove deletes the service and waits until its processes are gone, which outlive the system else.
func (s *system) remove(name string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := s.services.DeleteService(ctx, &orchestratorpb.DeleteServiceRequest{Service: name, Force: true})
	check(s.b, err)
	pause := time.NewTicker(20 * time.Millisecond)
	defer pause.Stop()
	for {
		got, err := s.services.GetService(ctx, &orchestratorpb.GetServiceRequest{Service: name})
		check(s.b, err)
		if got.GetService().GetState() == orchestratorpb.Service_STATE_INACTIVE {
			return
		}
		<-pause.C
	}
}

// deploy runs one deployment to its end and returns it with its events.
func (s *system) deploy(name string) (*orchestratorpb.Deployment, []*orchestratorpb.Event) {
	s.b.Helper()
	created, err := s.deployments.CreateDeployment(s.b.Context(), &orchestratorpb.CreateDeploymentRequest{Service: name})
	check(s.b, err)
	return s.end(created.GetDeployment().GetId())
}

func (s *system) end(id string) (*orchestratorpb.Deployment, []*orchestratorpb.Event) {
	s.b.Helper()
	return s.follow(id, nil)
}

func (s *system) follow(id string, event func(*orchestratorpb.Event)) (*orchestratorpb.Deployment, []*orchestratorpb.Event) {
	s.b.Helper()
	ctx, cancel := context.WithTimeout(s.b.Context(), time.Minute)
	defer cancel()
	stream, err := s.deployments.WatchDeployment(ctx, &orchestratorpb.WatchDeploymentRequest{Deployment: id})
	check(s.b, err)
	var events []*orchestratorpb.Event
	for {
		m, err := stream.Recv()
		check(s.b, err)
		for _, e := range m.GetEvents() {
			events = append(events, e)
			if event != nil {
				event(e)
			}
		}
		if m.GetDeployment().GetFinishTime() != nil {
			return m.GetDeployment(), events
		}
	}
}

func report(b *testing.B, name string, samples []time.Duration) {
	b.Helper()
	slices.Sort(samples)
	at := func(p float64) float64 {
		return float64(samples[min(int(p*float64(len(samples))), len(samples)-1)].Microseconds()) / 1000
	}
	b.ReportMetric(at(0.5), name+"-p50-ms")
	b.ReportMetric(at(0.99), name+"-p99-ms")
	b.ReportMetric(float64(len(samples)), name+"-samples")
	b.ReportMetric(0, "ns/op")
}

// Limit: 500 ms from CreateDeployment to 100 % of the traffic, five processes that are ready at once.
func BenchmarkBlueGreenOfFiveProcesses(b *testing.B) {
	s := newSystem(b)
	s.service("bg", 5, &orchestratorpb.DeploymentConfiguration{Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_BLUE_GREEN})
	var samples []time.Duration
	for b.Loop() {
		d, events := s.deploy("bg")
		for _, e := range events {
			if e.GetName() == "TRAFFIC_SHIFTED" {
				samples = append(samples, e.GetTime().AsTime().Sub(d.GetCreateTime().AsTime()))
			}
		}
	}
	report(b, "to-all-traffic", samples)
}

// Limit: p99 50 ms from a condition that is met to the next action: here from one traffic step in force to the next, through
// decision, commit with fsync, the proxy and the observation of what is in force.
func BenchmarkStepOverhead(b *testing.B) {
	s := newSystem(b)
	steps := &orchestratorpb.StepsConfiguration{}
	for percent := 2.0; percent <= 100; percent += 2 {
		steps.Steps = append(steps.Steps, &orchestratorpb.TrafficStep{Percent: percent})
	}
	s.service("steps", 1, &orchestratorpb.DeploymentConfiguration{Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_STEPS, StepsConfiguration: steps})
	var samples []time.Duration
	for b.Loop() {
		_, events := s.deploy("steps")
		var last time.Time
		for _, e := range events {
			if e.GetName() != "TRAFFIC_SHIFTED" {
				continue
			}
			if at := e.GetTime().AsTime(); !last.IsZero() {
				samples = append(samples, at.Sub(last))
			}
			last = e.GetTime().AsTime()
		}
	}
	report(b, "step", samples)
}

// Limit: 100 ms from the death of a process to the event that tells of it.
func BenchmarkCrashNoticed(b *testing.B) {
	s := newSystem(b)
	s.service("crash", 3, &orchestratorpb.DeploymentConfiguration{})
	stream, err := s.events.WatchEvents(b.Context(), &orchestratorpb.WatchEventsRequest{Service: "crash"})
	check(b, err)
	var samples []time.Duration
	for b.Loop() {
		pid := s.steadyPid("crash", 3)
		began := time.Now()
		check(b, syscall.Kill(pid, syscall.SIGKILL))
		for {
			m, err := stream.Recv()
			check(b, err)
			if m.GetEvent().GetName() == "TASK_FAILED" && m.GetEvent().GetTime().AsTime().After(began) {
				samples = append(samples, m.GetEvent().GetTime().AsTime().Sub(began))
				break
			}
		}
	}
	report(b, "crash", samples)
}

// steadyPid waits until the service has all its tasks healthy and returns the pid of one.
func (s *system) steadyPid(name string, n int) int {
	s.b.Helper()
	pause := time.NewTicker(10 * time.Millisecond)
	defer pause.Stop()
	for range 1000 {
		list, err := s.tasks.ListTasks(s.b.Context(), &orchestratorpb.ListTasksRequest{Service: name})
		check(s.b, err)
		healthy := ""
		up := 0
		for _, t := range list.GetTasks() {
			if t.GetTargetHealth() == "HEALTHY" && t.GetState() == orchestratorpb.Task_STATE_RUNNING {
				up++
				healthy = t.GetAddresses()[0]
			}
		}
		if up == n {
			return pidOf(s.b, healthy)
		}
		<-pause.C
	}
	s.b.Fatal("the service did not come to a steady state")
	return 0
}

// Limit: 1 s from an alarm's change to all traffic on the old version.
func BenchmarkAlarmToSafe(b *testing.B) {
	s := newSystem(b)
	_, err := s.alarms.PutMetricAlarm(b.Context(), &alarmspb.PutMetricAlarmRequest{Alarm: &alarmspb.MetricAlarm{
		Name: "drill", Namespace: "bench", MetricName: "none", Statistic: alarmspb.MetricAlarm_STATISTIC_SUM, Period: durationpb.New(time.Minute),
		EvaluationPeriods: 1, ComparisonOperator: alarmspb.MetricAlarm_COMPARISON_OPERATOR_GREATER_THAN_THRESHOLD,
		TreatMissingData: alarmspb.MetricAlarm_TREAT_MISSING_DATA_IGNORE,
	}})
	check(b, err)
	s.service("safe", 2, &orchestratorpb.DeploymentConfiguration{
		Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_STEPS,
		StepsConfiguration: &orchestratorpb.StepsConfiguration{Steps: []*orchestratorpb.TrafficStep{
			{Percent: 50, BakeTime: durationpb.New(time.Minute)}, {Percent: 100},
		}},
		Alarms: &orchestratorpb.DeploymentAlarms{AlarmNames: []string{"drill"}, Enable: true, Rollback: true},
	})
	var samples []time.Duration
	for b.Loop() {
		created, err := s.deployments.CreateDeployment(b.Context(), &orchestratorpb.CreateDeploymentRequest{Service: "safe"})
		check(b, err)
		var began time.Time
		d, _ := s.follow(created.GetDeployment().GetId(), func(e *orchestratorpb.Event) {
			if e.GetName() == "TRAFFIC_SHIFTED" && began.IsZero() {
				began = time.Now()
				_, err := s.alarms.SetAlarmState(b.Context(), &alarmspb.SetAlarmStateRequest{AlarmName: "drill", State: alarmspb.MetricAlarm_STATE_ALARM})
				check(b, err)
			}
		})
		samples = append(samples, d.GetRollback().GetSafeTime().AsTime().Sub(began))
		_, err = s.alarms.SetAlarmState(b.Context(), &alarmspb.SetAlarmStateRequest{AlarmName: "drill", State: alarmspb.MetricAlarm_STATE_OK})
		check(b, err)
	}
	report(b, "alarm-to-safe", samples)
}
