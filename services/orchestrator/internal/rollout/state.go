package rollout

import (
	"slices"
	"strconv"
	"time"
)

// State is all that Slipway knows of one service: what it should be and the deployment at work on it, if any.
// It is one aggregate, saved as a whole: a compare-and-swap on Service.Generation guards both parts.
type State struct {
	Service    Service
	Deployment *Deployment // nil when none is at work
}

// Service is a service with its task sets and weights.
type Service struct {
	Cluster          string
	Name             string
	Generation       int64 // grows by one with every save; the fencing token of every write to the outside
	Phase            Phase
	Spec             Spec
	TaskSets         []TaskSet // oldest first
	RoutesGeneration int64     // of the save that changed last what the data plane serves
	Production       []Weight  // weights of the production listener; empty without a load balancer
	Test             []Weight  // weights of the test listener; empty without one
	Current          string    // id of the service revision that serves, "" before the first deployment has ended
	Completed        *Completed
	// RevisionCount and OrdinalCount only grow, also when the service is deleted and created again:
	// names of task sets and tasks are never used twice.
	RevisionCount int64
	OrdinalCount  int64
	EventSequence int64 // of events outside deployments
	Steady        bool  // SERVICE_STEADY_STATE was said
	Deferred      bool  // the old revisions are still to be stopped for the current one, by early success
	Conditions    []Condition
	Queue         []Deployment // that wait for their turn, the next one first
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
	TaskDefinition         string // family:revision
	HasHealthCheck         bool   // an essential container of it has a health check
	DesiredCount           int
	Config                 Config
	LoadBalancer           *LoadBalancer
	HealthCheckGracePeriod time.Duration
	Concurrency            Concurrency
}

// Concurrency says what becomes of a deployment that is asked for while another is at work.
type Concurrency struct {
	Mode       ConcurrencyMode // "" as REJECT
	QueueLimit int
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
	TargetGroup          string
	AlternateTargetGroup string // "" when there is only one
	ContainerName        string
	ContainerPort        int
	ProductionListener   string // host:port
	TestListener         string // host:port, "" when there is none
	Algorithm            string
	ProtocolVersion      string
	DeregistrationDelay  time.Duration
	SlowStart            time.Duration
	SettleDelay          time.Duration // from weights that the data plane has to requests that all follow them
	FailClosed           bool          // ELB fails open
	MinimumHealthy       int           // targets; fewer and the target group fails open
}

// Completed names the most recent service revision that a deployment completed with: what a rollback returns to.
type Completed struct {
	Revision   Revision
	Deployment string
}

// Revision is an immutable snapshot of what a deployment runs.
type Revision struct {
	ID             string // cluster/service/number
	Number         int64
	TaskDefinition string
	HasHealthCheck bool
	Deployment     string // the deployment that made it
	CreateTime     time.Time
}

// Weight is a target group's share of a listener, in tenths of a percent. The shares of a listener sum to 1000.
type Weight struct {
	TargetGroup string
	Share       int
}

// FullShare is all of a listener's traffic.
const FullShare = 1000

// TaskSet is the tasks of one service revision.
type TaskSet struct {
	ID          string
	Revision    Revision
	TargetGroup string // "" without a load balancer
	Count       int    // how many tasks are wanted
	Frozen      bool   // no task is started any more; those that run stay
	Tasks       []Task
	Failures    int       // starts in a row that came to nothing
	FailureTime time.Time // of the latest
	NotBefore   time.Time // no task is started before
}

// Task is a task that the runtime is asked to run.
type Task struct {
	Name        string
	CreateTime  time.Time
	RunningTime time.Time // zero until it was seen running
	Address     string    // host:port of its target, "" without a load balancer or before it runs
	Healthy     bool
	HealthyTime time.Time // since when, zero unless healthy
	EverHealthy bool
	Unhealthy   bool      // it fails its health checks and is to be replaced; counted as a failure once
	DrainTime   time.Time // zero unless it drains: when draining ends at the latest
	// DrainGeneration is the generation at which it began to drain: a data plane's word counts from there on.
	DrainGeneration int64
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
