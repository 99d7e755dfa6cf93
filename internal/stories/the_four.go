package stories

import (
	"context"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

func rolling() Story {
	const says = "v1 -> v2 of a 4-task service, minimum healthy 100 %, maximum 200 %"
	return Story{Name: "rolling", Says: says, play: func(ctx context.Context, p *player) error {
		err := p.createService(ctx, 4, &orchestratorpb.DeploymentConfiguration{
			Strategy:              orchestratorpb.DeploymentConfiguration_STRATEGY_ROLLING,
			MinimumHealthyPercent: new(int32(100)), MaximumPercent: new(int32(200)),
		})
		if err != nil {
			return err
		}
		definition, err := p.register(ctx, "v2")
		if err != nil {
			return err
		}
		d, _, err := p.deploy(ctx, definition)
		if err != nil {
			return err
		}
		if d.GetState() != orchestratorpb.Deployment_STATE_SUCCESSFUL {
			return fmt.Errorf("ended %s: %s", d.GetState(), d.GetReason())
		}
		return p.onlyAnswers(ctx, "v2")
	}}
}

// onlyAnswers makes sure that every request from now on is answered by one version.
func (p *player) onlyAnswers(ctx context.Context, want string) error {
	for range 40 {
		got, err := version(ctx, p.production.dial)
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("%s answered where %s should", got, want)
		}
	}
	p.say("all requests are answered by %s", want)
	return nil
}

func blueGreen() Story {
	const says = "a hook tests green through the test listener, then all traffic moves, bakes, and blue is terminated"
	return Story{Name: "blue-green", Says: says, play: func(ctx context.Context, p *player) error {
		calls := newHookHandler(p)
		stop, err := calls.serve()
		if err != nil {
			return err
		}
		defer stop()
		for _, hook := range []string{p.name + "-pre-traffic", p.name + "-post-traffic"} {
			_, err := p.Hooks.RegisterHook(ctx, &hookspb.RegisterHookRequest{Hook: &hookspb.Hook{
				Name: hook, Target: &hookspb.Hook_Grpc{Grpc: &hookspb.GrpcTarget{Address: calls.address}},
			}})
			if err != nil {
				return fmt.Errorf("register hook: %w", err)
			}
		}
		err = p.createService(ctx, 2, &orchestratorpb.DeploymentConfiguration{
			Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_BLUE_GREEN, BakeTime: durationpb.New(3 * time.Second),
			LifecycleHooks: []*orchestratorpb.LifecycleHook{
				hookAt(p.name+"-pre-traffic", orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_POST_TEST_TRAFFIC_SHIFT),
				hookAt(p.name+"-post-traffic", orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_POST_PRODUCTION_TRAFFIC_SHIFT),
			},
		})
		if err != nil {
			return err
		}
		definition, err := p.register(ctx, "v2")
		if err != nil {
			return err
		}
		calls.expect("v1", "v2")
		d, _, err := p.deploy(ctx, definition)
		if err != nil {
			return err
		}
		if d.GetState() != orchestratorpb.Deployment_STATE_SUCCESSFUL {
			return fmt.Errorf("ended %s: %s", d.GetState(), d.GetReason())
		}
		if err := calls.both(); err != nil {
			return err
		}
		if err := p.oneTaskSet(ctx, 2); err != nil {
			return err
		}
		return p.onlyAnswers(ctx, "v2")
	}}
}

func hookAt(hook string, stage orchestratorpb.LifecycleStage) *orchestratorpb.LifecycleHook {
	return &orchestratorpb.LifecycleHook{Hook: hook, LifecycleStages: []orchestratorpb.LifecycleStage{stage}, Timeout: durationpb.New(time.Minute)}
}

