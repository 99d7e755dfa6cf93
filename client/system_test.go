package client_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/client"
	errorspb "github.com/slipway-deploy/slipway/gen/go/slipway/errors/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// system connects to the Slipway that TestMain runs.
func system(t *testing.T) (context.Context, *client.Client) {
	t.Helper()
	c, err := client.DialEnv()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx, c
}

func live(t *testing.T, d *orchestratorpb.Deployment, definition string) {
	t.Helper()
	if d.GetState() != orchestratorpb.Deployment_STATE_SUCCESSFUL || d.GetTargetServiceRevision().GetTaskDefinition() != definition {
		t.Errorf("ended %s with %s, want %s live", d.GetState(), d.GetTargetServiceRevision().GetTaskDefinition(), definition)
	}
}

// A service's life: version 1, version 2, a version that crashes.
func TestVersionsOfAServiceOnARealSystem(t *testing.T) {
	ctx, c := system(t)
	service := "life-" + strings.ToLower(rand.Text())
	names := make([]string, 3)
	for i, script := range []string{"exec sleep 300", "exec sleep 301", "exit 3"} {
		var err error
		if names[i], err = c.RegisterTaskDefinition(ctx, definition(service, shell(script))); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{service + ":1", service + ":2", service + ":3"}; !slices.Equal(names, want) {
		t.Fatalf("registered %v, want %v", names, want)
	}
	created, err := c.Services.CreateService(ctx, &orchestratorpb.CreateServiceRequest{Service: rollingService(service, names[0])})
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Wait(ctx, created.GetDeployment().GetId())
	if err != nil {
		t.Fatal(err)
	}
	live(t, d, names[0])

	var sequences []int64
	request := client.DeployRequest{RequestID: service + "-2", Service: service, TaskDefinition: names[1]}
	d, err = c.Deploy(ctx, request, client.OnEvent(func(e *orchestratorpb.Event) { sequences = append(sequences, e.GetSequence()) }))
	if err != nil {
		t.Fatal(err)
	}
	live(t, d, names[1])
	for i, s := range sequences {
		if s != int64(i+1) {
			t.Fatalf("the events' sequences are %v, want each once from 1", sequences)
		}
	}
	if int64(len(sequences)) != d.GetEventSequence() {
		t.Errorf("%d events came of %d", len(sequences), d.GetEventSequence())
	}
	again, err := c.Deploy(ctx, request)
	if err != nil || again.GetId() != d.GetId() {
		t.Errorf("the same request id began %s (%v), want %s", again.GetId(), err, d.GetId())
	}

	d, err = c.Deploy(ctx, client.DeployRequest{Service: service, TaskDefinition: names[2]})
	failed, ok := errors.AsType[*client.DeploymentFailedError](err)
	if !ok {
		t.Fatalf("a version that crashes: %v, want a DeploymentFailedError", err)
	}
	if failed.State() != orchestratorpb.Deployment_STATE_ROLLBACK_SUCCESSFUL || failed.RolledBackTo() != "default/"+service+"/2" || failed.Reason() == "" {
		t.Errorf("state %s, rolled back to %q, reason %q", failed.State(), failed.RolledBackTo(), failed.Reason())
	}
	if d != failed.Deployment || !strings.Contains(err.Error(), service+"/2 serves again") {
		t.Errorf("the deployment is %v, the error %q", d, err)
	}
}

// Leaving a deployment leaves it going, and it can be found again.
func TestLeavingADeploymentOfARealSystem(t *testing.T) {
	ctx, c := system(t)
	request := client.DeployRequest{Service: "shop", DeploymentConfiguration: &orchestratorpb.DeploymentConfiguration{
		Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_BLUE_GREEN,
		LifecycleHooks: []*orchestratorpb.LifecycleHook{{
			Pause: true, LifecycleStages: []orchestratorpb.LifecycleStage{orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_PRE_SCALE_UP},
		}},
	}}
	leaving, leave := context.WithCancel(ctx)
	d, err := c.Deploy(leaving, request, client.OnProgress(func(p client.Progress) {
		if len(p.Deployment.GetConditions()) > 0 { // it waits for ContinueDeployment
			leave()
		}
	}))
	if !errors.Is(err, context.Canceled) || client.Ended(d) || d.GetId() == "" {
		t.Fatalf("left with %v at %s, want canceled and a deployment that goes on", err, d.GetState())
	}
	_, err = c.Deploy(ctx, request)
	if err := expect(err, errorspb.Reason_REASON_DEPLOYMENT_IN_PROGRESS); err != nil {
		t.Fatal(err)
	}
	if e, _ := errors.AsType[*client.Error](err); e.Metadata["deployment"] != d.GetId() || !errors.Is(err, client.FailedPrecondition) {
		t.Errorf("%v names %q, want %s", err, e.Metadata["deployment"], d.GetId())
	}
	if _, err := c.Deployments.ContinueDeployment(ctx, &orchestratorpb.ContinueDeploymentRequest{Deployment: d.GetId()}); err != nil {
		t.Fatal(err)
	}
	if d, err = c.Wait(ctx, d.GetId()); err != nil || d.GetState() != orchestratorpb.Deployment_STATE_SUCCESSFUL {
		t.Errorf("waited until %s, %v", d.GetState(), err)
	}
}

// A handler that works on and reports later, and one that fails.
func TestHooksOfARealSystem(t *testing.T) {
	ctx, c := system(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	calls := make(chan client.Invocation, 10)
	served := make(chan error, 1)
	serving, stop := context.WithCancel(ctx)
	go func() {
		served <- client.ServeHooks(serving, l, func(ctx context.Context, i client.Invocation) (client.Result, error) {
			if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > 5*time.Second {
				return client.Failed("the call's deadline is %s, %v", deadline, ok), nil
			}
			calls <- i
			if i.Details["panic"] != nil {
				panic(i.Details["panic"])
			}
			return client.InProgress(time.Hour, nil), nil
		})
	}()
	hook := &hookspb.Hook{Name: "reporter", Target: &hookspb.Hook_Grpc{Grpc: &hookspb.GrpcTarget{Address: l.Addr().String()}}}
	hook.CallTimeout = seconds(5)
	if _, err := c.Hooks.RegisterHook(ctx, &hookspb.RegisterHookRequest{Hook: hook}); err != nil {
		t.Fatal(err)
	}
	config := func(details map[string]any) *orchestratorpb.DeploymentConfiguration {
		return &orchestratorpb.DeploymentConfiguration{
			Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_BLUE_GREEN,
			LifecycleHooks: []*orchestratorpb.LifecycleHook{{
				Hook: "reporter", HookDetails: structOf(t, details),
				LifecycleStages: []orchestratorpb.LifecycleStage{orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_PRE_SCALE_UP},
			}},
		}
	}

	reported := make(chan error, 1)
	go func() {
		i := <-calls
		if i.Stage != "PRE_SCALE_UP" || i.Service != "default/shop" || i.Attempt != 1 || i.Details["suite"] != "late" {
			t.Errorf("called with %+v", i)
		}
		reported <- errors.Join(c.ReportResult(ctx, i.ID, i.Attempt, client.Succeeded()),
			expect(c.ReportResult(ctx, i.ID, i.Attempt, client.Succeeded()), errorspb.Reason_REASON_ATTEMPT_NOT_CURRENT))
	}()
	d, err := c.Deploy(ctx, client.DeployRequest{Service: "shop", TaskDefinition: "shop:1", DeploymentConfiguration: config(map[string]any{"suite": "late"})})
	if err != nil {
		t.Fatal(err)
	}
	live(t, d, "shop:1")
	if err := <-reported; err != nil {
		t.Error(err)
	}

	d, err = c.Deploy(ctx, client.DeployRequest{Service: "shop", DeploymentConfiguration: config(map[string]any{"panic": "no test host"})})
	if _, ok := errors.AsType[*client.DeploymentFailedError](err); !ok || !strings.Contains(d.GetReason(), "the handler panicked: no test host") {
		t.Errorf("a handler that panics: %v", err)
	}
	if len(calls) != 1 {
		t.Errorf("the handler that panicked was called %d times, want once", len(calls))
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
