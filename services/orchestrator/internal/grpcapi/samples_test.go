package grpcapi_test

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// fullTaskDefinition sets every field that a user can.
func fullTaskDefinition() *orchestratorpb.TaskDefinition {
	return &orchestratorpb.TaskDefinition{
		Family: "full",
		ContainerDefinitions: []*orchestratorpb.ContainerDefinition{
			{
				Name: "app", Image: "registry/app:1", Command: []string{"/bin/app", "-v"}, WorkingDirectory: "/srv",
				Environment:  []*orchestratorpb.KeyValuePair{{Name: "A", Value: "1"}, {Name: "B", Value: "2"}},
				PortMappings: []*orchestratorpb.PortMapping{{Name: "http", ContainerPort: 80, HostPort: 8080}, {Name: "grpc", ContainerPort: 81}},
				StopTimeout:  seconds(7), Cpu: 256, Memory: 64,
			},
			{
				Name: "side", Essential: new(true), HealthCheck: &orchestratorpb.ContainerHealthCheck{
					Command: []string{"CMD", "/bin/true"}, Interval: seconds(11), Timeout: seconds(3), Retries: 4, StartPeriod: seconds(5),
				},
			},
		},
	}
}

// fullConfigs is deployment configurations that together set every field and every value, each with what it is resolved to:
// names to traffic steps, and what is absent to its default.
func fullConfigs() map[string][2]*config {
	common := func(change func(*config)) *config {
		c := &config{
			MinimumHealthyPercent: proto.Int32(25), MaximumPercent: proto.Int32(150), BakeTime: seconds(11), ScaleUpTimeout: seconds(12),
			MinimumHealthyTime: seconds(13), RollbackTimeout: seconds(14), Timeout: seconds(15),
			Alarms: &orchestratorpb.DeploymentAlarms{
				AlarmNames: []string{"a", "b"}, Enable: true, Rollback: true,
				InitialAlarmPolicy:    orchestratorpb.DeploymentAlarms_INITIAL_ALARM_POLICY_IGNORE,
				UnreadableAlarmPolicy: orchestratorpb.DeploymentAlarms_UNREADABLE_ALARM_POLICY_STOP, UnreadableAlarmTimeout: seconds(16),
			},
		}
		change(c)
		return c
	}
	breaker := func(kind orchestratorpb.ThresholdConfiguration_Type, value int32, reset bool) func(*config) {
		return func(c *config) {
			c.Strategy = orchestratorpb.DeploymentConfiguration_STRATEGY_ROLLING
			c.DeploymentCircuitBreaker = &orchestratorpb.DeploymentCircuitBreaker{
				Enable: true, Rollback: true, ResetOnHealthyTask: &reset,
				ThresholdConfiguration: &orchestratorpb.ThresholdConfiguration{Type: kind, Value: value},
				CountExitsAfterRunning: new(!reset), CountFailuresDuringBake: &reset, ResetAfter: seconds(17),
				CountFailedStartsAfterRunning: new(!reset),
			}
			c.EarlySuccessCriteria = earlySuccess(reset)
		}
	}
	shifted := func(strategy orchestratorpb.DeploymentConfiguration_Strategy, name string, to ...*orchestratorpb.TrafficStep) func(*config) {
		return func(c *config) {
			steps(c, append(to, &orchestratorpb.TrafficStep{Percent: 100, BakeTime: seconds(0)})...)
			c.Strategy, c.DeploymentConfigName, c.LifecycleHooks = strategy, name, fullHooks()
			options(c)
			c.TargetCapacity = orchestratorpb.TargetCapacity_TARGET_CAPACITY_FULL
		}
	}
	asked := func(change func(*config)) *config {
		return common(func(c *config) {
			c.LifecycleHooks = fullHooks()
			options(c)
			change(c)
		})
	}
	defaults := &config{
		Strategy:              orchestratorpb.DeploymentConfiguration_STRATEGY_ROLLING,
		MinimumHealthyPercent: proto.Int32(100), MaximumPercent: proto.Int32(200), BakeTime: seconds(0), ScaleUpTimeout: seconds(3600),
		MinimumHealthyTime: seconds(40), RollbackTimeout: seconds(3600), Timeout: seconds(30 * 24 * 3600),
		DeploymentCircuitBreaker: &orchestratorpb.DeploymentCircuitBreaker{
			ResetOnHealthyTask: new(true), CountExitsAfterRunning: new(true), CountFailuresDuringBake: new(true), ResetAfter: seconds(30),
			CountFailedStartsAfterRunning: new(true),
			ThresholdConfiguration:        &orchestratorpb.ThresholdConfiguration{Type: orchestratorpb.ThresholdConfiguration_TYPE_BOUNDED_PERCENT, Value: 50},
		},
	}
	ten := func(bake float64) *orchestratorpb.TrafficStep {
		return &orchestratorpb.TrafficStep{Percent: 10, BakeTime: seconds(bake)}
	}
	threshold := func(kind orchestratorpb.ThresholdConfiguration_Type, value int32) [2]*config {
		c := common(breaker(kind, value, false))
		return [2]*config{c, c}
	}
	waiting := common(breaker(orchestratorpb.ThresholdConfiguration_TYPE_COUNT, 7, true))
	waiting.Alarms.InitialAlarmPolicy = orchestratorpb.DeploymentAlarms_INITIAL_ALARM_POLICY_WAIT
	waiting.Alarms.UnreadableAlarmPolicy = orchestratorpb.DeploymentAlarms_UNREADABLE_ALARM_POLICY_WAIT
	stepwise := asked(func(c *config) {
		steps(c, &orchestratorpb.TrafficStep{Percent: 0.1, BakeTime: seconds(3), Pause: true, CapacityPercent: new(0.5)},
			ten(4), &orchestratorpb.TrafficStep{Percent: 100, BakeTime: seconds(0)})
		c.Alarms.InitialAlarmPolicy = orchestratorpb.DeploymentAlarms_INITIAL_ALARM_POLICY_WATCH
		c.Alarms.UnreadableAlarmPolicy = orchestratorpb.DeploymentAlarms_UNREADABLE_ALARM_POLICY_CONTINUE
		c.TerminateSourceOption = &orchestratorpb.TerminateSourceOption{
			Action: orchestratorpb.TerminateSourceOption_ACTION_KEEP_ALIVE, TerminationWaitTime: seconds(0),
		}
	})
	weighted := asked(func(c *config) {
		canary(c, 10, seconds(22))
		c.TargetCapacity = orchestratorpb.TargetCapacity_TARGET_CAPACITY_TRAFFIC_WEIGHT
	})
	return map[string][2]*config{
		"defaults":  {{}, defaults},
		"bounded":   threshold(orchestratorpb.ThresholdConfiguration_TYPE_BOUNDED_PERCENT, 33),
		"unbounded": threshold(orchestratorpb.ThresholdConfiguration_TYPE_UNBOUNDED_PERCENT, 34),
		"count":     {waiting, waiting},
		"blue-green": {
			asked(blueGreen),
			common(shifted(asBlueGreen, "")),
		},
		"linear": {
			asked(func(c *config) { linear(c, 50, seconds(21)) }),
			common(shifted(asLinear, "", &orchestratorpb.TrafficStep{Percent: 50, BakeTime: seconds(21)})),
		},
		"canary": {
			asked(func(c *config) { canary(c, 10, seconds(22)) }),
			common(shifted(asCanary, "", ten(22))),
		},
		"weighted": {
			weighted,
			common(func(c *config) {
				shifted(asCanary, "", &orchestratorpb.TrafficStep{Percent: 10, BakeTime: seconds(22), CapacityPercent: proto.Float64(10)})(c)
				c.TargetCapacity = orchestratorpb.TargetCapacity_TARGET_CAPACITY_TRAFFIC_WEIGHT
			}),
		},
		"named": {
			asked(func(c *config) { c.DeploymentConfigName = "CodeDeployDefault.ECSCanary10Percent5Minutes" }),
			common(shifted(asCanary, "CodeDeployDefault.ECSCanary10Percent5Minutes", ten(300))),
		},
		"steps": {stepwise, stepwise},
	}
}