// oneTaskSet makes sure that the old revision is gone.
func (p *player) oneTaskSet(ctx context.Context, tasks int32) error {
	got, err := p.Services.GetService(ctx, &orchestratorpb.GetServiceRequest{Service: p.name})
	if err != nil {
		return err
	}
	if n := len(got.GetService().GetTaskSets()); n != 1 || got.GetService().GetRunningCount() != tasks {
		return fmt.Errorf("%d task sets with %d running tasks are left, want 1 with %d", n, got.GetService().GetRunningCount(), tasks)
	}
	return nil
}

func canary() Story {
	const says = "10 -> 50 -> 100 % of a version that fails some requests; the alarm on its 5xx rolls it back"
	return Story{Name: "canary", Says: says, play: func(ctx context.Context, p *player) error {
		_, err := p.Alarms.PutMetricAlarm(ctx, &alarmspb.PutMetricAlarmRequest{Alarm: &alarmspb.MetricAlarm{
			Name: p.name + "-5xx", Namespace: "AWS/ApplicationELB", MetricName: "HTTPCode_Target_5XX_Count",
			Dimensions: []*alarmspb.Dimension{{Name: "LoadBalancer", Value: "default/" + p.name}, {Name: "TargetGroup", Value: p.name + "-b"}},
			Statistic:  alarmspb.MetricAlarm_STATISTIC_SUM, Period: durationpb.New(time.Second), EvaluationPeriods: 3, DatapointsToAlarm: 2,
			ComparisonOperator: alarmspb.MetricAlarm_COMPARISON_OPERATOR_GREATER_THAN_THRESHOLD,
			TreatMissingData:   alarmspb.MetricAlarm_TREAT_MISSING_DATA_NOT_BREACHING,
		}})
		if err != nil {
			return fmt.Errorf("put alarm: %w", err)
		}
		err = p.createService(ctx, 4, &orchestratorpb.DeploymentConfiguration{
			Strategy: orchestratorpb.DeploymentConfiguration_STRATEGY_STEPS,
			StepsConfiguration: &orchestratorpb.StepsConfiguration{Steps: []*orchestratorpb.TrafficStep{
				{Percent: 10, BakeTime: durationpb.New(10 * time.Second)}, {Percent: 50, BakeTime: durationpb.New(10 * time.Second)}, {Percent: 100},
			}},
			Alarms: &orchestratorpb.DeploymentAlarms{AlarmNames: []string{p.name + "-5xx"}, Enable: true, Rollback: true},
		})
		if err != nil {
			return err
		}
		definition, err := p.register(ctx, "v2", "FAIL_RATE", "0.5")
		if err != nil {
			return err
		}
		d, _, err := p.deploy(ctx, definition)
		if err != nil {
			return err
		}
		if d.GetState() != orchestratorpb.Deployment_STATE_ROLLBACK_SUCCESSFUL || len(d.GetAlarms().GetTriggeredAlarmNames()) != 1 {
			return fmt.Errorf("ended %s with alarms %v: %s", d.GetState(), d.GetAlarms().GetTriggeredAlarmNames(), d.GetReason())
		}
		return p.onlyAnswers(ctx, "v1")
	}}
}

func circuitBreaker() Story {
	const says = "a version that exits at once: 1/3, 2/3, 3/3, FAILED, back to the last COMPLETED revision"
	return Story{Name: "circuit-breaker", Says: says, play: func(ctx context.Context, p *player) error {
		err := p.createService(ctx, 4, &orchestratorpb.DeploymentConfiguration{
			Strategy:                 orchestratorpb.DeploymentConfiguration_STRATEGY_ROLLING,
			DeploymentCircuitBreaker: &orchestratorpb.DeploymentCircuitBreaker{Enable: true, Rollback: true},
		})
		if err != nil {
			return err
		}
		definition, err := p.register(ctx, "v2", "EXIT_AFTER", "0s")
		if err != nil {
			return err
		}
		d, events, err := p.deploy(ctx, definition)
		if err != nil {
			return err
		}
		if d.GetState() != orchestratorpb.Deployment_STATE_ROLLBACK_SUCCESSFUL || d.GetRolloutState() != orchestratorpb.Deployment_ROLLOUT_STATE_FAILED {
			return fmt.Errorf("ended %s, %s: %s", d.GetState(), d.GetRolloutState(), d.GetReason())
		}
		if err := counted(events, "1", "2", "3"); err != nil {
			return err
		}
		return p.onlyAnswers(ctx, "v1")
	}}
}

