package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/slipway-deploy/slipway/client"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/internal/stack"
	"github.com/slipway-deploy/slipway/internal/stories"
	"github.com/slipway-deploy/slipway/platform/postgres/postgresdev"
)

// workloadVariable makes this test program the workload that the tests deploy: a server on $PORT.
const workloadVariable = "SLIPWAY_CLIENT_TEST_WORKLOAD"

// TestMain runs all of Slipway, with real tasks, for the examples and for the tests that need more than a fake. The
// environment names its services, so that the examples read as a user's program does.
func TestMain(m *testing.M) {
	if os.Getenv(workloadVariable) != "" {
		serveWorkload()
	}
	code, err := runOnSystem(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "start Slipway for the tests:", err)
	}
	os.Exit(code)
}

func runOnSystem(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "slipway-client-test-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // the user of PostgreSQL has to reach it
		return 1, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return 1, err
	}
	defer log.Close()
	defer func() {
		if text, readErr := os.ReadFile(log.Name()); code != 0 && readErr == nil {
			fmt.Fprintf(os.Stderr, "the services' log ends with:\n%s\n", text[max(0, len(text)-10_000):])
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	quiet := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	slog.SetDefault(slog.New(slog.DiscardHandler)) // ServeHooks tells of panics there
	db, err := postgresdev.Start(ctx, filepath.Join(dir, "postgres"), quiet, postgresdev.ForTests())
	if err != nil {
		return 1, err
	}
	defer func() { _ = db.Stop(ctx) }()
	s, err := stack.Start(ctx, stack.Config{Dir: dir, DatabaseURL: db.URL(), Addresses: stack.AnyAddresses(), Log: quiet})
	if err != nil {
		return 1, err
	}
	defer s.Stop()
	for name, address := range map[string]string{
		"SLIPWAY_ORCHESTRATOR": s.Addresses.Orchestrator, "SLIPWAY_HOOKS": s.Addresses.Hooks,
		"SLIPWAY_HEALTHCHECK": s.Addresses.Healthcheck, "SLIPWAY_ALARMS": s.Addresses.Alarms,
	} {
		_ = os.Setenv(name, address)
	}
	for _, name := range []string{"SLIPWAY_TLS_CA", "SLIPWAY_TOKEN", "SLIPWAY_INSECURE"} {
		_ = os.Unsetenv(name)
	}
	c, err := client.DialEnv()
	if err != nil {
		return 1, err
	}
	defer c.Close()
	defer func() { err = errors.Join(err, removeServices(c)) }()
	if err := createServices(ctx, c); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// serveWorkload is a task. It ends by itself in case that nothing ends it.
func serveWorkload() {
	time.AfterFunc(5*time.Minute, func() { os.Exit(1) })
	fmt.Fprintln(os.Stderr, http.ListenAndServe(net.JoinHostPort("127.0.0.1", os.Getenv("PORT")), http.HandlerFunc(
		func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "fine") })))
	os.Exit(1)
}

// createServices makes what the examples deploy to: the rolling services "web" and "jobs" without traffic, and "shop", which
// is blue/green. Each has a task definition 2, that of jobs crashes.
func createServices(ctx context.Context, c *client.Client) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	self := &orchestratorpb.ContainerDefinition{
		Name: "web", Command: []string{program}, PortMappings: []*orchestratorpb.PortMapping{{ContainerPort: 80}},
		Environment: []*orchestratorpb.KeyValuePair{{Name: workloadVariable, Value: "1"}},
	}
	for _, d := range []struct {
		family    string
		container *orchestratorpb.ContainerDefinition
	}{
		{"web", shell("exec sleep 300")},
		{"web", shell("exec sleep 301")},
		{"jobs", shell("exec sleep 300")},
		{"jobs", shell("exit 1")},
		{"shop", self},
		{"shop", self},
	} {
		if _, err := c.RegisterTaskDefinition(ctx, definition(d.family, d.container)); err != nil {
			return err
		}
	}
	group := &healthcheckpb.HealthCheck{Interval: durationpb.New(200 * time.Millisecond), Timeout: durationpb.New(200 * time.Millisecond)}
	for _, name := range []string{"shop-a", "shop-b"} {
		_, err := c.TargetGroups.CreateTargetGroup(ctx, &healthcheckpb.CreateTargetGroupRequest{
			TargetGroup: &healthcheckpb.TargetGroup{Name: name, HealthCheck: group},
		})
		if err != nil {
			return err
		}
	}
	listener, err := stories.FreeAddress()
	if err != nil {
		return err
	}
	shop := &orchestratorpb.Service{
		Name: "shop", TaskDefinition: "shop:1", DesiredCount: 1,
		LoadBalancer: &orchestratorpb.LoadBalancer{
			TargetGroup: "shop-a", AlternateTargetGroup: "shop-b", ProductionListener: listener,
			DeregistrationDelay: durationpb.New(time.Second),
		},
		DeploymentConfiguration: &orchestratorpb.DeploymentConfiguration{Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_BLUE_GREEN},
	}
	return createAndWait(ctx, c, rollingService("web", "web:1"), rollingService("jobs", "jobs:1"), shop)
}

// createAndWait creates services and waits until each is live.
func createAndWait(ctx context.Context, c *client.Client, services ...*orchestratorpb.Service) error {
	ids := make([]string, len(services))
	for i, s := range services {
		r, err := c.Services.CreateService(ctx, &orchestratorpb.CreateServiceRequest{Service: s})
		if err != nil {
			return err
		}
		ids[i] = r.GetDeployment().GetId()
	}
	for _, id := range ids {
		if _, err := c.Wait(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// rollingService is a service whose first failed task rolls a deployment back.
func rollingService(name, definition string) *orchestratorpb.Service {
	return &orchestratorpb.Service{
		Name: name, TaskDefinition: definition, DesiredCount: 1,
		DeploymentConfiguration: &orchestratorpb.DeploymentConfiguration{
			MinimumHealthyTime: durationpb.New(100 * time.Millisecond),
			DeploymentCircuitBreaker: &orchestratorpb.DeploymentCircuitBreaker{
				Enable: true, Rollback: true,
				ThresholdConfiguration: &orchestratorpb.ThresholdConfiguration{Type: orchestratorpb.ThresholdConfiguration_TYPE_COUNT, Value: 1},
			},
		},
	}
}

func definition(family string, container *orchestratorpb.ContainerDefinition) *orchestratorpb.TaskDefinition {
	return &orchestratorpb.TaskDefinition{Family: family, ContainerDefinitions: []*orchestratorpb.ContainerDefinition{container}}
}

func shell(script string) *orchestratorpb.ContainerDefinition {
	return &orchestratorpb.ContainerDefinition{Name: "main", Command: []string{"/bin/sh", "-c", script}}
}

// removeServices ends every task: they would outlive the test.
func removeServices(c *client.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	list, err := c.Services.ListServices(ctx, &orchestratorpb.ListServicesRequest{PageSize: 100})
	if err != nil {
		return err
	}
	for _, s := range list.GetServices() {
		if _, err := c.Services.DeleteService(ctx, &orchestratorpb.DeleteServiceRequest{Service: s.GetName(), Force: true}); err != nil {
			return err
		}
	}
	for _, s := range list.GetServices() {
		for {
			got, err := c.Services.GetService(ctx, &orchestratorpb.GetServiceRequest{Service: s.GetName()})
			if err != nil {
				return err
			}
			if got.GetService().GetState() == orchestratorpb.Service_STATE_INACTIVE {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("service %s is not gone: %w", s.GetName(), ctx.Err())
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return nil
}
