package rollout

import (
	"slices"
	"time"
)

// Strategy is how a new revision takes the place of the old one.
type Strategy string

// The strategies; the names are ECS's, and STEPS is Slipway's own.
const (
	Rolling   Strategy = "ROLLING"
	BlueGreen Strategy = "BLUE_GREEN"
	Linear    Strategy = "LINEAR"
	Canary    Strategy = "CANARY"
	Steps     Strategy = "STEPS"
)

// Config says how a service's deployments go. Its zero value is not valid: begin with DefaultConfig.
type Config struct {
	Name                  string         `json:",omitzero"` // of the deployment configuration it came from, "" when none
	Strategy              Strategy       `json:",omitzero"`
	MinimumHealthyPercent int            `json:",omitzero"` // rolling
	MaximumPercent        int            `json:",omitzero"` // rolling
	CircuitBreaker        CircuitBreaker `json:",omitzero"`
	Alarms                Alarms         `json:",omitzero"`
	BakeTime              time.Duration  `json:",omitzero"`
	Steps                 []TrafficStep  `json:",omitzero"` // every strategy but rolling; the last is 1000
	Hooks                 []Hook         `json:",omitzero"`
	ScaleUpTimeout        time.Duration  `json:",omitzero"`
	RollbackTimeout       time.Duration  `json:",omitzero"`
	MinimumHealthyTime    time.Duration  `json:",omitzero"`
	EarlySuccess          EarlySuccess   `json:",omitzero"` // rolling
	FailureLimit          Threshold      `json:",omitzero"` // every strategy but rolling
	Timeout               time.Duration  `json:",omitzero"` // of active time; 0 for none
	ReadyWait             time.Duration  `json:",omitzero"` // before production traffic moves; 0 for none
	KeepSource            bool           `json:",omitzero"` // the old revision's tasks go on without traffic
	TerminationWait       time.Duration  `json:",omitzero"` // before the old revision's tasks stop
	AutoRollback          *AutoRollback  `json:",omitzero"` // nil: as ECS
}

// EarlySuccess is ECS's early success criteria.
type EarlySuccess struct {
	Enable         bool `json:",omitzero"`
	HealthyPercent int  `json:",omitzero"`
	Deferred       bool `json:",omitzero"` // the old revision's tasks stop after the deployment has completed
}

// Required is how many tasks of the new revision must be healthy.
func (e EarlySuccess) Required(desired int) int { return ceilPercent(desired, e.HealthyPercent) }

// AutoRollback is CodeDeploy's: which ends without success are rolled back, by a deployment of its own.
type AutoRollback struct {
	Enabled bool            `json:",omitzero"`
	Events  []RollbackEvent `json:",omitzero"`
}

// RollbackEvent is why a deployment ended without success; the names are CodeDeploy's.
type RollbackEvent string

// The events of an auto rollback configuration.
const (
	OnFailure       RollbackEvent = "DEPLOYMENT_FAILURE"
	OnStopOnAlarm   RollbackEvent = "DEPLOYMENT_STOP_ON_ALARM"
	OnStopOnRequest RollbackEvent = "DEPLOYMENT_STOP_ON_REQUEST"
)

func (a *AutoRollback) on(e RollbackEvent) bool { return a.Enabled && slices.Contains(a.Events, e) }

// TrafficStep is one step of production traffic.
type TrafficStep struct {
	Share    int           `json:",omitzero"` // tenths of a percent on the new revision
	BakeTime time.Duration `json:",omitzero"`
	Pause    bool          `json:",omitzero"` // wait for Continue after the bake time
	Capacity int           `json:",omitzero"` // tenths of a percent of the desired count that the new revision has; 0 for all of it
}

// Tasks is how many tasks the new revision has at the step.
func (s TrafficStep) Tasks(desired int) int {
	if s.Capacity == 0 || desired == 0 {
		return desired
	}
	return max(1, (desired*s.Capacity+FullShare-1)/FullShare)
}

// CircuitBreaker is ECS's deployment circuit breaker.
type CircuitBreaker struct {
	Enable             bool          `json:",omitzero"`
	Rollback           bool          `json:",omitzero"`
	ResetOnHealthyTask bool          `json:",omitzero"`
	ResetAfter         time.Duration `json:",omitzero"` // how long a task must stay healthy before it resets the count
	IgnoreExits        bool          `json:",omitzero"` // of tasks that were running
	IgnoreDuringBake   bool          `json:",omitzero"`
	IgnoreLateStarts   bool          `json:",omitzero"` // that come to nothing after a task was running
	Threshold          Threshold     `json:",omitzero"`
}

// Threshold is a number of failed tasks.
type Threshold struct {
	Type  ThresholdType `json:",omitzero"`
	Value int           `json:",omitzero"`
}

// ThresholdType is how a threshold's value is read.
type ThresholdType string

// The types of threshold.
const (
	BoundedPercent   ThresholdType = "BOUNDED_PERCENT"
	UnboundedPercent ThresholdType = "UNBOUNDED_PERCENT"
	Count            ThresholdType = "COUNT"
)

