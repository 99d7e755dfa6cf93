package rollout

// ideal is a world in which everything that is wanted is so at once: tasks run and are healthy, routes are in force,
// nothing is in flight, hooks succeed and alarms are OK.
func ideal(s State, want Desired) Observation {
	return idealWith(s, want, func(*TaskSet, Task) bool { return true })
}

// observe is the ideal world, but tasks that have never been healthy take their time to start.
func (r *planRun) observe(want Desired) Observation {
	return idealWith(r.state, want, func(_ *TaskSet, t Task) bool {
		return t.EverHealthy || !t.CreateTime.Add(r.taskStart).After(r.now)
	})
}

func idealWith(s State, want Desired, ready func(*TaskSet, Task) bool) Observation {
	n := 0
	for i := range s.Service.TaskSets {
		n += len(s.Service.TaskSets[i].Tasks)
	}
	o := Observation{
		Runtime: RuntimeFacts{Known: true, Tasks: make(map[string]TaskFact, n)},
		Health:  HealthFacts{Known: true, Targets: make(map[TargetKey]TargetFact, n)},
		Traffic: TrafficFacts{Known: true, Generation: want.Generation, Drained: make(map[string]bool, n)},
		Hooks:   HookFacts{Known: true, Invocations: map[string]InvocationFact{}},
		Alarms:  AlarmFacts{Known: true, States: map[string]AlarmState{}},
	}
	var endpoint Endpoint
	if lb := s.Service.Spec.LoadBalancer; lb != nil {
		endpoint = Endpoint{Container: lb.ContainerName, ContainerPort: lb.ContainerPort, Address: "ideal"}
	}
	for i := range s.Service.TaskSets {
		set := &s.Service.TaskSets[i]
		for _, t := range set.Tasks {
			o.Traffic.Drained[t.Name] = t.draining()
			if !ready(set, t) {
				o.Runtime.Tasks[t.Name] = TaskFact{TaskSet: set.ID, State: TaskPending}
				continue
			}
			o.Runtime.Tasks[t.Name] = TaskFact{TaskSet: set.ID, State: TaskRunning, Health: ContainersHealthy, Endpoints: []Endpoint{endpoint}}
			o.Health.Targets[TargetKey{set.TargetGroup, t.Name}] = TargetFact{State: TargetHealthy}
		}
	}
	for _, call := range want.Hooks {
		o.Hooks.Invocations[call.ID] = InvocationFact{Status: HookSucceeded, Continue: true}
	}
	if s.Deployment != nil {
		for _, name := range s.Deployment.Config.Alarms.Names {
			o.Alarms.States[name] = AlarmOK
		}
	}
	return o
}
