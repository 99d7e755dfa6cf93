package words

import (
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// Strategy is how a deployment goes, in one line: "CANARY 10 % (5m), 100 %, bake time 10m".
func Strategy(c *orchestratorpb.DeploymentConfiguration) string {
	if c == nil {
		return "-"
	}
	parts := []string{StrategyName(c)}
	if name := c.GetDeploymentConfigName(); name != "" {
		parts[0] += " " + Clean(name)
	}
	if steps := steps(c); steps != "" {
		parts[0] += " " + steps
	}
	if bake := c.GetBakeTime(); bake.AsDuration() > 0 {
		parts = append(parts, "bake time "+Length(bake))
	}
	return strings.Join(parts, ", ")
}

// StrategyName is the strategy alone; not set is ROLLING, as in the contract.
func StrategyName(c *orchestratorpb.DeploymentConfiguration) string {
	if name := Enum(c.GetStrategy()); name != "" {
		return name
	}
	return Enum(orchestratorpb.DeploymentConfiguration_STRATEGY_ROLLING)
}

// given is a percent, or the default when there is none.
func given(percent *float64, otherwise float64) float64 {
	if percent == nil {
		return otherwise
	}
	return *percent
}

// steps is the way that production traffic goes.
func steps(c *orchestratorpb.DeploymentConfiguration) string {
	switch {
	case c.GetLinearConfiguration() != nil:
		l := c.GetLinearConfiguration()
		return Percent(given(l.StepPercent, 10)) + pauses(l.GetStepBakeTime(), "every ")
	case c.GetCanaryConfiguration() != nil:
		l := c.GetCanaryConfiguration()
		return Percent(given(l.CanaryPercent, 5)) + pauses(l.GetCanaryBakeTime(), "") + ", 100 %"
	}
	var list []string
	for _, s := range c.GetStepsConfiguration().GetSteps() {
		text := Percent(s.GetPercent()) + pauses(s.GetBakeTime(), "")
		if s.GetPause() {
			text += " (pause)"
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}

func pauses(bake *durationpb.Duration, word string) string {
	if bake.AsDuration() == 0 {
		return ""
	}
	return " (" + word + Length(bake) + ")"
}
