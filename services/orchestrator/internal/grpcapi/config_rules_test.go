package grpcapi_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

type config = orchestratorpb.DeploymentConfiguration

func blueGreen(c *config) { c.Strategy = orchestratorpb.DeploymentConfiguration_STRATEGY_BLUE_GREEN }

func hook(stage orchestratorpb.LifecycleStage) *orchestratorpb.LifecycleHook {
	return &orchestratorpb.LifecycleHook{Hook: "check", LifecycleStages: []orchestratorpb.LifecycleStage{stage}}
}

func steps(c *config, steps ...*orchestratorpb.TrafficStep) {
	c.Strategy = orchestratorpb.DeploymentConfiguration_STRATEGY_STEPS
	c.StepsConfiguration = &orchestratorpb.StepsConfiguration{Steps: steps}
}

func linear(c *config, percent float64, bake *durationpb.Duration) {
	c.Strategy = orchestratorpb.DeploymentConfiguration_STRATEGY_LINEAR
	c.LinearConfiguration = &orchestratorpb.LinearConfiguration{StepPercent: &percent, StepBakeTime: bake}
}

func canary(c *config, percent float64, bake *durationpb.Duration) {
	c.Strategy = orchestratorpb.DeploymentConfiguration_STRATEGY_CANARY
	c.CanaryConfiguration = &orchestratorpb.CanaryConfiguration{CanaryPercent: &percent, CanaryBakeTime: bake}
}

const preScaleUp = orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_PRE_SCALE_UP

// shiftRules are the rules of traffic shifts, which a named deployment configuration has too.
func shiftRules() []rule[*config] {
	return []rule[*config]{
		{"linear_configuration", "LINEAR alone", func(c *config) {
			blueGreen(c)
			c.LinearConfiguration = &orchestratorpb.LinearConfiguration{StepPercent: new(10.0)}
		}},
		{"canary_configuration", "CANARY alone", func(c *config) {
			blueGreen(c)
			c.CanaryConfiguration = &orchestratorpb.CanaryConfiguration{CanaryPercent: new(10.0)}
		}},
		{"steps_configuration", "STEPS alone", func(c *config) {
			steps(c, &orchestratorpb.TrafficStep{Percent: 10})
			blueGreen(c)
		}},
		{"steps_configuration", "needed", func(c *config) { c.Strategy = orchestratorpb.DeploymentConfiguration_STRATEGY_STEPS }},
		{"linear_configuration.step_percent", "from 3 to 100", func(c *config) { linear(c, 2.9, nil) }},
		{"linear_configuration.step_percent", "multiple of 0.1", func(c *config) { linear(c, 10.05, nil) }},
		{"linear_configuration.step_bake_time", "24h", func(c *config) { linear(c, 10, seconds(86401)) }},
		{"linear_configuration.step_bake_time", "0s to", func(c *config) { linear(c, 10, seconds(-1)) }},
		{"canary_configuration.canary_percent", "from 0.1 to 100", func(c *config) { canary(c, 0.04, nil) }},
		{"canary_configuration.canary_percent", "multiple of 0.1", func(c *config) { canary(c, 0.15, nil) }},
		{"canary_configuration.canary_bake_time", "24h", func(c *config) { canary(c, 10, seconds(86401)) }},
		{"canary_configuration.canary_bake_time", "0s to", func(c *config) { canary(c, 10, seconds(-1)) }},
		{"steps_configuration.steps[1].percent", "multiple of 0.1", func(c *config) {
			steps(c, &orchestratorpb.TrafficStep{Percent: 10}, &orchestratorpb.TrafficStep{Percent: 20.01})
		}},
		{"steps_configuration.steps[1].percent", "more than the step before", func(c *config) {
			steps(c, &orchestratorpb.TrafficStep{Percent: 10}, &orchestratorpb.TrafficStep{Percent: 10})
		}},
		{"steps_configuration.steps[1].bake_time", "24h", func(c *config) {
			steps(c, &orchestratorpb.TrafficStep{Percent: 10}, &orchestratorpb.TrafficStep{Percent: 20, BakeTime: seconds(86401)})
		}},
		{"steps_configuration.steps[0].bake_time", "0s to", func(c *config) { steps(c, &orchestratorpb.TrafficStep{Percent: 10, BakeTime: seconds(-1)}) }},
	}
}

