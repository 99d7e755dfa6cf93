package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// PlanFailure is something that would end a deployment without success, and what is done then.
type PlanFailure struct {
	Cause         FailureCause
	Description   string
	Rollback      bool
	Revision      string // that a rollback returns to
	OwnDeployment bool   // the rollback is a deployment of its own
	Then          string
}

// FailureCause is what ended a deployment without success.
type FailureCause string

// The causes of failure.
const (
	FailTasks           FailureCause = "TASK_FAILURES"
	FailAlarm           FailureCause = "ALARM"
	FailUnreadableAlarm FailureCause = "UNREADABLE_ALARM"
	FailHook            FailureCause = "HOOK"
	FailPause           FailureCause = "PAUSE"
	FailScaleUp         FailureCause = "SCALE_UP"
	FailNoHealthyTask   FailureCause = "NO_HEALTHY_TASK"
	FailTimeout         FailureCause = "TIMEOUT"
	FailStop            FailureCause = "STOP"
)

func (p *Plan) warn(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
}

// limits is what holds for the whole of the deployment.
func (p *Plan) limits(s State) {
	d, desired := s.Deployment, s.Service.Spec.DesiredCount
	c := d.Config
	if limit, on := d.FailureLimit(desired); on {
		p.FailureThreshold = limit
	}
	if c.Strategy != Rolling {
		for _, step := range c.Steps {
			p.Weights = append(p.Weights, step.Share)
			if step.BakeTime > 0 {
				p.StepBakes++
			}
		}
		return
	}
	p.LowerBound, p.UpperBound = Envelope(desired, c.MinimumHealthyPercent, c.MaximumPercent)
	p.MayStop, p.MayStart = desired-p.LowerBound, p.UpperBound-desired
	if p.Deadlock = desired > 0 && p.MayStop == 0 && p.MayStart == 0; p.Deadlock {
		p.DeadlockReason = fmt.Sprintf("%d %% of %s, rounded up, is %d that must stay healthy, and %d %% of it, rounded down, is %d that may exist: "+
			"neither a stop nor a start is allowed", c.MinimumHealthyPercent, tasks(desired), p.LowerBound, c.MaximumPercent, p.UpperBound)
	}
	if c.EarlySuccess.Enable {
		p.Required = max(c.EarlySuccess.Required(desired), min(1, desired))
	}
}

// failures lists what would end the deployment without success.
func (p *Plan) failures(s State) {
	d := s.Deployment
	c := d.Config
	back, refusal := rollbackTarget(s)
	p.RollbackRevision = back
	if refusal != "" {
		p.warn("%s", refusal)
	}
	end := func(cause FailureCause, event RollbackEvent, rollback bool, format string, args ...any) {
		f := PlanFailure{Cause: cause, Description: fmt.Sprintf(format, args...)}
		if c.AutoRollback != nil {
			rollback = c.AutoRollback.on(event)
		}
		switch {
		case !rollback:
			f.Then = "it stops where it is: traffic and tasks stay as they are"
		case back == "":
			f.Then = "it stops where it is: there is nothing to return to"
		default:
			f.Rollback, f.Revision, f.OwnDeployment = true, back, c.AutoRollback != nil
			f.Then = "it is rolled back to " + back
			if f.OwnDeployment {
				f.Then += " by a deployment of its own"
			}
		}
		p.Failures = append(p.Failures, f)
	}
	if p.FailureThreshold > 0 {
		limit, of := c.FailureLimit, "limit of task failures"
		if c.Strategy == Rolling {
			limit, of = c.CircuitBreaker.Threshold, "circuit breaker"
		}
		end(FailTasks, OnFailure, c.Strategy != Rolling || c.CircuitBreaker.Rollback,
			"%s of the new revision fail (%s: %s)", tasks(p.FailureThreshold), of, limit.words(s.Service.Spec.DesiredCount))
	}
	if c.Alarms.Enable {
		end(FailAlarm, OnStopOnAlarm, c.Alarms.Rollback, "%s goes to ALARM", strings.Join(c.Alarms.Names, " or "))
		if c.Alarms.Unreadable == StopOnUnreadableAlarm {
			end(FailUnreadableAlarm, OnStopOnAlarm, c.Alarms.Rollback, "one of the alarms cannot be read for %s", short(c.Alarms.UnreadableTimeout))
		}
	}
	if c.Strategy != Rolling {
		p.shiftFailures(c, end)
	}
	if c.Timeout > 0 {
		end(FailTimeout, OnFailure, (&run{State: s}).rollsBackOnTimeout(),
			"it takes longer than %s, without the time in which it waits for a person", short(c.Timeout))
	}
	end(FailStop, OnStopOnRequest, true, "a person stops it")
}

func (p *Plan) shiftFailures(c Config, end func(FailureCause, RollbackEvent, bool, string, ...any)) {
	end(FailScaleUp, OnFailure, true, "the new revision is not healthy within %s", short(c.ScaleUpTimeout))
	end(FailNoHealthyTask, OnFailure, true, "no task of the new revision is healthy while it has traffic")
	for _, h := range c.Hooks {
		var at []string
		for _, stage := range h.Stages {
			at = append(at, string(stage))
		}
		cause, what, late := FailHook, "hook "+h.Hook+" fails", "has not answered"
		if h.Pause {
			cause, what, late = FailPause, "a person rolls back", "nobody has answered"
		}
		if h.TimeoutAction != OnTimeoutContinue {
			what += fmt.Sprintf(", or %s within %s,", late, short(h.Timeout))
		}
		end(cause, OnFailure, true, "%s at %s", what, strings.Join(at, ", "))
	}
	if slices.ContainsFunc(c.Steps, func(s TrafficStep) bool { return s.Pause }) {
		end(FailPause, OnFailure, true, "a person rolls back at the pause of a traffic step")
	}
	if c.ReadyWait > 0 {
		f := PlanFailure{Cause: FailPause, Then: "it stops where it is: traffic and tasks stay as they are"}
		f.Description = fmt.Sprintf("nobody continues it within %s before production traffic moves (READY_WAIT)", short(c.ReadyWait))
		p.Failures = append(p.Failures, f)
	}
}

// rollbackTarget is the service revision that a rollback of the deployment at work returns to; "" and why when there is none.
func rollbackTarget(s State) (revision, refusal string) {
	d, completed := s.Deployment, s.Service.Completed
	switch {
	case completed == nil:
		return "", "there is no COMPLETED service revision: a failure cannot be rolled back"
	case d.Config.Strategy == Rolling && completed.Revision.TaskDefinition == d.Target.TaskDefinition:
		return "", "the COMPLETED service revision " + completed.Revision.ID + " runs the same task definition: a failure is not rolled back to it"
	}
	return completed.Revision.ID, ""
}

// short is a length of time as people write it: "1h", "30 days".
func short(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day && d%day == 0 {
		return fmt.Sprintf("%d days", d/day)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// words says how the threshold is made.
func (t Threshold) words(desired int) string {
	switch t.Type {
	case Count:
		return fmt.Sprintf("COUNT %d", t.Value)
	case "":
		return DefaultThreshold().words(desired)
	}
	return fmt.Sprintf("%s %d of %s", t.Type, t.Value, tasks(desired))
}

func (s *TaskSet) checked() bool { return s.TargetGroup != "" || s.Revision.HasHealthCheck }
