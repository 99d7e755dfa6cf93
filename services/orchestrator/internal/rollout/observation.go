package rollout

import "time"

// Observation is what is known of the world. Each part says whether its source can be reached: what is not known is
// never taken for a fact, and a deployment does not advance on it.
type Observation struct {
	// Trouble is why the world could not be brought to what was desired last; "" when it could.
	Trouble string
	Runtime RuntimeFacts
	Health  HealthFacts
	Traffic TrafficFacts
	Hooks   HookFacts
	Alarms  AlarmFacts
}

// RuntimeFacts is what the runtime says of the service's tasks.
type RuntimeFacts struct {
	Known bool
	Tasks map[string]TaskFact // by name
}

// TaskFact is what the runtime says of one task.
type TaskFact struct {
	TaskSet    string
	State      TaskState
	Health     ContainerHealth
	Endpoints  []Endpoint
	StopTime   time.Time
	StopReason string
}

// TaskState is where a task stands.
type TaskState string

// The states of a task.
const (
	TaskPending  TaskState = "PENDING"
	TaskRunning  TaskState = "RUNNING"
	TaskStopping TaskState = "STOPPING"
	TaskStopped  TaskState = "STOPPED"
)

// ContainerHealth is the health of a task's essential containers by their own checks.
type ContainerHealth string

// The health of a task's containers.
const (
	ContainersUnknown   ContainerHealth = "UNKNOWN"
	ContainersHealthy   ContainerHealth = "HEALTHY"
	ContainersUnhealthy ContainerHealth = "UNHEALTHY"
)

// Endpoint is a port of a container as it can be reached.
type Endpoint struct {
	Container     string
	ContainerPort int
	Address       string // host:port
}

// HealthFacts is what the healthcheck service says of the service's targets.
type HealthFacts struct {
	Known   bool
	Targets map[TargetKey]TargetFact
}

// TargetKey names a target.
type TargetKey struct{ TargetGroup, ID string }

// TargetFact is a target's health.
type TargetFact struct {
	State       TargetState
	Description string
}

// TargetState is ELB's state of a target.
type TargetState string

// The states of a target that matter here.
const (
	TargetHealthy   TargetState = "HEALTHY"
	TargetUnhealthy TargetState = "UNHEALTHY"
)

// TrafficFacts is what the data plane has in force for the service.
type TrafficFacts struct {
	Known      bool
	Generation int64
	Drained    map[string]bool // draining targets with nothing in flight
	Problem    string          // why the routes wanted are not in force
}

// HookFacts is what the hooks service says of the deployment's invocations.
type HookFacts struct {
	Known       bool
	Invocations map[string]InvocationFact // by id
}

// InvocationFact is how an invocation stands.
type InvocationFact struct {
	Status   HookStatus // IN_PROGRESS until it has ended
	Continue bool       // what the deployment does when it has ended: go on or roll back
	Reason   string
}

// AlarmFacts is what the alarms service says of alarms.
type AlarmFacts struct {
	Known  bool
	States map[string]AlarmState // by name
}

// AlarmState is CloudWatch's state of an alarm.
type AlarmState string

// The states of an alarm.
const (
	AlarmOK               AlarmState = "OK"
	AlarmInAlarm          AlarmState = "ALARM"
	AlarmInsufficientData AlarmState = "INSUFFICIENT_DATA"
	AlarmUnreadable       AlarmState = "UNREADABLE" // its metric source cannot be read
)
