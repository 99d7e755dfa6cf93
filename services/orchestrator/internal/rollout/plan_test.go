package rollout

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func imagined(t *testing.T, c Config, desired int) State {
	t.Helper()
	s, err := Imagined(c, desired, epoch)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// told is a plan as text, for the golden files.
func told(p Plan) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	for _, s := range p.Steps {
		line("%8s %8s  %-29s %d  %5s%% %5s%%  %2d old %2d new  %s: %s", s.Offset, s.Expected, s.Stage, s.Step,
			percent(s.ProductionWeight), percent(s.TestWeight), s.SourceTasks, s.TargetTasks, s.Event, s.Description)
	}
	line("")
	for _, s := range p.Stages {
		open := ""
		if s.Open {
			open = " and on"
		}
		line("%8s-%-8s %8s-%-8s %-29s %d  %5s%%  %2d old %2d new  bakes %s%s", s.Start, s.End, s.ExpectedStart, s.ExpectedEnd, s.Stage, s.Step,
			percent(s.ProductionWeight), s.SourceTasks, s.TargetTasks, s.BakeTime, open)
		for _, c := range s.Calls {
			line("%30s at %s, expected %s, within %s, then %q, %d people", c.ID, c.Offset, c.Expected, c.Timeout, c.Then, c.Quorum)
		}
	}
	line("\ntakes %s, expected %s, endless %t; waits for people %d times; at most %d tasks", p.Duration, p.Expected, p.Endless, p.Pauses, p.PeakTasks)
	line("envelope %d to %d, stop first %d, start first %d, deadlock %t %s", p.LowerBound, p.UpperBound, p.MayStop, p.MayStart, p.Deadlock, p.DeadlockReason)
	line("fails at %d, early success at %d, weights %v, %d bake, back to %q", p.FailureThreshold, p.Required, p.Weights, p.StepBakes, p.RollbackRevision)
	for _, f := range p.Failures {
		line("%-16s %s -> %s", f.Cause, f.Description, f.Then)
	}
	for _, w := range p.Warnings {
		line("warning: %s", w)
	}
	return b.String()
}

// Each file in testdata is a plan, as a reviewer reads it: go test -rewrite.
func TestPlans(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]State{
		"plan_rolling":  imagined(t, config(Rolling, func(c *Config) { breaks(c); c.BakeTime = time.Minute }), 4),
		"plan_deadlock": imagined(t, config(Rolling, func(c *Config) { c.MaximumPercent = 125 }), 3),
		"plan_steps": imagined(t, config(Steps, func(c *Config) {
			c.Steps[0].Pause, c.Steps[0].Capacity, c.Steps[1].Capacity = true, 100, 500
			c.ReadyWait, c.TerminationWait = time.Hour, 2*time.Hour
		}), 10),
		"plan_blue_green": imagined(t, config(BlueGreen, func(c *Config) {
			c.BakeTime = 5 * time.Minute
			c.Alarms.Names, c.Alarms.Enable, c.Alarms.Rollback = []string{"web-5xx"}, true, false
			c.Hooks = []Hook{
				{Hook: "smoke", Stages: []Stage{PostTestTrafficShift}, Timeout: time.Hour, TimeoutAction: OnTimeoutRollback, ReportBack: true},
				{Pause: true, Stages: []Stage{PreProductionTrafficShift}, Timeout: 30 * time.Minute, TimeoutAction: OnTimeoutContinue, Quorum: 2},
			}
		}), 2),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := MakePlan(s, epoch, DefaultTaskStart)
			got := told(p)
			if again := told(MakePlan(s, epoch, DefaultTaskStart)); again != got {
				t.Errorf("planned twice:\n%s\n%s", got, again)
			}
			golden(t, filepath.Join("testdata", name+".txt"), got)
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s", file, got)
	}
}

