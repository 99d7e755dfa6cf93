package simulation

import (
	"time"

	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// Settings is what a deployment of a story does differently. Its zero value is blue/green without anything.
type Settings struct {
	Strategy  string // ROLLING, BLUE_GREEN, CANARY, LINEAR or STEPS; "" as BLUE_GREEN
	Bake      time.Duration
	Hooks     []string // stages at which the hook is called
	OnTimeout string   // CONTINUE lets the deployment go on when the hook times out
	Alarms    bool     // they roll back
	Minimum   int      // healthy percent; 0 as 100
	Least     bool     // the first step has a share of 0.1 %
}

// Configure returns the configuration of a story's deployment.
func Configure(s Settings) rollout.Config {
	c := rollout.DefaultConfig()
	c.Strategy, c.BakeTime = rollout.Strategy(s.Strategy), s.Bake
	c.ScaleUpTimeout, c.RollbackTimeout, c.MinimumHealthyTime = 15*time.Minute, 30*time.Minute, minimumHealthy
	if s.Minimum > 0 {
		c.MinimumHealthyPercent = s.Minimum
	}
	if s.Alarms {
		c.Alarms = rollout.Alarms{
			Names: []string{"errors"}, Enable: true, Rollback: true, InitialPolicy: rollout.WaitForInitialAlarm, Unreadable: rollout.WaitForUnreadableAlarm,
		}
	}
	for _, stage := range s.Hooks {
		h := rollout.Hook{Hook: "smoke", Stages: []rollout.Stage{rollout.Stage(stage)}, Timeout: 2 * time.Minute, TimeoutAction: rollout.OnTimeoutRollback}
		if s.OnTimeout != "" {
			h.TimeoutAction = rollout.TimeoutAction(s.OnTimeout)
		}
		c.Hooks = append(c.Hooks, h)
	}
	share := 100
	if s.Least {
		share = 1
	}
	switch c.Strategy {
	case rollout.Rolling:
		c.CircuitBreaker.Enable, c.CircuitBreaker.Rollback = true, true
	case rollout.Canary:
		c.Steps = rollout.CanarySteps(share, time.Minute)
	case rollout.Linear:
		c.Steps = rollout.LinearSteps(400, 30*time.Second)
	case rollout.Steps:
		c.Steps = rollout.CompleteSteps([]rollout.TrafficStep{
			{Share: share, BakeTime: 10 * time.Second}, {Share: 500, BakeTime: 20 * time.Second, Pause: true},
		})
	default:
		c.Strategy, c.Steps = rollout.BlueGreen, rollout.AllAtOnce()
	}
	return c
}

// Story is a plan without faults: a first deployment of the settings without trouble, then those given.
func Story(desired int, s Settings, deployments ...Deployment) Plan {
	first := s
	first.Hooks, first.Alarms = nil, false
	p := Plan{
		Kind: Misfortune, Desired: desired, LoadBalancer: true, Replicas: 1, Skew: make([]time.Duration, 2),
		Deployments: []Deployment{{ID: "d-1", Config: Configure(first), Tasks: Good, Hooks: Succeeds, Alarm: Quiet}},
	}
	for _, d := range deployments {
		d.Tasks, d.Hooks, d.Alarm = orElse(d.Tasks, Good), orElse(d.Hooks, Succeeds), orElse(d.Alarm, Quiet)
		if d.Config.Strategy == "" {
			d.Config = Configure(s)
		}
		p.Deployments = append(p.Deployments, d)
	}
	return p
}

func orElse(m, otherwise Mood) Mood {
	if m == "" {
		return otherwise
	}
	return m
}
