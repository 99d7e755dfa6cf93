package rollout

import (
	"fmt"
	"time"
)

// Plan is what a deployment would do in an ideal world, found by running Decide against one.
type Plan struct {
	Steps            []PlanStep
	Duration         time.Duration
	Endless          bool // a pause, or the envelope, keeps it from ending by itself
	PeakTasks        int
	LowerBound       int  // rolling
	UpperBound       int  // rolling
	MayStop          int  // rolling: old tasks, before new ones start
	MayStart         int  // rolling: new tasks, before old ones stop
	Deadlock         bool // rolling: the bounds allow neither a start nor a stop
	Required         int  // rolling: healthy tasks for early success
	FailureThreshold int  // 0 when failures are not looked at
	RollbackRevision string
	Warnings         []string
}

// PlanStep is a moment at which something changes.
type PlanStep struct {
	Offset           time.Duration
	Stage            Stage
	Description      string
	ProductionWeight int // tenths of a percent on the new revision
	TestWeight       int
	SourceTasks      int
	TargetTasks      int
}

const planLimit = 100_000 // decisions; a plan that needs more is endless

// MakePlan runs the deployment that the command began.
func MakePlan(s State, begin time.Time) Plan {
	p := Plan{}
	s = s.clone()
	d := s.Deployment
	d.Config.Timeout = 0 // what stands still is told as such
	desired := s.Service.Spec.DesiredCount
	if c := d.Config; c.Strategy == Rolling {
		p.LowerBound, p.UpperBound = Envelope(desired, c.MinimumHealthyPercent, c.MaximumPercent)
		p.MayStop, p.MayStart = desired-p.LowerBound, p.UpperBound-desired
		p.Deadlock = desired > 0 && p.MayStop == 0 && p.MayStart == 0
		if c.EarlySuccess.Enable {
			p.Required = max(c.EarlySuccess.Required(desired), min(1, desired))
		}
	}
	if limit, on := (&run{State: s}).failureLimit(); on {
		p.FailureThreshold = limit
	}
	if c := s.Service.Completed; c != nil {
		p.RollbackRevision = c.Revision.ID
	} else {
		p.Warnings = append(p.Warnings, "there is no COMPLETED service revision: a failure cannot be rolled back")
	}
	now := begin.UTC().Round(0)
	o := ideal(s, desire(s))
	for range planLimit {
		decision := Decide(s, o, now)
		s = decision.Next
		p.record(s, decision.Events, now.Sub(begin))
		o = ideal(s, decision.Desired)
		switch {
		case s.Deployment == nil || s.Deployment.State.Terminal():
			p.Duration = now.Sub(begin)
			return p
		case decision.Changed:
		case decision.WakeAt.IsZero() || p.paused(s):
			return p.endless(s, now.Sub(begin))
		default:
			now = decision.WakeAt
		}
	}
	return p.endless(s, now.Sub(begin))
}

// Imagined is a service that does not exist, with an old revision in full, and the deployment of a new one begun.
func Imagined(config Config, desired int, begin time.Time) (State, error) {
	spec := Spec{TaskDefinition: "old:1", DesiredCount: desired, Config: DefaultConfig(), LoadBalancer: &LoadBalancer{
		TargetGroup: "blue", AlternateTargetGroup: "green", ProductionListener: "production", TestListener: "test",
		Algorithm: leastOutstandingRequests, DeregistrationDelay: defaultDeregistrationDelay,
	}}
	s := NewService(nil, DefaultCluster, "imagined", spec)
	for _, req := range []DeployRequest{
		{ID: "old", TaskDefinition: "old:1", Config: DefaultConfig()},
		{ID: "new", TaskDefinition: "new:1", Config: config},
	} {
		decision, err := Deploy(s, req, begin)
		if err != nil || req.ID == "new" {
			return decision.Next, err
		}
		s = completed(decision.Next, begin)
	}
	return s, nil
}

// completed runs the deployment at work to its end in the ideal world.
func completed(s State, now time.Time) State {
	for range planLimit {
		decision := Decide(s, ideal(s, desire(s)), now)
		s = decision.Next
		if d := s.Deployment; d == nil || d.State.Terminal() {
			s.Deployment = nil
			if !decision.Changed {
				return s
			}
		}
	}
	return s
}

func (p *Plan) paused(s State) bool {
	for _, h := range s.Deployment.Hooks {
		if h.Status == HookAwaitingAction {
			return true
		}
	}
	return false
}

func (p *Plan) endless(s State, d time.Duration) Plan {
	p.Endless, p.Duration = true, d
	for _, c := range s.Deployment.Conditions {
		p.Warnings = append(p.Warnings, fmt.Sprintf("after %s it waits for %s", d, c.Message))
	}
	return *p
}

// record adds a step for each event that a user would want to see in a plan.
func (p *Plan) record(s State, events []Event, offset time.Duration) {
	d := s.Deployment
	source, target := 0, 0
	var group string
	for _, set := range s.Service.TaskSets {
		if set.Revision.ID == d.Target.ID {
			target, group = target+len(set.Tasks), set.TargetGroup
		} else {
			source += len(set.Tasks)
		}
	}
	p.PeakTasks = max(p.PeakTasks, source+target)
	for _, e := range events {
		switch e.Name {
		case EventTaskHealthy, EventTaskFailed, EventHookSucceeded, EventDeploymentInProgress:
			continue
		}
		step := PlanStep{Offset: offset, Stage: d.Stage, Description: e.Reason, SourceTasks: source, TargetTasks: target}
		if group != "" {
			step.ProductionWeight, step.TestWeight = s.Service.share(group), shareOf(s.Service.Test, group)
		}
		p.Steps = append(p.Steps, step)
	}
}

func shareOf(weights []Weight, targetGroup string) int {
	for _, w := range weights {
		if w.TargetGroup == targetGroup {
			return w.Share
		}
	}
	return 0
}
