package rollout

import (
	"fmt"
	"time"
)

// Options is what a user asks for beside the strategy, as it is written.
type Options struct {
	MatchTrafficWeight bool           // the new revision has the tasks that its share of the traffic needs
	Capacities         []StepCapacity // of the steps as the user wrote them
	EarlySuccess       EarlySuccessWish
	StopOnReadyTimeout bool
	ReadyWait          time.Duration
	KeepSource         bool
	TerminationWait    time.Duration
	AutoRollback       *AutoRollback
}

// StepCapacity is how many tasks the new revision has at a traffic step, percent of the desired count.
type StepCapacity struct {
	Step    int // from 0
	Percent float64
}

// EarlySuccessWish is early success criteria as a user writes them.
type EarlySuccessWish struct {
	Enable         bool
	HealthyPercent *int
	Cleanup        string // BLOCKING or DEFERRED
}

const maxCodeDeployWait = 2880 * time.Minute // CodeDeploy's API; its quota page says 2800

// Apply puts the options into the configuration, whose strategy and steps are resolved, or returns every rule that they break.
func (o Options) Apply(c *Config) []Violation {
	var v violations
	o.capacity(&v, c)
	o.earlySuccess(&v, c)
	o.codeDeploy(&v, c)
	return v
}

func (o Options) capacity(v *violations, c *Config) {
	const in = "deployment_configuration."
	if c.Strategy == Rolling && o.MatchTrafficWeight {
		v.add(in+"target_capacity", "goes with the traffic-shifting strategies; ROLLING has minimum_healthy_percent and maximum_percent")
		return
	}
	steps := make([]TrafficStep, len(c.Steps))
	copy(steps, c.Steps)
	c.Steps = steps
	if o.MatchTrafficWeight {
		for i := range steps {
			steps[i].Capacity = steps[i].Share % FullShare // all of it is 0
		}
	}
	for _, want := range o.Capacities {
		field := fmt.Sprintf(in+"steps_configuration.steps[%d].capacity_percent", want.Step)
		share, ok := ParsePercent(want.Percent)
		switch {
		case !ok || share < 1 || share > FullShare:
			v.add(field, "must be a multiple of 0.1 from 0.1 to 100")
		case want.Step >= len(steps):
		case steps[want.Step].Share == FullShare && share < FullShare:
			v.add(field, "must be 100 where all traffic goes")
		default:
			steps[want.Step].Capacity = share % FullShare
		}
	}
	for i := 1; i < len(steps); i++ {
		if steps[i].Tasks(FullShare) < steps[i-1].Tasks(FullShare) {
			field := fmt.Sprintf(in+"steps_configuration.steps[%d].capacity_percent", i)
			v.add(field, "must not be less than at the step before (%s)", percent(steps[i-1].Tasks(FullShare)))
		}
	}
}

func (o Options) earlySuccess(v *violations, c *Config) {
	const in = "deployment_configuration.early_success_criteria"
	wish := o.EarlySuccess
	if !wish.Enable {
		return
	}
	if c.Strategy != Rolling {
		v.add(in, "goes with the strategy ROLLING alone, as in ECS")
		return
	}
	if wish.HealthyPercent == nil {
		v.add(in+".healthy_percent", "is needed when the criteria are enabled")
	} else if *wish.HealthyPercent < c.MinimumHealthyPercent {
		v.add(in+".healthy_percent", "must be %d (minimum_healthy_percent) to 100", c.MinimumHealthyPercent)
	} else {
		c.EarlySuccess = EarlySuccess{Enable: true, HealthyPercent: *wish.HealthyPercent, Deferred: wish.Cleanup == "DEFERRED"}
	}
	if wish.Cleanup != "BLOCKING" && wish.Cleanup != "DEFERRED" {
		v.add(in+".source_service_revision_cleanup", "is needed when the criteria are enabled: BLOCKING or DEFERRED")
	}
}

func (o Options) codeDeploy(v *violations, c *Config) {
	const in = "deployment_configuration."
	if c.Strategy == Rolling {
		for field, set := range map[string]bool{
			"deployment_ready_option":     o.StopOnReadyTimeout || o.ReadyWait != 0,
			"terminate_source_option":     o.KeepSource || o.TerminationWait != 0,
			"auto_rollback_configuration": o.AutoRollback != nil,
		} {
			if set {
				v.add(in+field, "goes with the traffic-shifting strategies")
			}
		}
		return
	}
	switch {
	case o.StopOnReadyTimeout:
		v.duration(in+"deployment_ready_option.wait_time", o.ReadyWait, time.Second, maxCodeDeployWait)
	case o.ReadyWait != 0:
		v.add(in+"deployment_ready_option.wait_time", "goes with STOP_DEPLOYMENT alone; CONTINUE_DEPLOYMENT does not wait")
	}
	v.duration(in+"terminate_source_option.termination_wait_time", o.TerminationWait, 0, maxCodeDeployWait)
	if o.KeepSource && o.TerminationWait != 0 {
		v.add(in+"terminate_source_option.termination_wait_time", "goes with TERMINATE alone")
	}
	if a := o.AutoRollback; a != nil && a.Enabled && len(a.Events) == 0 {
		v.add(in+"auto_rollback_configuration.events", "must name an event when it is enabled")
	}
	c.ReadyWait, c.KeepSource, c.TerminationWait, c.AutoRollback = o.ReadyWait, o.KeepSource, o.TerminationWait, o.AutoRollback
}