// counted makes sure that failures were told one by one, and the failure of the deployment after them.
func counted(events []*orchestratorpb.Event, want ...string) error {
	var got []string
	failed := false
	for _, e := range events {
		if n := e.GetDetail()["failureCount"]; n != "" && !failed {
			got = append(got, n)
		}
		failed = failed || e.GetName() == "SERVICE_DEPLOYMENT_FAILED"
	}
	if !failed || fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("failure counts were %v, want %v, then SERVICE_DEPLOYMENT_FAILED (seen: %v)", got, want, failed)
	}
	return nil
}

// hookHandler is a user's handler: it looks at green through the test listener before traffic moves, and at production after.
type hookHandler struct {
	hookspb.UnimplementedHookHandlerServiceServer
	p             *player
	address       string
	before, after string
	answered      map[string]bool
}

func newHookHandler(p *player) *hookHandler { return &hookHandler{p: p, answered: map[string]bool{}} }

func (h *hookHandler) expect(before, after string) { h.before, h.after = before, after }

func (h *hookHandler) serve() (stop func(), err error) {
	l, err := net.Listen("tcp", net.JoinHostPort(h.p.Place.HandlerListen, "0"))
	if err != nil {
		return nil, fmt.Errorf("serve the hook handler: %w", err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return nil, fmt.Errorf("serve the hook handler: %w", err)
	}
	h.address = net.JoinHostPort(h.p.Place.HandlerDial, port)
	server := grpc.NewServer()
	hookspb.RegisterHookHandlerServiceServer(server, h)
	go func() { _ = server.Serve(l) }() // ends with Stop
	return server.Stop, nil
}

// HandleHook answers SUCCEEDED only if the listeners serve what they should at this stage.
func (h *hookHandler) HandleHook(ctx context.Context, req *hookspb.HandleHookRequest) (*hookspb.HandleHookResponse, error) {
	if h.after == "" { // the first deployment: nothing to compare with
		return &hookspb.HandleHookResponse{HookStatus: hookspb.HookStatus_HOOK_STATUS_SUCCEEDED}, nil
	}
	production, err := version(ctx, h.p.production.dial)
	if err != nil {
		return h.fail(err.Error())
	}
	want := h.after
	if req.GetLifecycleStage() == "POST_TEST_TRAFFIC_SHIFT" {
		want = h.before
		test, err := version(ctx, h.p.test.dial)
		if err != nil || test != h.after {
			return h.fail(fmt.Sprintf("the test listener answers %q (%v), want %s", test, err, h.after))
		}
		h.p.say("hook: green answers %s on the test listener, production still %s", test, production)
	} else {
		h.p.say("hook: production answers %s", production)
	}
	if production != want {
		return h.fail(fmt.Sprintf("the production listener answers %s, want %s", production, want))
	}
	h.answered[req.GetLifecycleStage()] = true
	return &hookspb.HandleHookResponse{HookStatus: hookspb.HookStatus_HOOK_STATUS_SUCCEEDED}, nil
}

func (h *hookHandler) fail(why string) (*hookspb.HandleHookResponse, error) {
	return &hookspb.HandleHookResponse{HookStatus: hookspb.HookStatus_HOOK_STATUS_FAILED, Reason: why}, nil
}

func (h *hookHandler) both() error {
	if len(h.answered) != 2 {
		return fmt.Errorf("hooks were called at %v, want POST_TEST_TRAFFIC_SHIFT and POST_PRODUCTION_TRAFFIC_SHIFT", h.answered)
	}
	return nil
}
