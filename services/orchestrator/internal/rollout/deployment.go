package rollout

import "time"

// Deployment brings a service from its old revisions to a new one.
type Deployment struct {
	ID           string          `json:",omitzero"`
	State        DeploymentState `json:",omitzero"`
	RolloutState RolloutState    `json:",omitzero"`
	Reason       string          `json:",omitzero"`
	Config       Config          `json:",omitzero"`
	Sources      []Revision      `json:",omitzero"` // the revisions that ran when it began
	Target       Revision        `json:",omitzero"`
	Stage        Stage           `json:",omitzero"` // "" for the work of a rolling deployment
	StageTime    time.Time       `json:",omitzero"`
	Step         int             `json:",omitzero"` // the traffic step, from 1; 0 before the first
	// ShiftGeneration is the generation at which the weights last moved; they are in force once the data plane
	// has acknowledged it. 0 when no shift is under way.
	ShiftGeneration int64         `json:",omitzero"`
	InForceTime     time.Time     `json:",omitzero"` // when the data plane had the weights that moved last, zero until then
	ShiftTime       time.Time     `json:",omitzero"` // when the present step was in force, zero until then
	BakeUntil       time.Time     `json:",omitzero"` // end of the step's or the deployment's bake time, zero until it began
	ScaleUpDeadline time.Time     `json:",omitzero"`
	FromNone        bool          `json:",omitzero"` // the desired count was 0, and no task has been healthy since it is not
	HooksStarted    bool          `json:",omitzero"` // the hooks of the present stage have been asked for
	Hooks           []HookRun     `json:",omitzero"` // of the present stage
	Failures        int           `json:",omitzero"` // failed tasks, each counted once
	FailureTime     time.Time     `json:",omitzero"` // of the latest
	TaskRan         bool          `json:",omitzero"` // a task of the target was running: the circuit breaker's second stage
	BreakerTripped  bool          `json:",omitzero"`
	Alarms          AlarmWatch    `json:",omitzero"`
	Rollback        *Rollback     `json:",omitzero"` // non-nil once it rolls back
	Conditions      []Condition   `json:",omitzero"`
	History         []StageRecord `json:",omitzero"`
	Deadlocked      bool          `json:",omitzero"` // the deadlock was told
	CreateTime      time.Time     `json:",omitzero"`
	StartTime       time.Time     `json:",omitzero"`
	UpdateTime      time.Time     `json:",omitzero"`
	FinishTime      time.Time     `json:",omitzero"`
	EventSequence   int64         `json:",omitzero"`
	SupersededBy    string        `json:",omitzero"`
	ErrorCode       ErrorCode     `json:",omitzero"` // why it ended without success
	// RollbackOf is the deployment that this one rolls back, and Undoes the revision it takes out of service: CodeDeploy's
	// rollback is a deployment of its own.
	RollbackOf         string        `json:",omitzero"`
	Undoes             Revision      `json:",omitzero"`
	RollbackDeployment string        `json:",omitzero"` // the other way round
	StopRollsBack      bool          `json:",omitzero"` // what STOP_REQUESTED ends in is undone by a deployment of its own
	Paused             time.Duration `json:",omitzero"` // spent waiting for people, which no deadline counts
	PausedSince        time.Time     `json:",omitzero"` // zero unless it waits for a person
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
	Status    MonitorStatus `json:",omitzero"`
	Triggered []string      `json:",omitzero"`
	// Ignored is alarms that were in ALARM at the beginning and have not left it since.
	Ignored         []string  `json:",omitzero"`
	UnreadableSince time.Time `json:",omitzero"` // zero while every alarm can be read
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
	Reason     string    `json:",omitzero"`
	Revision   Revision  `json:",omitzero"` // returned to
	Deployment string    `json:",omitzero"` // that completed with it
	StartTime  time.Time `json:",omitzero"`
	Deadline   time.Time `json:",omitzero"`
	SafeTime   time.Time `json:",omitzero"` // all production traffic is on the old revision again
	FinishTime time.Time `json:",omitzero"`
}

// HookRun is a hook, or a pause, at one stage of one deployment. Its id is its identity: deployment, stage, step,
// hook and whether it is part of the rollback.
type HookRun struct {
	ID      string        `json:",omitzero"`
	Hook    string        `json:",omitzero"` // "" for a pause
	Stage   Stage         `json:",omitzero"`
	Step    int           `json:",omitzero"`
	Status  HookStatus    `json:",omitzero"`
	Expire  time.Time     `json:",omitzero"`
	OnTime  TimeoutAction `json:",omitzero"`
	Timeout time.Duration `json:",omitzero"`
	Reason  string        `json:",omitzero"`
	Index   int           `json:",omitzero"` // of Config.Hooks
	// Approvers is who has continued a pause so far; Quorum of them are needed.
	Approvers []string `json:",omitzero"`
	Quorum    int      `json:",omitzero"`
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
	Stage    Stage        `json:",omitzero"`
	Step     int          `json:",omitzero"`
	Rollback bool         `json:",omitzero"`
	Start    time.Time    `json:",omitzero"`
	End      time.Time    `json:",omitzero"` // zero while it goes on
	Outcome  StageOutcome `json:",omitzero"`
	Reason   string       `json:",omitzero"`
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
	Type    ConditionType `json:",omitzero"`
	Message string        `json:",omitzero"`
	Since   time.Time     `json:",omitzero"`
	Until   time.Time     `json:",omitzero"` // zero when nothing limits it
	Then    string        `json:",omitzero"`
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
