package grpcapi_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

const (
	asBlueGreen = orchestratorpb.DeploymentConfiguration_STRATEGY_BLUE_GREEN
	asLinear    = orchestratorpb.DeploymentConfiguration_STRATEGY_LINEAR
	asCanary    = orchestratorpb.DeploymentConfiguration_STRATEGY_CANARY
	asSteps     = orchestratorpb.DeploymentConfiguration_STRATEGY_STEPS
)

// predefined is CodeDeploy's five configurations for ECS.
func predefined() []*orchestratorpb.DeploymentConfig {
	linear := func(minutes float64) *orchestratorpb.LinearConfiguration {
		return &orchestratorpb.LinearConfiguration{StepPercent: new(10.0), StepBakeTime: seconds(60 * minutes)}
	}
	canary := func(minutes float64) *orchestratorpb.CanaryConfiguration {
		return &orchestratorpb.CanaryConfiguration{CanaryPercent: new(10.0), CanaryBakeTime: seconds(60 * minutes)}
	}
	return []*orchestratorpb.DeploymentConfig{
		{Name: "CodeDeployDefault.ECSAllAtOnce", Strategy: asBlueGreen},
		{Name: "CodeDeployDefault.ECSCanary10Percent15Minutes", Strategy: asCanary, CanaryConfiguration: canary(15)},
		{Name: "CodeDeployDefault.ECSCanary10Percent5Minutes", Strategy: asCanary, CanaryConfiguration: canary(5)},
		{Name: "CodeDeployDefault.ECSLinear10PercentEvery1Minutes", Strategy: asLinear, LinearConfiguration: linear(1)},
		{Name: "CodeDeployDefault.ECSLinear10PercentEvery3Minutes", Strategy: asLinear, LinearConfiguration: linear(3)},
	}
}

func (e *env) configs() []*orchestratorpb.DeploymentConfig {
	e.t.Helper()
	resp, err := e.Configs.ListDeploymentConfigs(e.t.Context(), &orchestratorpb.ListDeploymentConfigsRequest{})
	if err != nil {
		e.t.Fatal(err)
	}
	return resp.GetDeploymentConfigs()
}

func same(t *testing.T, got, want []*orchestratorpb.DeploymentConfig) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d configurations, want %d: %v", len(got), len(want), got)
	}
	for i := range want {
		if !proto.Equal(got[i], want[i]) {
			t.Errorf("%v, want %v", got[i], want[i])
		}
	}
}

func TestTheFiveOfCodeDeployAreThereAndStay(t *testing.T) {
	t.Parallel()
	e := serve(t)
	same(t, e.configs(), predefined())
	for _, c := range append(predefined(), &orchestratorpb.DeploymentConfig{Name: "CodeDeployDefault.Mine", Strategy: asBlueGreen}) {
		_, err := e.Configs.CreateDeploymentConfig(e.ctx(), &orchestratorpb.CreateDeploymentConfigRequest{DeploymentConfig: c})
		names(t, c.GetName(), err, "deployment_config.name", "built in")
	}
	same(t, e.configs(), predefined())
	// What is created and listed only can be neither changed nor deleted.
	methods := methodNamed("CreateDeploymentConfig").Parent().(protoreflect.ServiceDescriptor).Methods()
	if n := methods.Len(); n != 2 {
		t.Errorf("DeploymentConfigService has %d methods: test what the new ones do to the five", n)
	}
}

