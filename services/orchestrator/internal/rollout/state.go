package rollout

import (
	"slices"
	"strconv"
	"time"
)

// State is all that Slipway knows of one service: what it should be and the deployment at work on it, if any.
// It is one aggregate, saved as a whole: a compare-and-swap on Service.Generation guards both parts. It is saved as JSON in which
// zero fields are left out: they are most of it.
type State struct {
	Service    Service
	Deployment *Deployment // nil when none is at work
}

// Service is a service with its task sets and weights.
type Service struct {
	Cluster          string     `json:",omitzero"`
	Name             string     `json:",omitzero"`
	Generation       int64      `json:",omitzero"` // grows by one with every save; the fencing token of every write to the outside
	Phase            Phase      `json:",omitzero"`
	Spec             Spec       `json:",omitzero"`
	TaskSets         []TaskSet  `json:",omitzero"` // oldest first
	RoutesGeneration int64      `json:",omitzero"` // of the save that changed last what the data plane serves
	Production       []Weight   `json:",omitzero"` // weights of the production listener; empty without a load balancer
	Test             []Weight   `json:",omitzero"` // weights of the test listener; empty without one
	Current          string     `json:",omitzero"` // id of the service revision that serves, "" before the first deployment has ended
	Completed        *Completed `json:",omitzero"`
	// RevisionCount and OrdinalCount only grow, also when the service is deleted and created again:
	// names of task sets and tasks are never used twice.
	RevisionCount int64        `json:",omitzero"`
	OrdinalCount  int64        `json:",omitzero"`
	EventSequence int64        `json:",omitzero"` // of events outside deployments
	Steady        bool         `json:",omitzero"` // SERVICE_STEADY_STATE was said
	Deferred      bool         `json:",omitzero"` // the old revisions are still to be stopped for the current one, by early success
	Conditions    []Condition  `json:",omitzero"`
	Queue         []Deployment `json:",omitzero"` // that wait for their turn, the next one first
}

// Phase is where a service stands.
type Phase string

// The phases of a service, as in ECS.
const (
	Active   Phase = "ACTIVE"
	Draining Phase = "DRAINING"
	Inactive Phase = "INACTIVE"
)

// Spec is what the user asked a service to be.
type Spec struct {
	TaskDefinition         string        `json:",omitzero"` // family:revision
	HasHealthCheck         bool          `json:",omitzero"` // an essential container of it has a health check
	DesiredCount           int           `json:",omitzero"`
	Config                 Config        `json:",omitzero"`
	LoadBalancer           *LoadBalancer `json:",omitzero"`
	HealthCheckGracePeriod time.Duration `json:",omitzero"`
	Concurrency            Concurrency   `json:",omitzero"`
}

// Concurrency says what becomes of a deployment that is asked for while another is at work.
type Concurrency struct {
	Mode       ConcurrencyMode `json:",omitzero"` // "" as REJECT
	QueueLimit int             `json:",omitzero"`
}

// ConcurrencyMode is what becomes of it.
type ConcurrencyMode string

// The modes. REJECT is CodeDeploy's, SUPERSEDE ECS's.
const (
	Reject        ConcurrencyMode = "REJECT"
	SupersedeMode ConcurrencyMode = "SUPERSEDE"
	Queue         ConcurrencyMode = "QUEUE"
	Coalesce      ConcurrencyMode = "COALESCE"
)

// DefaultQueueLimit is how many deployments may wait.
const DefaultQueueLimit = 5

// LoadBalancer joins a container's port to listeners.
type LoadBalancer struct {
	TargetGroup          string        `json:",omitzero"`
	AlternateTargetGroup string        `json:",omitzero"` // "" when there is only one
	ContainerName        string        `json:",omitzero"`
	ContainerPort        int           `json:",omitzero"`
	ProductionListener   string        `json:",omitzero"` // host:port
	TestListener         string        `json:",omitzero"` // host:port, "" when there is none
	Algorithm            string        `json:",omitzero"`
	ProtocolVersion      string        `json:",omitzero"`
	DeregistrationDelay  time.Duration `json:",omitzero"`
	SlowStart            time.Duration `json:",omitzero"`
	SettleDelay          time.Duration `json:",omitzero"` // from weights that the data plane has to requests that all follow them
	FailClosed           bool          `json:",omitzero"` // ELB fails open
	MinimumHealthy       int           `json:",omitzero"` // targets; fewer and the target group fails open
}

// Completed names the most recent service revision that a deployment completed with: what a rollback returns to.
type Completed struct {
	Revision   Revision `json:",omitzero"`
	Deployment string   `json:",omitzero"`
}