// The rows of ECS's documentation, and what follows from them.
func TestAPlanTellsTheEnvelope(t *testing.T) {
	t.Parallel()
	for _, r := range []struct{ desired, least, most, lower, upper, stop, start int }{
		{4, 50, 100, 2, 4, 2, 0},
		{2, 75, 100, 2, 2, 0, 0},
		{4, 100, 200, 4, 8, 0, 4},
		{3, 100, 125, 3, 3, 0, 0},
		{1, 100, 200, 1, 2, 0, 1},
		{1, 50, 100, 1, 1, 0, 0},
		{1, 0, 100, 0, 1, 1, 0},
		{3, 66, 133, 2, 3, 1, 0},
		{10, 90, 110, 9, 11, 1, 1},
		{7, 50, 150, 4, 10, 3, 3},
		{0, 100, 200, 0, 0, 0, 0},
	} {
		c := config(Rolling, func(c *Config) { c.MinimumHealthyPercent, c.MaximumPercent = r.least, r.most })
		p := MakePlan(imagined(t, c, r.desired), epoch, 0)
		deadlock := r.desired > 0 && r.stop+r.start == 0
		if p.LowerBound != r.lower || p.UpperBound != r.upper || p.MayStop != r.stop || p.MayStart != r.start || p.Deadlock != deadlock {
			t.Errorf("%+v: %+v", r, p)
		}
		if p.Endless != deadlock || (p.DeadlockReason != "") != deadlock || p.PeakTasks > max(r.upper, r.desired) {
			t.Errorf("%+v: endless %t, %q, %d tasks", r, p.Endless, p.DeadlockReason, p.PeakTasks)
		}
	}
}

// CodeDeploy's configurations shift at these minutes.
func TestAPlanTellsWhenTrafficMoves(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"CodeDeployDefault.ECSAllAtOnce":                    "0:100",
		"CodeDeployDefault.ECSCanary10Percent5Minutes":      "0:10 5:100",
		"CodeDeployDefault.ECSCanary10Percent15Minutes":     "0:10 15:100",
		"CodeDeployDefault.ECSLinear10PercentEvery1Minutes": "0:10 1:20 2:30 3:40 4:50 5:60 6:70 7:80 8:90 9:100",
		"CodeDeployDefault.ECSLinear10PercentEvery3Minutes": "0:10 3:20 6:30 9:40 12:50 15:60 18:70 21:80 24:90 27:100",
	}
	for _, named := range PredefinedConfigs() {
		c := config(named.Strategy, func(c *Config) { c.Steps = named.Steps })
		p := MakePlan(imagined(t, c, 2), epoch, time.Minute)
		for what, offset := range map[string]func(PlanStep) time.Duration{
			"earliest": func(s PlanStep) time.Duration { return s.Offset },
			"expected": func(s PlanStep) time.Duration { return s.Expected - time.Minute },
		} {
			var moves []string
			for _, s := range p.Steps {
				if s.Event == EventTrafficShifted {
					moves = append(moves, fmt.Sprintf("%g:%s", offset(s).Minutes(), percent(s.ProductionWeight)))
				}
			}
			if got := strings.Join(moves, " "); got != want[named.Name] {
				t.Errorf("%s, %s: %s, want %s", named.Name, what, got, want[named.Name])
			}
		}
		if p.Expected-p.Duration != time.Minute {
			t.Errorf("%s: takes %s, expected %s", named.Name, p.Duration, p.Expected)
		}
	}
}

func TestAPlanTellsTheWeightsOfLinearSteps(t *testing.T) {
	t.Parallel()
	for share, want := range map[int][]int{
		100: {100, 200, 300, 400, 500, 600, 700, 800, 900, 1000}, 250: {250, 500, 750, 1000}, 300: {300, 600, 900, 1000},
		333: {333, 666, 999, 1000}, 1000: {1000},
	} {
		c := config(Linear, func(c *Config) { c.Steps = LinearSteps(share, time.Minute) })
		p := MakePlan(imagined(t, c, 1), epoch, 0)
		if !slices.Equal(p.Weights, want) || p.StepBakes != len(want)-1 || p.Duration != time.Duration(p.StepBakes)*time.Minute {
			t.Errorf("%s: %v, %d bake, takes %s", percent(share), p.Weights, p.StepBakes, p.Duration)
		}
	}
}

