package rollout

import "time"

// Deployment brings a service from its old revisions to a new one.
type Deployment struct {
	ID           string
	State        DeploymentState
	RolloutState RolloutState
	Reason       string
	Config       Config
	Sources      []Revision // the revisions that ran when it began
	Target       Revision
	Stage        Stage // "" for the work of a rolling deployment
	StageTime    time.Time
	Step         int // the traffic step, from 1; 0 before the first
	// ShiftGeneration is the generation at which the weights last moved; they are in force once the data plane
	// has acknowledged it. 0 when no shift is under way.
	ShiftGeneration int64
	InForceTime     time.Time // when the data plane had the weights that moved last, zero until then
	ShiftTime       time.Time // when the present step was in force, zero until then
	BakeUntil       time.Time // end of the step's or the deployment's bake time, zero until it began
	ScaleUpDeadline time.Time
	FromNone        bool      // the desired count was 0, and no task has been healthy since it is not
	HooksStarted    bool      // the hooks of the present stage have been asked for
	Hooks           []HookRun // of the present stage
	Failures        int       // failed tasks, each counted once
	FailureTime     time.Time // of the latest
	TaskRan         bool      // a task of the target was running: the circuit breaker's second stage
	BreakerTripped  bool
	Alarms          AlarmWatch
	Rollback        *Rollback // non-nil once it rolls back
	Conditions      []Condition
	History         []StageRecord
	Deadlocked      bool // the deadlock was told
	CreateTime      time.Time
	StartTime       time.Time
	UpdateTime      time.Time
	FinishTime      time.Time
	EventSequence   int64
	SupersededBy    string
	ErrorCode       ErrorCode // why it ended without success
	// RollbackOf is the deployment that this one rolls back, and Undoes the revision it takes out of service: CodeDeploy's
	// rollback is a deployment of its own.
	RollbackOf         string
	Undoes             Revision
	RollbackDeployment string        // the other way round
	StopRollsBack      bool          // what STOP_REQUESTED ends in is undone by a deployment of its own
	Paused             time.Duration // spent waiting for people, which no deadline counts
	PausedSince        time.Time     // zero unless it waits for a person
}

// ErrorCode is why a deployment ended without success, in CodeDeploy's words.
type ErrorCode string

// The error codes.
const (
	AlarmActive       ErrorCode = "ALARM_ACTIVE"
	HealthConstraints ErrorCode = "HEALTH_CONSTRAINTS"
	HookFailure       ErrorCode = "HOOK_EXECUTION_FAILURE"
	ManualStop        ErrorCode = "MANUAL_STOP"
	TimedOut          ErrorCode = "TIMEOUT"
)

// failing is the revision that a rollback takes out of service.
func (d *Deployment) failing() Revision {
	if d.RollbackOf != "" {
		return d.Undoes
	}
	return d.Target
}

// Deadline is when the deployment's time is over; zero when nothing limits it, or while it waits for a person.
func (d *Deployment) Deadline() time.Time {
	if d.Config.Timeout == 0 || d.StartTime.IsZero() || !d.PausedSince.IsZero() {
		return time.Time{}
	}
	return d.StartTime.Add(d.Config.Timeout + d.Paused)
}

// AlarmWatch is how the deployment looks at its alarms.
type AlarmWatch struct {
	Status    MonitorStatus
	Triggered []string
	// Ignored is alarms that were in ALARM at the beginning and have not left it since.
	Ignored         []string
	UnreadableSince time.Time // zero while every alarm can be read
}

// MonitorStatus is ECS's status of a failure detection method.
type MonitorStatus string

// The statuses of a failure detection method.
const (
	MonitorDisabled  MonitorStatus = "DISABLED"
	Monitoring       MonitorStatus = "MONITORING"
	MonitorTriggered MonitorStatus = "TRIGGERED"
	MonitorComplete  MonitorStatus = "MONITORING_COMPLETE"
)

// Rollback is what is done about a deployment that failed.
type Rollback struct {
	Reason     string
	Revision   Revision // returned to
	Deployment string   // that completed with it
	StartTime  time.Time
	Deadline   time.Time
	SafeTime   time.Time // all production traffic is on the old revision again
	FinishTime time.Time
}

// HookRun is a hook, or a pause, at one stage of one deployment. Its id is its identity: deployment, stage, step,
// hook and whether it is part of the rollback.
type HookRun struct {
	ID      string
	Hook    string // "" for a pause
	Stage   Stage
	Step    int
	Status  HookStatus
	Expire  time.Time
	OnTime  TimeoutAction
	Timeout time.Duration
	Reason  string
	Index   int // of Config.Hooks
	// Approvers is who has continued a pause so far; Quorum of them are needed.
	Approvers []string
	Quorum    int
}

// HookStatus is ECS's lifecycle hook status.
type HookStatus string

// The statuses of a hook.
const (
	HookAwaitingAction HookStatus = "AWAITING_ACTION"
	HookInProgress     HookStatus = "IN_PROGRESS"
	HookSucceeded      HookStatus = "SUCCEEDED"
	HookFailed         HookStatus = "FAILED"
	HookTimedOut       HookStatus = "TIMED_OUT"
)

func (h HookRun) ended() bool {
	return h.Status != HookAwaitingAction && h.Status != HookInProgress
}

// StageRecord is a stage in a deployment's history.
type StageRecord struct {
	Stage    Stage
	Step     int
	Rollback bool
	Start    time.Time
	End      time.Time // zero while it goes on
	Outcome  StageOutcome
	Reason   string
}

// StageOutcome is how a stage ended.
type StageOutcome string

// The outcomes of a stage.
const (
	StageSucceeded StageOutcome = "SUCCEEDED"
	StageFailed    StageOutcome = "FAILED"
	StageSkipped   StageOutcome = "SKIPPED"
	StageStopped   StageOutcome = "STOPPED"
)

// Condition says what is waited for, since when, until when at most and what happens then.
type Condition struct {
	Type    ConditionType
	Message string
	Since   time.Time
	Until   time.Time // zero when nothing limits it
	Then    string
}

// ConditionType is a kind of wait.
type ConditionType string

// The kinds of wait.
const (
	WaitTasksHealthy ConditionType = "TASKS_HEALTHY"
	WaitHook         ConditionType = "HOOK"
	WaitContinue     ConditionType = "CONTINUE"
	WaitBakeTime     ConditionType = "BAKE_TIME"
	WaitTraffic      ConditionType = "TRAFFIC"
	WaitDrain        ConditionType = "DRAIN"
	WaitAlarm        ConditionType = "ALARM"
	WaitService      ConditionType = "SERVICE_UNREACHABLE"
	WaitDeadlock     ConditionType = "DEADLOCK"
	WaitTaskStart    ConditionType = "TASK_START_DELAY"
	WaitQueue        ConditionType = "QUEUE"
)