func TestACustomConfigurationIsKeptAndUsed(t *testing.T) {
	t.Parallel()
	e := serve(t)
	custom := []*orchestratorpb.DeploymentConfig{
		{Name: "all-at-once", Strategy: asBlueGreen},
		{Name: "canary-1", Strategy: asCanary, CanaryConfiguration: &orchestratorpb.CanaryConfiguration{CanaryPercent: new(1.5), CanaryBakeTime: seconds(90)}},
		{Name: "canary-default", Strategy: asCanary},
		{Name: "linear-40", Strategy: asLinear, LinearConfiguration: &orchestratorpb.LinearConfiguration{StepPercent: new(40.0), StepBakeTime: seconds(0)}},
		{Name: "steps", Strategy: asSteps, StepsConfiguration: &orchestratorpb.StepsConfiguration{Steps: []*orchestratorpb.TrafficStep{
			{Percent: 0.1, BakeTime: seconds(1), Pause: true}, {Percent: 60},
		}}},
	}
	for _, c := range custom {
		resp := must[*orchestratorpb.CreateDeploymentConfigResponse](t)(e.Configs.CreateDeploymentConfig(e.ctx(),
			&orchestratorpb.CreateDeploymentConfigRequest{DeploymentConfig: c}))
		if !proto.Equal(resp.GetDeploymentConfig(), c) {
			t.Errorf("%v, want %v", resp.GetDeploymentConfig(), c)
		}
		_, err := e.Configs.CreateDeploymentConfig(e.ctx(), &orchestratorpb.CreateDeploymentConfigRequest{DeploymentConfig: c})
		refused(t, "the same name again", err, problem.AlreadyExists, "ALREADY_EXISTS")
	}
	same(t, e.configs(), append(predefined(), custom...))
	for name, strategy := range map[string]orchestratorpb.DeploymentConfiguration_Strategy{
		"unset": orchestratorpb.DeploymentConfiguration_STRATEGY_UNSPECIFIED, "rolling": orchestratorpb.DeploymentConfiguration_STRATEGY_ROLLING,
	} {
		_, err := e.Configs.CreateDeploymentConfig(e.ctx(), &orchestratorpb.CreateDeploymentConfigRequest{
			DeploymentConfig: &orchestratorpb.DeploymentConfig{Name: name, Strategy: strategy},
		})
		names(t, name, err, "deployment_config.strategy", "BLUE_GREEN")
	}
	e.create(e.web())
	e.finish("web")
	for _, c := range append(named(custom), named(predefined())...) {
		plan := must[*orchestratorpb.PlanDeploymentResponse](t)(e.Deployments.PlanDeployment(e.ctx(), &orchestratorpb.PlanDeploymentRequest{
			Service: "web", DeploymentConfiguration: &config{DeploymentConfigName: c.name},
		}))
		got := plan.GetDeploymentConfiguration()
		if got.GetDeploymentConfigName() != c.name || got.GetStrategy() != c.strategy || !proto.Equal(got.GetStepsConfiguration(), c.steps) {
			t.Errorf("%s is resolved to %v, want %v %v", c.name, got, c.strategy, c.steps)
		}
		with := &config{DeploymentConfigName: c.name, Strategy: c.strategy}
		if _, err := e.Deployments.PlanDeployment(e.ctx(), &orchestratorpb.PlanDeploymentRequest{Service: "web", DeploymentConfiguration: with}); err != nil {
			t.Errorf("%s with its own strategy: %v", c.name, err)
		}
	}
}

type resolved struct {
	name     string
	strategy orchestratorpb.DeploymentConfiguration_Strategy
	steps    *orchestratorpb.StepsConfiguration
}

// named is what each configuration means: traffic steps that end with 100 percent.
func named(configs []*orchestratorpb.DeploymentConfig) []resolved {
	var all []resolved
	for _, c := range configs {
		steps := &orchestratorpb.StepsConfiguration{}
		add := func(percent, bake float64, pause bool) {
			steps.Steps = append(steps.Steps, &orchestratorpb.TrafficStep{Percent: percent, BakeTime: seconds(bake), Pause: pause})
		}
		switch canary, linear := c.GetCanaryConfiguration(), c.GetLinearConfiguration(); {
		case canary != nil:
			add(canary.GetCanaryPercent(), canary.GetCanaryBakeTime().AsDuration().Seconds(), false)
		case c.GetStrategy() == asCanary:
			add(5, 600, false)
		case linear != nil:
			for at := linear.GetStepPercent(); at < 100; at += linear.GetStepPercent() {
				add(at, linear.GetStepBakeTime().AsDuration().Seconds(), false)
			}
		}
		for _, s := range c.GetStepsConfiguration().GetSteps() {
			add(s.GetPercent(), s.GetBakeTime().AsDuration().Seconds(), s.GetPause())
		}
		add(100, 0, false)
		all = append(all, resolved{c.GetName(), c.GetStrategy(), steps})
	}
	return all
}

// A rolling deployment that looks at alarms gives them time to go off, unless it is told how much.
func TestTheBakeTimeOfARollingDeploymentWithAlarms(t *testing.T) {
	t.Parallel()
	e := serve(t)
	for want, c := range map[float64]*config{
		300: {Alarms: &orchestratorpb.DeploymentAlarms{AlarmNames: []string{"a"}, Enable: true}},
		0:   {Alarms: &orchestratorpb.DeploymentAlarms{AlarmNames: []string{"a"}, Enable: true}, BakeTime: seconds(0)},
		7:   {Alarms: &orchestratorpb.DeploymentAlarms{AlarmNames: []string{"a"}, Enable: true}, BakeTime: seconds(7)},
	} {
		plan := must[*orchestratorpb.PlanDeploymentResponse](t)(e.Deployments.PlanDeployment(e.ctx(), &orchestratorpb.PlanDeploymentRequest{
			DesiredCount: new(int32(1)), DeploymentConfiguration: c,
		}))
		if got := plan.GetDeploymentConfiguration().GetBakeTime().AsDuration().Seconds(); got != want {
			t.Errorf("bake time %v s, want %v s", got, want)
		}
	}
}