// What tasks needed is measured on those that are healthy: until they were, or until they ran when nothing checks them.
func TestTaskStartIsTheMedianOfTheTasksThatAreHealthy(t *testing.T) {
	t.Parallel()
	task := func(running, healthy int) Task {
		return Task{
			CreateTime: epoch, RunningTime: epoch.Add(time.Duration(running) * time.Second),
			HealthyTime: epoch.Add(time.Duration(healthy) * time.Second), Healthy: true,
		}
	}
	sick := Task{CreateTime: epoch, RunningTime: epoch}
	list := []Task{task(1, 41), task(3, 60), task(2, 42), sick}
	for group, want := range map[string]time.Duration{"": 2 * time.Second, "blue": 42 * time.Second} {
		got, samples := TaskStart(Service{TaskSets: []TaskSet{{TargetGroup: group, Tasks: list}}})
		if got != want || samples != 3 {
			t.Errorf("in target group %q: %s of %d, want %s of 3", group, got, samples, want)
		}
	}
	if _, samples := TaskStart(Service{TaskSets: []TaskSet{{Tasks: []Task{sick}}}}); samples != 0 {
		t.Errorf("measured on %d tasks that are not healthy", samples)
	}
	if _, samples := TaskStart(imagined(t, DefaultConfig(), 3).Service); samples != 0 {
		t.Errorf("measured on %d tasks that nobody ever started", samples)
	}
}

// What would be done about a failure follows from who may be returned to, and from CodeDeploy's auto rollback.
func TestAPlanTellsWhatWouldRollItBackToWhat(t *testing.T) {
	t.Parallel()
	of := func(s State) map[FailureCause]PlanFailure {
		all := map[FailureCause]PlanFailure{}
		for _, f := range MakePlan(s, epoch, 0).Failures {
			all[f.Cause] = f
		}
		return all
	}
	shift := config(Canary, func(c *Config) { c.Alarms.Enable, c.Alarms.Names = true, []string{"a"} })
	got := of(imagined(t, shift, 4))
	if f := got[FailTasks]; !f.Rollback || f.Revision != "default/imagined/1" || f.OwnDeployment {
		t.Errorf("%+v", f)
	}
	if f := got[FailAlarm]; f.Rollback || !strings.Contains(f.Then, "stays as") && !strings.Contains(f.Then, "stay as") {
		t.Errorf("alarms without rollback: %+v", f)
	}
	shift.AutoRollback = &AutoRollback{Enabled: true, Events: []RollbackEvent{OnStopOnAlarm}}
	got = of(imagined(t, shift, 4))
	if f := got[FailTasks]; f.Rollback {
		t.Errorf("no DEPLOYMENT_FAILURE: %+v", f)
	}
	if f := got[FailAlarm]; !f.Rollback || !f.OwnDeployment {
		t.Errorf("DEPLOYMENT_STOP_ON_ALARM: %+v", f)
	}
	first := imagined(t, config(Rolling, breaks), 4)
	first.Service.Completed = nil
	if f := of(first)[FailTasks]; f.Rollback || !strings.Contains(f.Then, "nothing to return to") {
		t.Errorf("%+v", f)
	}
	same := imagined(t, config(Rolling, breaks), 4)
	same.Deployment.Target.TaskDefinition = same.Service.Completed.Revision.TaskDefinition
	if p := MakePlan(same, epoch, 0); p.RollbackRevision != "" || len(p.Warnings) != 1 || p.Failures[0].Rollback {
		t.Errorf("returns to what fails alike: %q, %v", p.RollbackRevision, p.Warnings)
	}
}

// A plan of the largest service that the contract takes, one percent at a time.
func TestAPlanOfALargeServiceEnds(t *testing.T) {
	t.Parallel()
	c := config(Rolling, func(c *Config) { c.MinimumHealthyPercent, c.MaximumPercent = 99, 100 })
	if p := MakePlan(imagined(t, c, 1000), epoch, time.Second); p.Endless || p.Expected != 100*time.Second || p.PeakTasks != 1000 {
		t.Errorf("endless %t, takes %s, %d tasks", p.Endless, p.Expected, p.PeakTasks)
	}
}