// Alarms is the alarms that fail a deployment.
type Alarms struct {
	Names         []string              `json:",omitzero"`
	Enable        bool                  `json:",omitzero"`
	Rollback      bool                  `json:",omitzero"`
	InitialPolicy InitialAlarmPolicy    `json:",omitzero"`
	Unreadable    UnreadableAlarmPolicy `json:",omitzero"`
	// UnreadableTimeout is how long an alarm may be unreadable before StopOnUnreadableAlarm fails the deployment.
	UnreadableTimeout time.Duration `json:",omitzero"`
}

// InitialAlarmPolicy says what an alarm means that is in ALARM before the deployment begins.
type InitialAlarmPolicy string

// The policies. ECS has IgnoreInitialAlarm: it silently stops looking at alarms, so Slipway's default is to wait.
const (
	WaitForInitialAlarm InitialAlarmPolicy = "WAIT"
	IgnoreInitialAlarm  InitialAlarmPolicy = "IGNORE"
	WatchInitialAlarm   InitialAlarmPolicy = "WATCH"
)

// UnreadableAlarmPolicy says what an alarm means whose state cannot be read.
type UnreadableAlarmPolicy string

// The policies. CodeDeploy has the last two (ignorePollAlarmFailure).
const (
	WaitForUnreadableAlarm UnreadableAlarmPolicy = "WAIT"
	StopOnUnreadableAlarm  UnreadableAlarmPolicy = "STOP"
	IgnoreUnreadableAlarm  UnreadableAlarmPolicy = "CONTINUE"
)

// Hook calls a hook, or pauses, at lifecycle stages.
type Hook struct {
	Hook          string        `json:",omitzero"` // "" for a pause
	Pause         bool          `json:",omitzero"`
	Stages        []Stage       `json:",omitzero"`
	Details       string        `json:",omitzero"` // JSON object sent with each invocation, "" for none
	Timeout       time.Duration `json:",omitzero"`
	TimeoutAction TimeoutAction `json:",omitzero"`
	ReportBack    bool          `json:",omitzero"` // CodeDeploy's contract: called once, reports later
	FirstStepOnly bool          `json:",omitzero"` // not at the traffic steps that follow
	Quorum        int           `json:",omitzero"` // with Pause: how many people must continue it; 0 as 1
}

// TimeoutAction is what a time-out means.
type TimeoutAction string

// The timeout actions.
const (
	OnTimeoutRollback TimeoutAction = "ROLLBACK"
	OnTimeoutContinue TimeoutAction = "CONTINUE"
	onTimeoutStop     TimeoutAction = "STOP" // of CodeDeploy's deployment ready option alone
)

// Defaults of ECS and CodeDeploy.
const (
	defaultMinimumHealthyPercent = 100
	defaultMaximumPercent        = 200
	defaultHookTimeout           = 24 * time.Hour
	defaultReportTimeout         = time.Hour
	defaultTimeout               = 30 * 24 * time.Hour
	defaultResetAfter            = 30 * time.Second
	defaultUnreadableTimeout     = time.Minute
	defaultAlarmBake             = 5 * time.Minute
	defaultScaleUpTimeout        = time.Hour
	defaultRollbackTimeout       = time.Hour
	defaultMinimumHealthyTime    = 40 * time.Second
	defaultDeregistrationDelay   = 300 * time.Second
)

// DefaultConfig is the configuration of a service that asks for nothing: rolling, 100 to 200 percent.
func DefaultConfig() Config {
	return Config{
		Strategy:              Rolling,
		MinimumHealthyPercent: defaultMinimumHealthyPercent,
		MaximumPercent:        defaultMaximumPercent,
		CircuitBreaker:        CircuitBreaker{ResetOnHealthyTask: true, ResetAfter: defaultResetAfter, Threshold: DefaultThreshold()},
		Alarms:                DefaultAlarms(),
		FailureLimit:          DefaultThreshold(),
		Timeout:               defaultTimeout,
		ScaleUpTimeout:        defaultScaleUpTimeout,
		RollbackTimeout:       defaultRollbackTimeout,
		MinimumHealthyTime:    defaultMinimumHealthyTime,
	}
}

// DefaultBakeTime is the bake time of a configuration that names none: a rolling deployment that looks at alarms gives them
// time to go off. ECS computes it from the alarms, and says that it is under 5 minutes as a rule.
func (c Config) DefaultBakeTime() time.Duration {
	if c.Strategy == Rolling && c.Alarms.Enable {
		return defaultAlarmBake
	}
	return 0
}

// DefaultAlarms is no alarms, and the safe policies.
func DefaultAlarms() Alarms {
	return Alarms{InitialPolicy: WaitForInitialAlarm, Unreadable: WaitForUnreadableAlarm, UnreadableTimeout: defaultUnreadableTimeout}
}

// DefaultThreshold is half the desired count, at least 3 and at most 200.
func DefaultThreshold() Threshold { return Threshold{Type: BoundedPercent, Value: 50} }

// DefaultDeregistrationDelay is ELB's default for deregistration_delay.timeout_seconds.
func DefaultDeregistrationDelay() time.Duration { return defaultDeregistrationDelay }

// DefaultHookTimeout is ECS's default for timeoutConfiguration, or CodeDeploy's hour for a hook that reports back.
func DefaultHookTimeout(reportBack bool) time.Duration {
	if reportBack {
		return defaultReportTimeout
	}
	return defaultHookTimeout
}
