// Package stories plays the main job of Slipway end to end on a running system: real processes are deployed, real
// traffic is shifted and rolled back under continuous load. The demo shows the stories, the tests assert them. It
// uses the public API alone.
package stories

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// Env is a running system and where to tell what happens.
type Env struct {
	TaskDefinitions orchestratorpb.TaskDefinitionServiceClient
	Services        orchestratorpb.ServiceServiceClient
	Deployments     orchestratorpb.DeploymentServiceClient
	TargetGroups    healthcheckpb.TargetGroupServiceClient
	Alarms          alarmspb.AlarmServiceClient
	Hooks           hookspb.HookServiceClient
	Place           Place
	Clients         int // of the load, closed loop
	Say             func(Line)
	OnEvent         func(*orchestratorpb.Event) // of the story's deployment; may be nil
}

// Line is a moment of a story's timeline.
type Line struct {
	Story  string
	Offset time.Duration // since the deployment was created
	Kind   string        // INFO, WARN, ERROR or "" for the story's own words
	Text   string
}

// Conns is the connections to the services.
type Conns struct{ Orchestrator, Hooks, Healthcheck, Alarms grpc.ClientConnInterface }

// NewEnv makes the clients.
func NewEnv(c Conns, place Place, say func(Line)) *Env {
	return &Env{
		TaskDefinitions: orchestratorpb.NewTaskDefinitionServiceClient(c.Orchestrator),
		Services:        orchestratorpb.NewServiceServiceClient(c.Orchestrator),
		Deployments:     orchestratorpb.NewDeploymentServiceClient(c.Orchestrator),
		TargetGroups:    healthcheckpb.NewTargetGroupServiceClient(c.Healthcheck),
		Alarms:          alarmspb.NewAlarmServiceClient(c.Alarms),
		Hooks:           hookspb.NewHookServiceClient(c.Hooks),
		Place:           place, Clients: 8, Say: say,
	}
}

// cleanUp deletes a story's service and waits until nothing of it runs.
func (e *Env) cleanUp(ctx context.Context, name string) error {
	if _, err := e.Services.DeleteService(ctx, &orchestratorpb.DeleteServiceRequest{Service: name, Force: true}); err != nil {
		return err
	}
	for {
		got, err := e.Services.GetService(ctx, &orchestratorpb.GetServiceRequest{Service: name})
		if err != nil {
			return err
		}
		if got.GetService().GetState() == orchestratorpb.Service_STATE_INACTIVE {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("service %s is not gone: %w", name, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
