package rollout

import (
	"slices"
	"testing"
	"time"
)

// ECS: BOUNDED_PERCENT is rounded up and lies in 3 to 200, UNBOUNDED_PERCENT is rounded up, COUNT is the value.
func TestThresholdFollowsTheDesiredCount(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind    ThresholdType
		value   int
		desired int
		want    int
	}{
		{BoundedPercent, 50, 1, 3},
		{BoundedPercent, 50, 4, 3},
		{BoundedPercent, 50, 6, 3},
		{BoundedPercent, 50, 7, 4},
		{BoundedPercent, 50, 10, 5},
		{BoundedPercent, 50, 25, 13},
		{BoundedPercent, 50, 400, 200},
		{BoundedPercent, 50, 800, 200},
		{BoundedPercent, 10, 100, 10},
		{UnboundedPercent, 50, 800, 400},
		{UnboundedPercent, 50, 1, 1},
		{UnboundedPercent, 1, 1, 1},
		{Count, 5, 800, 5},
		{Count, 1, 1, 1},
	} {
		if got := (Threshold{c.kind, c.value}).For(c.desired); got != c.want {
			t.Errorf("%s %d of %d: %d, want %d", c.kind, c.value, c.desired, got, c.want)
		}
	}
}

// ECS: the lower bound is rounded up, the upper one down.
func TestEnvelope(t *testing.T) {
	t.Parallel()
	for _, c := range [][5]int{ // desired, minimum healthy, maximum, lower, upper
		{4, 50, 100, 2, 4},
		{2, 75, 100, 2, 2},
		{4, 100, 200, 4, 8},
		{3, 100, 125, 3, 3},
		{1, 100, 200, 1, 2},
		{1, 50, 100, 1, 1},
		{1, 0, 100, 0, 1},
		{3, 66, 133, 2, 3},
		{10, 90, 110, 9, 11},
		{7, 50, 150, 4, 10},
		{0, 100, 200, 0, 0},
	} {
		if lower, upper := Envelope(c[0], c[1], c[2]); lower != c[3] || upper != c[4] {
			t.Errorf("%d at %d/%d %%: %d to %d, want %d to %d", c[0], c[1], c[2], lower, upper, c[3], c[4])
		}
	}
}

func TestStepsOfEachStrategy(t *testing.T) {
	t.Parallel()
	shares := func(steps []TrafficStep) []int {
		var list []int
		for _, s := range steps {
			list = append(list, s.Share)
		}
		return list
	}
	for _, c := range []struct {
		name  string
		steps []TrafficStep
		want  []int
	}{
		{"all at once", AllAtOnce(), []int{1000}},
		{"canary 5", CanarySteps(50, time.Minute), []int{50, 1000}},
		{"canary 0.1", CanarySteps(1, time.Minute), []int{1, 1000}},
		{"canary 100", CanarySteps(1000, time.Minute), []int{1000}},
		{"linear 25", LinearSteps(250, time.Minute), []int{250, 500, 750, 1000}},
		{"linear 30", LinearSteps(300, time.Minute), []int{300, 600, 900, 1000}},
		{"linear 33.3", LinearSteps(333, time.Minute), []int{333, 666, 999, 1000}},
		{"linear 100", LinearSteps(1000, time.Minute), []int{1000}},
		{"steps", CompleteSteps([]TrafficStep{{Share: 100}, {Share: 500}}), []int{100, 500, 1000}},
	} {
		if got := shares(c.steps); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if last := c.steps[len(c.steps)-1]; last.BakeTime != 0 {
			t.Errorf("%s: the last step bakes for %s", c.name, last.BakeTime)
		}
	}
	if n := len(LinearSteps(30, 0)); n != 34 {
		t.Errorf("linear 3 has %d steps, want 34", n)
	}
}

// CodeDeploy's five configurations for ECS: the minutes at which each share is reached.
func TestPredefinedConfigs(t *testing.T) {
	t.Parallel()
	want := map[string][][2]int{
		"CodeDeployDefault.ECSAllAtOnce":                    {{0, 100}},
		"CodeDeployDefault.ECSCanary10Percent5Minutes":      {{0, 10}, {5, 100}},
		"CodeDeployDefault.ECSCanary10Percent15Minutes":     {{0, 10}, {15, 100}},
		"CodeDeployDefault.ECSLinear10PercentEvery1Minutes": {{0, 10}, {1, 20}, {2, 30}, {3, 40}, {4, 50}, {5, 60}, {6, 70}, {7, 80}, {8, 90}, {9, 100}},
		"CodeDeployDefault.ECSLinear10PercentEvery3Minutes": {{0, 10}, {3, 20}, {6, 30}, {9, 40}, {12, 50}, {15, 60}, {18, 70}, {21, 80}, {24, 90}, {27, 100}},
	}
	all := PredefinedConfigs()
	if len(all) != len(want) {
		t.Fatalf("%d configurations, want %d", len(all), len(want))
	}
	for _, c := range all {
		var got [][2]int
		at := time.Duration(0)
		for _, s := range c.Steps {
			got = append(got, [2]int{int(at.Minutes()), s.Share / 10})
			at += s.BakeTime
		}
		if !slices.Equal(got, want[c.Name]) {
			t.Errorf("%s: %v, want %v", c.Name, got, want[c.Name])
		}
	}
}

