package rollout

import "time"

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
	Name                  string // of the deployment configuration it came from, "" when none
	Strategy              Strategy
	MinimumHealthyPercent int // rolling
	MaximumPercent        int // rolling
	CircuitBreaker        CircuitBreaker
	Alarms                Alarms
	BakeTime              time.Duration
	Steps                 []TrafficStep // every strategy but rolling; the last is 1000
	Hooks                 []Hook
	ScaleUpTimeout        time.Duration
	RollbackTimeout       time.Duration
	MinimumHealthyTime    time.Duration
}

// TrafficStep is one step of production traffic.
type TrafficStep struct {
	Share    int // tenths of a percent on the new revision
	BakeTime time.Duration
	Pause    bool // wait for Continue after the bake time
}

// CircuitBreaker is ECS's deployment circuit breaker.
type CircuitBreaker struct {
	Enable             bool
	Rollback           bool
	ResetOnHealthyTask bool
	Threshold          Threshold
}

// Threshold is a number of failed tasks.
type Threshold struct {
	Type  ThresholdType
	Value int
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
	Names         []string
	Enable        bool
	Rollback      bool
	InitialPolicy InitialAlarmPolicy
}

// InitialAlarmPolicy says what an alarm means that is in ALARM before the deployment begins.
type InitialAlarmPolicy string

// The policies. ECS has IgnoreInitialAlarm: it silently stops looking at alarms, so Slipway's default is to wait.
const (
	WaitForInitialAlarm InitialAlarmPolicy = "WAIT"
	IgnoreInitialAlarm  InitialAlarmPolicy = "IGNORE"
)

// Hook calls a hook, or pauses, at lifecycle stages.
type Hook struct {
	Hook          string // "" for a pause
	Pause         bool
	Stages        []Stage
	Details       string // JSON object sent with each invocation, "" for none
	Timeout       time.Duration
	TimeoutAction TimeoutAction
}

// TimeoutAction is what a time-out means.
type TimeoutAction string

// The timeout actions.
const (
	OnTimeoutRollback TimeoutAction = "ROLLBACK"
	OnTimeoutContinue TimeoutAction = "CONTINUE"
)

// Defaults of ECS and CodeDeploy.
const (
	defaultMinimumHealthyPercent = 100
	defaultMaximumPercent        = 200
	defaultHookTimeout           = 24 * time.Hour
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
		CircuitBreaker:        CircuitBreaker{ResetOnHealthyTask: true, Threshold: DefaultThreshold()},
		Alarms:                Alarms{InitialPolicy: WaitForInitialAlarm},
		ScaleUpTimeout:        defaultScaleUpTimeout,
		RollbackTimeout:       defaultRollbackTimeout,
		MinimumHealthyTime:    defaultMinimumHealthyTime,
	}
}

// DefaultThreshold is half the desired count, at least 3 and at most 200.
func DefaultThreshold() Threshold { return Threshold{Type: BoundedPercent, Value: 50} }

// DefaultDeregistrationDelay is ELB's default for deregistration_delay.timeout_seconds.
func DefaultDeregistrationDelay() time.Duration { return defaultDeregistrationDelay }

// DefaultHookTimeout is ECS's default for timeoutConfiguration.
func DefaultHookTimeout() time.Duration { return defaultHookTimeout }
