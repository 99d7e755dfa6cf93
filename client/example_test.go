package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/slipway-deploy/slipway/client"
	errorspb "github.com/slipway-deploy/slipway/gen/go/slipway/errors/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// An installation on other machines, with TLS and a token. Without CACert the system's authorities are trusted.
func ExampleDial() {
	c, err := client.Dial(client.Config{
		Orchestrator: "slipway.example.com:7001",
		Hooks:        "slipway.example.com:7002",
		Healthcheck:  "slipway.example.com:7003",
		Alarms:       "slipway.example.com:7004",
		Token:        "the-token-of-the-services",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	fmt.Println("ready; the first call connects")
	// Output:
	// ready; the first call connects
}

// Deploy and print what happens until the new revision is live.
func ExampleClient_Deploy() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.DialEnv() // SLIPWAY_ORCHESTRATOR and so on; 127.0.0.1 when they are not set
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	d, err := c.Deploy(ctx, client.DeployRequest{Service: "web", TaskDefinition: "web:2"},
		client.OnEvent(func(e *orchestratorpb.Event) { fmt.Println(e.GetName()) }))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(d.GetTargetServiceRevision().GetTaskDefinition(), "is live")
	// Output:
	// SERVICE_DEPLOYMENT_IN_PROGRESS
	// TASKS_STARTED
	// TASK_HEALTHY
	// TASKS_STOPPED
	// SERVICE_DEPLOYMENT_COMPLETED
	// web:2 is live
}

// A version that crashes: the service's circuit breaker rolls it back.
func ExampleDeploymentFailedError() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.DialEnv()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	_, err = c.Deploy(ctx, client.DeployRequest{Service: "jobs", TaskDefinition: "jobs:2"})
	if failed, ok := errors.AsType[*client.DeploymentFailedError](err); ok {
		fmt.Println(failed.State(), "to", failed.RolledBackTo())
	}
	// Output:
	// STATE_ROLLBACK_SUCCESSFUL to default/jobs/1
}

// Follow a deployment that something else began. The loop goes on over broken connections.
func ExampleClient_Watch() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.DialEnv()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	begun, err := c.Deployments.CreateDeployment(ctx, &orchestratorpb.CreateDeploymentRequest{Service: "web"})
	if err != nil {
		fmt.Println(err)
		return
	}

	var last *orchestratorpb.Deployment
	for p, err := range c.Watch(ctx, begun.GetDeployment().GetId()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if p.Lost != nil {
			continue // the connection is made again; p.Lost says what happened to it
		}
		last = p.Deployment
		for _, e := range p.Events {
			fmt.Println(e.GetSequence(), e.GetName())
		}
	}
	fmt.Println(last.GetState())
	// Output:
	// 1 SERVICE_DEPLOYMENT_IN_PROGRESS
	// 2 TASKS_STARTED
	// 3 TASK_HEALTHY
	// 4 TASKS_STOPPED
	// 5 SERVICE_DEPLOYMENT_COMPLETED
	// STATE_SUCCESSFUL
}

// The kind says what to do, the reason what exactly it is, the violations which fields break which rules.
func ExampleError() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.DialEnv()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	_, err = c.Deploy(ctx, client.DeployRequest{Service: "nobody"})
	fmt.Println(errors.Is(err, client.NotFound), client.ReasonOf(err) == errorspb.Reason_REASON_SERVICE_NOT_FOUND)

	_, err = c.Services.CreateService(ctx, &orchestratorpb.CreateServiceRequest{
		Service: &orchestratorpb.Service{Name: "a b", TaskDefinition: "web", DesiredCount: -1},
	})
	if e, ok := errors.AsType[*client.Error](err); ok {
		for _, v := range e.Violations {
			fmt.Println(v.Field)
		}
	}
	// Output:
	// true true
	// service.name
	// service.desired_count
}

// A program that tests the new version of a service before traffic moves to it.
func ExampleServeHooks() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := client.DialEnv()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	listener, err := net.Listen("tcp", "127.0.0.1:0") // a port of your choice
	if err != nil {
		fmt.Println(err)
		return
	}
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() {
		served <- client.ServeHooks(serving, listener, func(_ context.Context, i client.Invocation) (client.Result, error) {
			fmt.Println(i.Stage, "of", i.Service, "attempt", i.Attempt, "with", i.Details["suite"])
			if i.Attempt == 1 {
				return client.InProgress(100*time.Millisecond, map[string]any{"suite": "smoke"}), nil
			}
			return client.Succeeded(), nil
		})
	}()
	defer func() {
		stop()
		if err := <-served; err != nil {
			fmt.Println(err)
		}
	}()

	_, err = c.Hooks.RegisterHook(ctx, &hookspb.RegisterHookRequest{Hook: &hookspb.Hook{
		Name: "smoke-test", Target: &hookspb.Hook_Grpc{Grpc: &hookspb.GrpcTarget{Address: listener.Addr().String()}},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	d, err := c.Deploy(ctx, client.DeployRequest{
		Service: "shop", TaskDefinition: "shop:2",
		DeploymentConfiguration: &orchestratorpb.DeploymentConfiguration{
			Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_BLUE_GREEN,
			LifecycleHooks: []*orchestratorpb.LifecycleHook{{
				Hook:            "smoke-test",
				LifecycleStages: []orchestratorpb.LifecycleStage{orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_POST_SCALE_UP},
			}},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(d.GetTargetServiceRevision().GetTaskDefinition(), "is live")
	// Output:
	// POST_SCALE_UP of default/shop attempt 1 with <nil>
	// POST_SCALE_UP of default/shop attempt 2 with smoke
	// shop:2 is live
}