// configRules are the rules of a deployment configuration.
func configRules() []rule[*config] {
	hooked := func(change func(*orchestratorpb.LifecycleHook)) func(*config) {
		return func(c *config) {
			blueGreen(c)
			h := hook(preScaleUp)
			change(h)
			c.LifecycleHooks = []*orchestratorpb.LifecycleHook{hook(preScaleUp), h}
		}
	}
	at := func(stage orchestratorpb.LifecycleStage, pause bool) func(*config) {
		return hooked(func(h *orchestratorpb.LifecycleHook) {
			h.LifecycleStages[0] = stage
			if pause {
				h.Pause, h.Hook = true, ""
			}
		})
	}
	threshold := func(kind orchestratorpb.ThresholdConfiguration_Type, value int32) func(*config) {
		return func(c *config) {
			c.DeploymentCircuitBreaker = &orchestratorpb.DeploymentCircuitBreaker{
				Enable: true, ThresholdConfiguration: &orchestratorpb.ThresholdConfiguration{Type: kind, Value: value},
			}
		}
	}
	const value = "deployment_circuit_breaker.threshold_configuration.value"
	return append(shiftRules(), []rule[*config]{
		{"bake_time", "24h", func(c *config) { c.BakeTime = seconds(86401) }},
		{"bake_time", "0s to", func(c *config) { c.BakeTime = seconds(-1) }},
		{"scale_up_timeout", "24h", func(c *config) { c.ScaleUpTimeout = seconds(86401) }},
		{"scale_up_timeout", "1s to", func(c *config) { c.ScaleUpTimeout = seconds(0.5) }},
		{"rollback_timeout", "24h", func(c *config) { c.RollbackTimeout = seconds(86401) }},
		{"rollback_timeout", "1s to", func(c *config) { c.RollbackTimeout = seconds(0.5) }},
		{"minimum_healthy_time", "1h", func(c *config) { c.MinimumHealthyTime = seconds(3601) }},
		{"minimum_healthy_time", "0s to", func(c *config) { c.MinimumHealthyTime = seconds(-1) }},
		{"deployment_circuit_breaker", "ROLLING alone", func(c *config) {
			blueGreen(c)
			c.DeploymentCircuitBreaker = &orchestratorpb.DeploymentCircuitBreaker{Enable: true}
		}},
		{value, "1 to 100", threshold(orchestratorpb.ThresholdConfiguration_TYPE_UNSPECIFIED, 101)},
		{value, "1 to 100", threshold(orchestratorpb.ThresholdConfiguration_TYPE_BOUNDED_PERCENT, 101)},
		{value, "1 to 100", threshold(orchestratorpb.ThresholdConfiguration_TYPE_UNBOUNDED_PERCENT, 101)},
		{"alarms.alarm_names", "name an alarm", func(c *config) { c.Alarms = &orchestratorpb.DeploymentAlarms{Enable: true} }},
		{"lifecycle_hooks", "no lifecycle stages", func(c *config) { c.LifecycleHooks = []*orchestratorpb.LifecycleHook{hook(preScaleUp)} }},
		{"lifecycle_hooks", "10", func(c *config) {
			blueGreen(c)
			for range 11 {
				c.LifecycleHooks = append(c.LifecycleHooks, hook(preScaleUp))
			}
		}},
		{"lifecycle_hooks[1].hook", "not both", hooked(func(h *orchestratorpb.LifecycleHook) { h.Pause = true })},
		{"lifecycle_hooks[1].hook", "must be set", hooked(func(h *orchestratorpb.LifecycleHook) { h.Hook = "" })},
		{"lifecycle_hooks[1].timeout", "24h", hooked(func(h *orchestratorpb.LifecycleHook) { h.Timeout = seconds(86401) })},
		{"lifecycle_hooks[1].timeout", "1s to", hooked(func(h *orchestratorpb.LifecycleHook) { h.Timeout = seconds(0.9) })},
		{"lifecycle_hooks[1].timeout", "336h", hooked(func(h *orchestratorpb.LifecycleHook) {
			h.Hook, h.Pause, h.Timeout = "", true, seconds(14*86400+1)
		})},
		{"lifecycle_hooks[1].lifecycle_stages", "SCALE_UP", at(orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_SCALE_UP, false)},
		{"lifecycle_hooks[1].lifecycle_stages", "BAKE_TIME", at(orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_BAKE_TIME, false)},
		{"lifecycle_hooks[1].lifecycle_stages", "CLEAN_UP", at(orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_CLEAN_UP, false)},
		{"lifecycle_hooks[1].lifecycle_stages", "no pause", at(orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_TEST_TRAFFIC_SHIFT, true)},
		{"lifecycle_hooks[1].lifecycle_stages", "no pause", at(orchestratorpb.LifecycleStage_LIFECYCLE_STAGE_PRODUCTION_TRAFFIC_SHIFT, true)},
		{"lifecycle_hooks[1].hook_details", "JSON", hooked(func(h *orchestratorpb.LifecycleHook) {
			h.HookDetails = &structpb.Struct{Fields: map[string]*structpb.Value{"empty": {}}}
		})},
		{"strategy", "is LINEAR", func(c *config) {
			c.Strategy, c.DeploymentConfigName = orchestratorpb.DeploymentConfiguration_STRATEGY_LINEAR, "CodeDeployDefault.ECSAllAtOnce"
		}},
		{"deployment_config_name", "unset", func(c *config) {
			linear(c, 10, nil)
			c.DeploymentConfigName = "CodeDeployDefault.ECSLinear10PercentEvery1Minutes"
		}},
	}...)
}