// Revision is an immutable snapshot of what a deployment runs.
type Revision struct {
	ID             string    `json:",omitzero"` // cluster/service/number
	Number         int64     `json:",omitzero"`
	TaskDefinition string    `json:",omitzero"`
	HasHealthCheck bool      `json:",omitzero"`
	Deployment     string    `json:",omitzero"` // the deployment that made it
	CreateTime     time.Time `json:",omitzero"`
}

// Weight is a target group's share of a listener, in tenths of a percent. The shares of a listener sum to 1000.
type Weight struct {
	TargetGroup string `json:",omitzero"`
	Share       int    `json:",omitzero"`
}

// FullShare is all of a listener's traffic.
const FullShare = 1000

// TaskSet is the tasks of one service revision.
type TaskSet struct {
	ID          string    `json:",omitzero"`
	Revision    Revision  `json:",omitzero"`
	TargetGroup string    `json:",omitzero"` // "" without a load balancer
	Count       int       `json:",omitzero"` // how many tasks are wanted
	Frozen      bool      `json:",omitzero"` // no task is started any more; those that run stay
	Tasks       []Task    `json:",omitzero"`
	Failures    int       `json:",omitzero"` // starts in a row that came to nothing
	FailureTime time.Time `json:",omitzero"` // of the latest
	NotBefore   time.Time `json:",omitzero"` // no task is started before
}

// Task is a task that the runtime is asked to run.
type Task struct {
	Name        string    `json:",omitzero"`
	CreateTime  time.Time `json:",omitzero"`
	RunningTime time.Time `json:",omitzero"` // zero until it was seen running
	Address     string    `json:",omitzero"` // host:port of its target, "" without a load balancer or before it runs
	Healthy     bool      `json:",omitzero"`
	HealthyTime time.Time `json:",omitzero"` // since when, zero unless healthy
	EverHealthy bool      `json:",omitzero"`
	Unhealthy   bool      `json:",omitzero"` // it fails its health checks and is to be replaced; counted as a failure once
	DrainTime   time.Time `json:",omitzero"` // zero unless it drains: when draining ends at the latest
	// DrainGeneration is the generation at which it began to drain: a data plane's word counts from there on.
	DrainGeneration int64 `json:",omitzero"`
}

func (t Task) draining() bool { return !t.DrainTime.IsZero() }

// Key is the service's name in the installation, "cluster/service".
func (s *Service) Key() string { return s.Cluster + "/" + s.Name }

func (s *Service) taskSet(revision string) *TaskSet {
	for i := range s.TaskSets {
		if s.TaskSets[i].Revision.ID == revision {
			return &s.TaskSets[i]
		}
	}
	return nil
}

// taskSetID is unique in the installation: neither clusters nor services have a dot in their names.
func (s *Service) taskSetID(number int64) string {
	id := s.Name + "-" + strconv.FormatInt(number, 10)
	if s.Cluster != DefaultCluster {
		id = s.Cluster + "." + id
	}
	return id
}

// DefaultCluster is the cluster that always exists.
const DefaultCluster = "default"

func (s *Service) share(targetGroup string) int {
	for _, w := range s.Production {
		if w.TargetGroup == targetGroup {
			return w.Share
		}
	}
	return 0
}

// clone returns a copy that shares nothing that Decide writes to.
func (s State) clone() State {
	next := s
	next.Service.TaskSets = slices.Clone(s.Service.TaskSets)
	for i := range next.Service.TaskSets {
		next.Service.TaskSets[i].Tasks = slices.Clone(next.Service.TaskSets[i].Tasks)
	}
	next.Service.Production = slices.Clone(s.Service.Production)
	next.Service.Test = slices.Clone(s.Service.Test)
	next.Service.Conditions = slices.Clone(s.Service.Conditions)
	next.Service.Queue = slices.Clone(s.Service.Queue)
	if s.Deployment != nil {
		d := *s.Deployment
		d.Sources = slices.Clone(d.Sources)
		d.Hooks = slices.Clone(d.Hooks)
		for i := range d.Hooks {
			d.Hooks[i].Approvers = slices.Clone(d.Hooks[i].Approvers)
		}
		d.Conditions = slices.Clone(d.Conditions)
		d.History = slices.Clone(d.History)
		d.Alarms.Triggered, d.Alarms.Ignored = slices.Clone(d.Alarms.Triggered), slices.Clone(d.Alarms.Ignored)
		if d.Rollback != nil {
			r := *d.Rollback
			d.Rollback = &r
		}
		next.Deployment = &d
	}
	return next
}