func TestPercentsAreMultiplesOfATenth(t *testing.T) {
	t.Parallel()
	for value, valid := range map[float64]bool{0.1: true, 0.15: false, 5: true, 33.3: true, 33.33: false, 100: true, 100.1: false, 0: false} {
		_, _, broken := Shift{Strategy: Canary, Canary: &ShiftStep{Percent: &value}}.Resolve()
		if (len(broken) == 0) != valid {
			t.Errorf("canary %v %%: %v", value, broken)
		}
	}
	for value, valid := range map[float64]bool{0: false, 2.9: false, 3: true, 3.05: false, 50: true, 100: true} {
		_, _, broken := Shift{Strategy: Linear, Linear: &ShiftStep{Percent: &value}}.Resolve()
		if (len(broken) == 0) != valid {
			t.Errorf("linear %v %%: %v", value, broken)
		}
	}
}

// Every state is reachable from PENDING, and the terminal ones are the four that ECS calls completed.
func TestTransitionTable(t *testing.T) {
	t.Parallel()
	table := Transitions()
	reached := map[DeploymentState]bool{}
	var walk func(DeploymentState)
	walk = func(s DeploymentState) {
		if reached[s] {
			return
		}
		reached[s] = true
		for _, next := range table[s] {
			walk(next)
		}
	}
	walk(Pending)
	var terminal []DeploymentState
	for _, s := range DeploymentStates() {
		if _, known := table[s]; !known || !reached[s] {
			t.Errorf("%s is not in the table, or not reachable", s)
		}
		if s.Terminal() {
			terminal = append(terminal, s)
		}
	}
	if want := []DeploymentState{Successful, Stopped, RollbackSuccessful, RollbackFailed}; !slices.Equal(terminal, want) {
		t.Errorf("terminal states are %v, want %v", terminal, want)
	}
}

func TestValidateNamesFieldAndRule(t *testing.T) {
	t.Parallel()
	good := func() Spec {
		return Spec{DesiredCount: 1, Config: config(BlueGreen, nil), LoadBalancer: testLoadBalancer()}
	}
	if v := good().Validate(); len(v) > 0 {
		t.Fatal(v)
	}
	const in = "deployment_configuration."
	for field, change := range map[string]func(*Spec){
		in + "deployment_circuit_breaker":           func(s *Spec) { s.Config.CircuitBreaker.Enable = true },
		in + "bake_time":                            func(s *Spec) { s.Config.BakeTime = 25 * time.Hour },
		in + "alarms.alarm_names":                   func(s *Spec) { s.Config.Alarms.Enable = true },
		in + "lifecycle_hooks[0].hook":              func(s *Spec) { s.Config.Hooks = []Hook{{Timeout: time.Minute}} },
		in + "lifecycle_hooks[0].lifecycle_stages":  func(s *Spec) { s.Config.Hooks = []Hook{{Hook: "h", Timeout: time.Minute, Stages: []Stage{ScaleUp}}} },
		in + "lifecycle_hooks[0].timeout":           func(s *Spec) { s.Config.Hooks = []Hook{{Hook: "h", Timeout: 25 * time.Hour}} },
		"load_balancer.alternate_target_group":      func(s *Spec) { s.LoadBalancer.AlternateTargetGroup = "" },
		"load_balancer.test_listener":               func(s *Spec) { s.LoadBalancer.TestListener = s.LoadBalancer.ProductionListener },
		in + "steps_configuration.steps[1].percent": func(s *Spec) { s.Config.Steps = []TrafficStep{{Share: 1000}, {Share: 1000}} },
		"health_check_grace_period":                 func(s *Spec) { s.HealthCheckGracePeriod = -1 },
	} {
		s := good()
		change(&s)
		v := s.Validate()
		if len(v) != 1 || v[0].Field != field {
			t.Errorf("%s: %v", field, v)
		}
	}
	pause := good()
	pause.Config.Hooks = []Hook{{Pause: true, Timeout: time.Minute, Stages: []Stage{ProductionTrafficShift}}}
	if v := pause.Validate(); len(v) != 1 {
		t.Errorf("a pause at a shift stage: %v", v)
	}
	rolling := good()
	rolling.Config = config(Rolling, func(c *Config) { c.Hooks = []Hook{{Hook: "h", Timeout: time.Minute}} })
	if v := rolling.Validate(); len(v) != 1 {
		t.Errorf("a hook of a rolling deployment: %v", v)
	}
}
