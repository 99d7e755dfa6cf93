package rollout

import (
	"slices"
	"time"
)

// Plan is what a deployment would do in an ideal world, found by running Decide against one.
type Plan struct {
	Steps            []PlanStep
	Stages           []PlanStage
	Duration         time.Duration // at the earliest
	Expected         time.Duration
	Endless          bool // the envelope, or something else, keeps it from ending
	Pauses           int  // how often it waits for a person
	PeakTasks        int
	LowerBound       int    // rolling
	UpperBound       int    // rolling
	MayStop          int    // rolling: old tasks, before new ones start
	MayStart         int    // rolling: new tasks, before old ones stop
	Deadlock         bool   // rolling: the bounds allow neither a start nor a stop
	DeadlockReason   string // "" without a deadlock
	Required         int    // rolling: healthy tasks for early success
	FailureThreshold int    // 0 when failures are not looked at
	Weights          []int  // tenths of a percent on the new revision at each traffic step
	StepBakes        int    // traffic steps that bake
	RollbackRevision string // "" when there is nothing to return to
	Failures         []PlanFailure
	Warnings         []string
}

// PlanStep is a moment at which something changes.
type PlanStep struct {
	Offset           time.Duration // at the earliest
	Expected         time.Duration
	Stage            Stage
	Step             int    // the traffic step, from 1; 0 before the first
	Event            string // its name
	Description      string
	ProductionWeight int // tenths of a percent on the new revision
	TestWeight       int
	SourceTasks      int
	TargetTasks      int
}

// PlanStage is a stage from its beginning to its end. Stages without work are left out.
type PlanStage struct {
	Stage      Stage // "" for the work of a rolling deployment
	Step       int
	Start, End time.Duration // at the earliest
	// ExpectedStart and ExpectedEnd are the same with tasks that take their time.
	ExpectedStart, ExpectedEnd time.Duration
	Open                       bool // it would not end by itself
	BakeTime                   time.Duration
	ProductionWeight           int // at its end
	TestWeight                 int
	SourceTasks                int
	TargetTasks                int
	Calls                      []PlanCall
}

// PlanCall is a hook that is called, or a wait for a person.
type PlanCall struct {
	ID               string
	Hook             string // "" for a pause
	Offset           time.Duration
	Expected         time.Duration
	Timeout          time.Duration // 0 for none
	Then             string        // after the timeout
	Quorum           int           // 0 for a hook
	ReportBack       bool
	ProductionWeight int
}

// DefaultTaskStart is how long a task is expected to need from its start until it is healthy when nothing is known of the service.
const DefaultTaskStart = 10 * time.Second

// TaskStart is what the service's healthy tasks needed from their start until they were healthy: the median, and how many
// they are. Of tasks that nothing checks it is the time until they ran, for the minimum healthy time is added to it anyhow.
func TaskStart(s Service) (median time.Duration, samples int) {
	var took []time.Duration
	for i := range s.TaskSets {
		set := &s.TaskSets[i]
		for _, t := range set.Tasks {
			ready := t.HealthyTime
			if !set.checked() {
				ready = t.RunningTime
			}
			if t.Healthy && !t.CreateTime.IsZero() && !ready.Before(t.CreateTime) {
				took = append(took, ready.Sub(t.CreateTime))
			}
		}
	}
	if len(took) == 0 {
		return 0, 0
	}
	slices.Sort(took)
	return took[(len(took)-1)/2].Round(time.Millisecond), len(took)
}

// MakePlan runs the deployment that the command began, twice: with tasks that are ready at once and people who answer at once,
// and with tasks that take taskStart and waits that take their time when they go on by themselves.
func MakePlan(s State, begin time.Time, taskStart time.Duration) Plan {
	begin = begin.UTC().Round(0)
	p := Plan{}
	p.limits(s)
	p.failures(s)
	earliest := newPlanRun(s, begin, 0)
	earliest.answersAll = true
	earliest.run()
	expected := newPlanRun(s, begin, taskStart)
	expected.run()
	p.Steps, p.Stages, p.PeakTasks = earliest.steps, earliest.stages(), earliest.peak
	p.Duration, p.Expected, p.Endless = earliest.took(), max(earliest.took(), expected.took()), earliest.endless || expected.endless
	p.Pauses = earliest.pauses
	p.expect(expected)
	p.Warnings = append(p.Warnings, earliest.warnings...)
	if d := s.Deployment; d.Config.Strategy != Rolling && taskStart > d.Config.ScaleUpTimeout {
		p.warn("a task is expected to need %s until it is healthy, and the scale-up timeout is %s", taskStart, d.Config.ScaleUpTimeout)
	}
	return p
}

// expect takes over when each step and stage is expected. Both runs go through the same ones, in the same order.
func (p *Plan) expect(run *planRun) {
	type key struct {
		stage     Stage
		step, nth int
		what      string
	}
	seen := map[key]int{}
	nth := func(k key) key {
		k.nth = seen[k]
		seen[key{k.stage, k.step, 0, k.what}]++
		return k
	}
	at := map[key]time.Duration{}
	for _, s := range run.steps {
		at[nth(key{s.Stage, s.Step, 0, s.Event + s.Description})] = s.Offset
	}
	clear(seen)
	last := time.Duration(0)
	for i := range p.Steps {
		s := &p.Steps[i]
		s.Expected = max(s.Offset, last, at[nth(key{s.Stage, s.Step, 0, s.Event + s.Description})])
		last = s.Expected
	}
	stages := map[key]PlanStage{}
	for _, s := range run.stages() {
		stages[key{stage: s.Stage, step: s.Step}] = s
	}
	for i := range p.Stages {
		s := &p.Stages[i]
		other := stages[key{stage: s.Stage, step: s.Step}]
		s.ExpectedStart, s.ExpectedEnd = max(s.Start, other.Start), max(s.End, other.End)
		for j := range s.Calls {
			s.Calls[j].Expected = s.Calls[j].Offset
			if j < len(other.Calls) {
				s.Calls[j].Expected = max(s.Calls[j].Offset, other.Calls[j].Offset)
			}
		}
	}
}
