package simulation

import (
	"fmt"
	"time"

	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// Kind is what may go wrong in a run.
type Kind string

// The kinds of run.
const (
	// Infrastructure: processes, calls, observations and the database fail. Nothing of that may matter to how a deployment
	// ends, so that the run is compared with one of the same seed without faults.
	Infrastructure Kind = "infrastructure"
	// Misfortune: tasks, hooks, alarms and users do their worst, while all calls arrive at once: truth is exact.
	Misfortune Kind = "misfortune"
	// Everything: both.
	Everything Kind = "everything"
)

// Mood is how tasks, hooks or the alarm behave in a deployment.
type Mood string

// The moods of tasks.
const (
	Good      Mood = "good"
	Slow      Mood = "slow to start"
	ExitsSoon Mood = "exits at once"
	NoStart   Mood = "cannot be started"
	Limps     Mood = "exits after some seconds"
	Hangs     Mood = "runs and never answers"
	Sickens   Mood = "stops answering after a while"
	DiesLate  Mood = "dies in the bake time"
)

// The moods of hooks.
const (
	Succeeds     Mood = "succeeds"
	Fails        Mood = "fails"
	AsksTwice    Mood = "in progress twice"
	Silent       Mood = "never answers"
	AnswersTwice Mood = "answers twice, and differently"
	AnswersLate  Mood = "answers after its time-out"
	OtherAttempt Mood = "answers for another attempt"
	Errors       Mood = "fails to answer twice"
)

// The moods of the alarm.
const (
	Quiet       Mood = "quiet"
	NoData      Mood = "no data"
	BurnsAtBake Mood = "goes off in the bake time"
	Flaps       Mood = "flaps from the promotion on"
	BurnsBefore Mood = "is in ALARM before the start"
)

// Deployment is one deployment of a run.
type Deployment struct {
	ID        string
	Config    rollout.Config
	Tasks     Mood
	Some      bool // only every other task has the mood
	Hooks     Mood
	Alarm     Mood
	Supersede bool // it does not wait for the one before
	Acts      []Act
}

// Act is something that a user does at a moment: when the engine makes its nth save of the deployment, before it (which is
// then overtaken) or right after it.
type Act struct {
	Save   int
	Before bool
	What   string
}

// The acts of users.
const (
	ActStop     = "stop"
	ActAbort    = "abort"
	ActContinue = "continue"
	ActGrow     = "grow"
	ActShrink   = "shrink"
	ActDeploy   = "supersede"
	ActToZero   = "scale to zero"
)

// Plan is all that a seed means.
type Plan struct {
	Seed         int64
	Kind         Kind
	Desired      int
	LoadBalancer bool
	Replicas     int
	// Leases share the work, and change hands. Without them every replica works on everything: no installation is so, but
	// safety must not depend on leases.
	Leases      bool
	Skew        []time.Duration // of the clock, by replica
	Deployments []Deployment
	Budget      int           // of infrastructure faults
	Only        Fault         // when set, faults are of this kind alone
	At          string        // when set, they are at calls and observations whose names begin so
	Chance      int           // of a fault, permille; 0 as 60
	Moves       int           // of the lease, permille a second; 0 as 20
	Forgets     int           // how often the data plane starts anew with empty state
	CutOff      time.Duration // how long in every 3 minutes the data plane serves but cannot be reached
	CrashAt     int           // when set, the only fault: the process crashes at its nth call ...
	CrashAfter  bool          // ... once that was carried out
	Mutation    string
}

// Acts are all of them.
func Acts() []string {
	return []string{ActStop, ActAbort, ActContinue, ActGrow, ActShrink, ActDeploy, ActToZero}
}

// NewPlan draws the plan of a seed.
func NewPlan(seed int64) Plan {
	d := newDice(seed)
	p := Plan{
		Seed: seed, Kind: []Kind{Infrastructure, Misfortune, Infrastructure, Everything}[seed&3],
		Desired: 1 + d.below("desired", 4), LoadBalancer: !d.permille("no load balancer", 200), Replicas: 1 + d.below("replicas", 2),
	}
	p.Leases = p.Replicas > 1 && (p.Kind == Infrastructure || d.permille("leases", 300))
	for n := range p.Replicas { // what lease.Leases.Time leaves of a wrong clock
		p.Skew = append(p.Skew, d.between(fmt.Sprintf("skew %d", n), -250*time.Millisecond, 250*time.Millisecond))
	}
	p.Budget = 4 + d.below("budget", 40)
	if p.Kind == Misfortune {
		p.Budget, p.Replicas, p.Leases, p.Skew = 0, 1, false, make([]time.Duration, 1)
	}
	p.Deployments = []Deployment{{ID: "d-1", Config: p.config(d, "d-1"), Tasks: Good, Hooks: Succeeds, Alarm: Quiet}}
	for n := range 1 + d.below("deployments", 3) {
		p.Deployments = append(p.Deployments, p.deployment(d, fmt.Sprintf("d-%d", n+2)))
	}
	return p
}

// Faultless is the plan without its infrastructure faults.
func (p Plan) Faultless() Plan {
	p.Budget, p.Replicas, p.Leases, p.CrashAt, p.Forgets, p.CutOff, p.Skew = 0, 1, false, 0, 0, 0, make([]time.Duration, 1)
	return p
}

func (p Plan) deployment(d *dice, id string) Deployment {
	next := Deployment{ID: id, Config: p.config(d, id), Tasks: Good, Hooks: Succeeds, Alarm: Quiet}
	trouble := pick(d, id+" trouble", "none", "none", "tasks", "tasks", "hooks", "hooks", "alarm")
	if p.Kind == Infrastructure { // moods whose outcome does not depend on the moment
		switch trouble {
		case "tasks":
			next.Tasks = pick(d, id+" tasks", ExitsSoon, NoStart, Hangs, Slow)
		case "hooks":
			next.Hooks = pick(d, id+" hooks", Fails, AsksTwice, Silent, AnswersTwice, OtherAttempt, Errors)
		case "alarm":
			next.Alarm = BurnsAtBake
		}
		return next
	}
	next.Tasks = pick(d, id+" tasks", Good, Good, Slow, ExitsSoon, NoStart, Limps, Hangs, Sickens, DiesLate, DiesLate)
	next.Some = d.permille(id+" some", 600)
	next.Hooks = pick(d, id+" hooks", Succeeds, Succeeds, Succeeds, Fails, AsksTwice, Silent, AnswersTwice, AnswersLate, OtherAttempt, Errors)
	next.Alarm = pick(d, id+" alarm", Quiet, Quiet, NoData, BurnsAtBake, Flaps, BurnsBefore)
	next.Supersede = d.permille(id+" supersede", 300)
	for n := range d.below(id+" acts", 4) {
		actor := fmt.Sprintf("%s act %d", id, n)
		next.Acts = append(next.Acts, Act{
			Save: 1 + d.below(actor, 25), Before: d.permille(actor, 500),
			What: pick(d, actor, ActStop, ActAbort, ActContinue, ActGrow, ActShrink, ActGrow, ActDeploy, ActToZero),
		})
	}
	return next
}

// config draws a configuration. Its waits are short against the bake times, and long against what faults cost.
func (p Plan) config(d *dice, id string) rollout.Config {
	c := rollout.DefaultConfig()
	c.Strategy = pick(d, id+" strategy", rollout.Rolling, rollout.BlueGreen, rollout.Canary, rollout.Linear, rollout.Steps)
	c.MinimumHealthyPercent = pick(d, id+" minimum", 50, 100)
	c.BakeTime = pick(d, id+" bake", 0, 5*time.Minute, 5*time.Minute)
	c.ScaleUpTimeout, c.RollbackTimeout, c.MinimumHealthyTime = 15*time.Minute, 30*time.Minute, minimumHealthy
	c.Timeout = pick(d, id+" timeout", 0, 2*time.Hour)
	c.Alarms = rollout.DefaultAlarms()
	c.Alarms.Names, c.Alarms.Enable, c.Alarms.Rollback = []string{"errors"}, d.permille(id+" alarms", 600), d.permille(id+" alarm rollback", 700)
	switch c.Strategy {
	case rollout.Rolling:
		c.CircuitBreaker.Enable, c.CircuitBreaker.Rollback = true, d.permille(id+" breaker rollback", 700)
		return c
	case rollout.BlueGreen:
		c.Steps = rollout.AllAtOnce()
	case rollout.Canary:
		c.Steps = rollout.CanarySteps(100, time.Minute)
	case rollout.Linear:
		c.Steps = rollout.LinearSteps(400, 30*time.Second)
	case rollout.Steps:
		c.Steps = rollout.CompleteSteps([]rollout.TrafficStep{
			{Share: 1, BakeTime: 10 * time.Second}, {Share: 500, BakeTime: 20 * time.Second, Pause: d.permille(id+" pause", 500)},
		})
	}
	if d.permille(id+" hooks", 700) {
		c.Hooks = []rollout.Hook{{
			Hook: "smoke", Timeout: 2 * time.Minute, TimeoutAction: pick(d, id+" on time", rollout.OnTimeoutRollback, rollout.OnTimeoutContinue),
			Stages: pick(
				d, id+" stages",
				[]rollout.Stage{rollout.PostScaleUp}, []rollout.Stage{rollout.PreScaleUp, rollout.PostTestTrafficShift},
				[]rollout.Stage{rollout.TestTrafficShift, rollout.PreProductionTrafficShift}, []rollout.Stage{rollout.PostProductionTrafficShift},
			),
		}}
	}
	return c
}