// options is what goes with every traffic-shifting strategy.
func options(c *config) {
	c.TaskFailureLimit = &orchestratorpb.ThresholdConfiguration{Type: orchestratorpb.ThresholdConfiguration_TYPE_UNBOUNDED_PERCENT, Value: 41}
	c.DeploymentReadyOption = &orchestratorpb.DeploymentReadyOption{
		ActionOnTimeout: orchestratorpb.DeploymentReadyOption_ACTION_ON_TIMEOUT_STOP_DEPLOYMENT, WaitTime: seconds(42),
	}
	c.TerminateSourceOption = &orchestratorpb.TerminateSourceOption{
		Action: orchestratorpb.TerminateSourceOption_ACTION_TERMINATE, TerminationWaitTime: seconds(43),
	}
	c.AutoRollbackConfiguration = &orchestratorpb.AutoRollbackConfiguration{Enabled: true, Events: []orchestratorpb.AutoRollbackConfiguration_Event{
		orchestratorpb.AutoRollbackConfiguration_EVENT_DEPLOYMENT_FAILURE,
		orchestratorpb.AutoRollbackConfiguration_EVENT_DEPLOYMENT_STOP_ON_ALARM,
		orchestratorpb.AutoRollbackConfiguration_EVENT_DEPLOYMENT_STOP_ON_REQUEST,
	}}
}

