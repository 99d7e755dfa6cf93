package rollout

import (
	"fmt"
	"time"
)

const (
	maxBakeTime  = 24 * time.Hour // ECS: bakeTimeInMinutes 0..1440
	maxHookTime  = 24 * time.Hour
	maxPauseTime = 14 * 24 * time.Hour
	maxOfEach    = 10 // pause hooks, and other hooks, of one service

	maxQueueLimit = 20
	maxSlowStart  = 15 * time.Minute // ELB: slow_start.duration_seconds 30..900
)

// Validate returns every rule that the spec breaks, by the names of the API's fields.
func (s Spec) Validate() []Violation {
	var v violations
	lb := s.LoadBalancer
	if lb != nil && s.Config.Strategy != Rolling && lb.AlternateTargetGroup == "" {
		v.add("load_balancer.alternate_target_group", "is needed by the strategy %s", s.Config.Strategy)
	}
	if lb != nil && lb.AlternateTargetGroup == lb.TargetGroup {
		v.add("load_balancer.alternate_target_group", "must not be the target group")
	}
	if lb != nil && lb.TestListener == lb.ProductionListener {
		v.add("load_balancer.test_listener", "must not be the production listener")
	}
	if lb != nil {
		v = append(v, lb.validate()...)
	}
	if limit := s.Concurrency.QueueLimit; limit < 0 || limit > maxQueueLimit {
		v.add("deployment_concurrency.queue_limit", "must be 1 to %d", maxQueueLimit)
	} else if limit > 0 && s.Concurrency.Mode != Queue {
		v.add("deployment_concurrency.queue_limit", "goes with the mode QUEUE alone")
	}
	if s.HealthCheckGracePeriod < 0 {
		v.add("health_check_grace_period", "must not be negative")
	}
	return append(v, s.Config.validate()...)
}

func (lb *LoadBalancer) validate() []Violation {
	var v violations
	if lb.DeregistrationDelay < 0 || lb.DeregistrationDelay > time.Hour {
		v.add("load_balancer.deregistration_delay", "must be 0 to 3600 s")
	}
	v.duration("load_balancer.settle_delay", lb.SettleDelay, 0, time.Hour)
	if lb.SlowStart != 0 {
		v.duration("load_balancer.slow_start", lb.SlowStart, time.Second, maxSlowStart)
		if lb.Algorithm == leastOutstandingRequests {
			v.add("load_balancer.slow_start", "does not go with LEAST_OUTSTANDING_REQUESTS, as in ELB; set algorithm to ROUND_ROBIN")
		}
	}
	return v
}

const leastOutstandingRequests = "least_outstanding_requests"

func (c Config) validate() []Violation {
	var v violations
	const in = "deployment_configuration."
	v.duration(in+"bake_time", c.BakeTime, 0, maxBakeTime)
	v.duration(in+"scale_up_timeout", c.ScaleUpTimeout, time.Second, 24*time.Hour)
	v.duration(in+"rollback_timeout", c.RollbackTimeout, time.Second, 24*time.Hour)
	v.duration(in+"minimum_healthy_time", c.MinimumHealthyTime, 0, time.Hour)
	if c.Strategy != Rolling && c.CircuitBreaker.Enable {
		v.add(in+"deployment_circuit_breaker", "works with the strategy ROLLING alone, as in ECS; %s has a limit of task failures of its own", c.Strategy)
	}
	if c.Strategy == Rolling && len(c.Hooks) > 0 {
		v.add(in+"lifecycle_hooks", "a ROLLING deployment has no lifecycle stages")
	}
	t := c.CircuitBreaker.Threshold
	if t.Value < 1 || t.Type != Count && t.Value > 100 {
		v.add(in+"deployment_circuit_breaker.threshold_configuration.value", "must be 1 to 100 for percents and at least 1 for COUNT")
	}
	if l := c.FailureLimit; l.Value < 0 || l.Type != Count && l.Value > 100 { // 0 is the default's
		v.add(in+"task_failure_limit.value", "must be 1 to 100 for percents and at least 1 for COUNT")
	}
	if c.Timeout != 0 {
		v.duration(in+"timeout", c.Timeout, time.Second, defaultTimeout)
	}
	v.duration(in+"deployment_circuit_breaker.reset_after", c.CircuitBreaker.ResetAfter, 0, 24*time.Hour)
	v.duration(in+"alarms.unreadable_alarm_timeout", c.Alarms.UnreadableTimeout, 0, time.Hour)
	if c.Alarms.Enable && len(c.Alarms.Names) == 0 {
		v.add(in+"alarms.alarm_names", "must name an alarm when alarms are enabled")
	}
	v = append(v, c.validateHooks()...)
	return append(v, validateSteps(c)...)
}

func (c Config) validateHooks() []Violation {
	var v violations
	pauses, calls := 0, 0
	for i, h := range c.Hooks {
		field := fmt.Sprintf("deployment_configuration.lifecycle_hooks[%d]", i)
		limit := maxHookTime
		if h.Pause {
			pauses++
			limit = maxPauseTime
		} else {
			calls++
		}
		if h.Pause == (h.Hook != "") {
			v.add(field+".hook", "must be set, or pause, and not both")
		}
		v.duration(field+".timeout", h.Timeout, time.Second, limit)
		if h.Pause && h.ReportBack {
			v.add(field+".report_back", "goes with a hook, not with a pause")
		}
		if !h.Pause && h.Quorum > 0 {
			v.add(field+".quorum", "goes with a pause alone")
		}
		for _, stage := range h.Stages {
			switch {
			case !stage.Hookable():
				v.add(field+".lifecycle_stages", "no hook can be called at %s", stage)
			case h.Pause && !stage.Pausable():
				v.add(field+".lifecycle_stages", "no pause can stand at %s: the stage is run again in a rollback", stage)
			}
		}
	}
	if pauses > maxOfEach || calls > maxOfEach {
		v.add("deployment_configuration.lifecycle_hooks", "at most %d pauses and %d other hooks", maxOfEach, maxOfEach)
	}
	return v
}

func validateSteps(c Config) []Violation {
	var v violations
	if c.Strategy == Rolling {
		return nil
	}
	if n := len(c.Steps); n == 0 || c.Steps[n-1].Share != FullShare {
		v.add("deployment_configuration", "the traffic steps must end with 100 percent")
	}
	for i, step := range c.Steps {
		if i > 0 && step.Share <= c.Steps[i-1].Share {
			v.add(fmt.Sprintf("deployment_configuration.steps_configuration.steps[%d].percent", i), "must be more than the step before")
		}
		v.duration(fmt.Sprintf("deployment_configuration.steps_configuration.steps[%d].bake_time", i), step.BakeTime, 0, maxBakeTime)
	}
	return v
}

type violations []Violation

func (v *violations) add(field, rule string, args ...any) {
	*v = append(*v, Violation{Field: field, Rule: fmt.Sprintf(rule, args...)})
}

func (v *violations) duration(field string, d, least, most time.Duration) {
	if d < least || d > most {
		v.add(field, "must be %s to %s", least, most)
	}
}