// The rules of a deployment configuration hold wherever one is sent, under the name it has there.
func TestTheRulesOfDeploymentConfigurations(t *testing.T) {
	t.Parallel()
	e := serve(t)
	service := e.web()
	e.create(service)
	e.finish("web")
	before := e.dump()
	for _, c := range configRules() {
		bad := &config{}
		c.change(bad)
		create := proto.CloneOf(service)
		create.Name, create.DeploymentConfiguration = "new", bad
		_, err := e.Services.CreateService(e.ctx(), &orchestratorpb.CreateServiceRequest{Service: create})
		names(t, "CreateService", err, "service.deployment_configuration."+c.field, c.word)
		_, err = e.Services.UpdateService(e.ctx(), &orchestratorpb.UpdateServiceRequest{
			Service: &orchestratorpb.Service{Name: "web", DeploymentConfiguration: bad},
		})
		names(t, "UpdateService", err, "service.deployment_configuration."+c.field, c.word)
		_, err = e.Deployments.CreateDeployment(e.ctx(), &orchestratorpb.CreateDeploymentRequest{Service: "web", DeploymentConfiguration: bad})
		names(t, "CreateDeployment", err, "deployment_configuration."+c.field, c.word)
		_, err = e.Deployments.PlanDeployment(e.ctx(), &orchestratorpb.PlanDeploymentRequest{Service: "web", DeploymentConfiguration: bad})
		names(t, "PlanDeployment", err, "deployment_configuration."+c.field, c.word)
	}
	for _, c := range shiftRules() {
		bad := &config{}
		c.change(bad)
		_, err := e.Configs.CreateDeploymentConfig(e.ctx(), &orchestratorpb.CreateDeploymentConfigRequest{DeploymentConfig: &orchestratorpb.DeploymentConfig{
			Name: "custom", Strategy: bad.GetStrategy(), LinearConfiguration: bad.GetLinearConfiguration(),
			CanaryConfiguration: bad.GetCanaryConfiguration(), StepsConfiguration: bad.GetStepsConfiguration(),
		}})
		names(t, "CreateDeploymentConfig", err, "deployment_config."+c.field, c.word)
	}
	if after := e.dump(); after != before {
		t.Errorf("refused requests changed\n%s\nto\n%s", before, after)
	}
}
