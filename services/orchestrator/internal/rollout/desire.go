package rollout

import "time"

// Desired is the world that the state wants. It is a function of the state; observations only leave out what is done.
type Desired struct {
	Generation   int64
	TaskSets     []DesiredTaskSet
	TargetGroups []DesiredTargets
	Routes       *Routes             // nil without a load balancer, or when nothing of a deleted service is left
	Hooks        []DesiredInvocation // every other invocation of the service that has not ended is canceled
}

// DesiredTaskSet is the tasks of one task set that run. Tasks not named are stopped.
type DesiredTaskSet struct {
	ID             string
	TaskDefinition string
	Tasks          []string
}

// DesiredTargets is the targets of one target group whose health is checked.
type DesiredTargets struct {
	TargetGroup string
	Targets     []Target
}

// Target is a task at its address.
type Target struct {
	ID        string
	Address   string
	Draining  bool
	DrainTime time.Time
	StartTime time.Time // since when it is healthy, for a slow start
}

// Routes is what the data plane serves for the service.
type Routes struct {
	Listeners    []Listener
	TargetGroups []RoutedTargetGroup
}

// Listener forwards requests on an address by weights that sum to FullShare.
type Listener struct {
	Name    string // "production" or "test"
	Address string
	Forward []Weight
}

// RoutedTargetGroup is the targets that take requests, and those that drain.
type RoutedTargetGroup struct {
	Name    string
	Targets []Target
}

// DesiredInvocation is a hook that is called.
type DesiredInvocation struct {
	ID                string
	Hook              string
	Deployment        string
	Stage             Stage
	Step              int
	TargetRevision    string
	ProductionWeights map[string]float64 // percent by service revision; empty outside the stages that ECS fills them at
	TestWeights       map[string]float64
	Details           string
	Timeout           time.Duration
	TimeoutAction     TimeoutAction
	ReportBack        bool // CodeDeploy's contract
}

func desire(s State) Desired {
	d := Desired{Generation: s.Service.Generation}
	for i := range s.Service.TaskSets {
		set := &s.Service.TaskSets[i]
		want := DesiredTaskSet{ID: set.ID, TaskDefinition: set.Revision.TaskDefinition}
		for _, t := range set.Tasks {
			want.Tasks = append(want.Tasks, t.Name)
		}
		d.TaskSets = append(d.TaskSets, want)
	}
	if lb := s.Service.Spec.LoadBalancer; lb != nil {
		for _, name := range lb.targetGroups() {
			d.TargetGroups = append(d.TargetGroups, s.Service.checked(name))
		}
		if s.Service.Phase != Inactive {
			d.Routes = s.Service.routes(lb)
		}
	}
	if s.Deployment != nil {
		d.Hooks = s.desiredHooks()
	}
	return d
}

func (lb *LoadBalancer) targetGroups() []string {
	if lb.AlternateTargetGroup == "" {
		return []string{lb.TargetGroup}
	}
	return []string{lb.TargetGroup, lb.AlternateTargetGroup}
}

// checked is the targets of a group whose health is looked at: all that have an address and do not drain.
func (s *Service) checked(targetGroup string) DesiredTargets {
	want := DesiredTargets{TargetGroup: targetGroup}
	for _, set := range s.TaskSets {
		if set.TargetGroup != targetGroup {
			continue
		}
		for _, t := range set.Tasks {
			if t.Address != "" && !t.draining() {
				want.Targets = append(want.Targets, Target{ID: t.Name, Address: t.Address})
			}
		}
	}
	return want
}

func (s *Service) routes(lb *LoadBalancer) *Routes {
	routes := &Routes{Listeners: []Listener{{Name: "production", Address: lb.ProductionListener, Forward: s.Production}}}
	if lb.TestListener != "" {
		routes.Listeners = append(routes.Listeners, Listener{Name: "test", Address: lb.TestListener, Forward: s.Test})
	}
	for _, name := range lb.targetGroups() {
		routes.TargetGroups = append(routes.TargetGroups, s.routed(lb, name))
	}
	return routes
}

// routed is the targets of a group that take requests: the healthy ones, or all that have been healthy once when there are too
// few (ELB fails open, unless it is told not to), and those that drain.
func (s *Service) routed(lb *LoadBalancer, targetGroup string) RoutedTargetGroup {
	var healthy, rest, draining []Target
	first := s.firstHealthy(targetGroup)
	for _, set := range s.TaskSets {
		if set.TargetGroup != targetGroup {
			continue
		}
		for _, t := range set.Tasks {
			target := Target{ID: t.Name, Address: t.Address}
			switch {
			case t.Address == "":
			case t.draining():
				target.Draining, target.DrainTime = true, t.DrainTime
				draining = append(draining, target)
			case t.Healthy:
				if lb.SlowStart > 0 && !t.CreateTime.Equal(first.CreateTime) {
					target.StartTime = t.HealthyTime
				}
				healthy = append(healthy, target)
			case t.EverHealthy:
				rest = append(rest, target)
			}
		}
	}
	if len(healthy) < max(lb.MinimumHealthy, 1) && !lb.FailClosed {
		healthy = append(healthy, rest...)
	}
	return RoutedTargetGroup{Name: targetGroup, Targets: append(healthy, draining...)}
}

// firstHealthy is the task of the target group that has been healthy for longest. It and those that were registered with it do not
// start slowly: the group had nothing before (ELB: slow start mode).
func (s *Service) firstHealthy(targetGroup string) (first Task) {
	for _, set := range s.TaskSets {
		for _, t := range set.Tasks {
			if set.TargetGroup == targetGroup && t.Healthy && !t.draining() && (first.Name == "" || t.HealthyTime.Before(first.HealthyTime)) {
				first = t
			}
		}
	}
	return first
}

// percents tells weights by service revision.
func (s *Service) percents(weights []Weight) map[string]float64 {
	byRevision := map[string]float64{}
	for _, set := range s.TaskSets {
		for _, w := range weights {
			if w.TargetGroup == set.TargetGroup && (set.Count > 0 || w.Share > 0) {
				byRevision[set.Revision.ID] = float64(w.Share) / 10
			}
		}
	}
	return byRevision
}