func earlySuccess(deferred bool) *orchestratorpb.EarlySuccessCriteria {
	e := &orchestratorpb.EarlySuccessCriteria{
		Enable: true, HealthyPercent: proto.Int32(80),
		SourceServiceRevisionCleanup: orchestratorpb.EarlySuccessCriteria_SOURCE_SERVICE_REVISION_CLEANUP_BLOCKING,
	}
	if deferred {
		e.SourceServiceRevisionCleanup = orchestratorpb.EarlySuccessCriteria_SOURCE_SERVICE_REVISION_CLEANUP_DEFERRED
	}
	return e
}

// fullHooks is a hook at every stage that can have one, and a pause.
func fullHooks() []*orchestratorpb.LifecycleHook {
	details, err := structpb.NewStruct(map[string]any{"k": "v", "n": 1.5, "list": []any{true, nil}})
	if err != nil {
		panic(err)
	}
	call := &orchestratorpb.LifecycleHook{
		Hook: "check", HookDetails: details, Timeout: seconds(31), TimeoutAction: orchestratorpb.LifecycleHook_TIMEOUT_ACTION_CONTINUE,
		ReportBack: true, FirstStepOnly: true,
	}
	for _, s := range rollout.Stages() {
		if s.Hookable() {
			call.LifecycleStages = append(call.LifecycleStages, orchestratorpb.LifecycleStage(orchestratorpb.LifecycleStage_value["LIFECYCLE_STAGE_"+string(s)]))
		}
	}
	return []*orchestratorpb.LifecycleHook{call, {
		Pause: true, LifecycleStages: []orchestratorpb.LifecycleStage{preScaleUp}, Timeout: seconds(32),
		TimeoutAction: orchestratorpb.LifecycleHook_TIMEOUT_ACTION_ROLLBACK, Quorum: 2,
	}}
}

// fullServices is services that together set every field that a user can.
func fullServices() map[string]*orchestratorpb.Service {
	all := map[string]*orchestratorpb.Service{}
	for name, c := range fullConfigs() {
		all[name] = &orchestratorpb.Service{
			Cluster: "default", Name: name, TaskDefinition: "full:1", DesiredCount: 5, HealthCheckGracePeriod: seconds(6), DeploymentConfiguration: c[0],
			LoadBalancer: &orchestratorpb.LoadBalancer{
				TargetGroup: "web-a", AlternateTargetGroup: "web-b", ContainerName: "app", ContainerPort: 81, ProductionListener: "127.0.0.1:8080",
				TestListener: "127.0.0.1:8081", Algorithm: orchestratorpb.LoadBalancer_ALGORITHM_ROUND_ROBIN,
				ProtocolVersion: orchestratorpb.LoadBalancer_PROTOCOL_VERSION_GRPC, DeregistrationDelay: seconds(9),
				SlowStart: seconds(31), SettleDelay: seconds(32), FailOpen: new(false), MinimumHealthyTargetsCount: 2,
			},
			DeploymentConcurrency: &orchestratorpb.DeploymentConcurrency{Mode: orchestratorpb.DeploymentConcurrency_MODE_COALESCE},
		}
	}
	all["count"].LoadBalancer.ProtocolVersion = orchestratorpb.LoadBalancer_PROTOCOL_VERSION_HTTP2
	all["count"].DeploymentConcurrency = &orchestratorpb.DeploymentConcurrency{Mode: orchestratorpb.DeploymentConcurrency_MODE_QUEUE, QueueLimit: 7}
	all["bounded"].DeploymentConcurrency.Mode = orchestratorpb.DeploymentConcurrency_MODE_SUPERSEDE
	all["unbounded"].DeploymentConcurrency.Mode = orchestratorpb.DeploymentConcurrency_MODE_REJECT
	all["steps"].LoadBalancer.SlowStart = nil
	all["steps"].LoadBalancer.Algorithm = orchestratorpb.LoadBalancer_ALGORITHM_LEAST_OUTSTANDING_REQUESTS
	all["steps"].LoadBalancer.ProtocolVersion = orchestratorpb.LoadBalancer_PROTOCOL_VERSION_HTTP1
	return all
}
