package rollout

// ideal is a world in which everything that is wanted is so at once: tasks run and are healthy, routes are in force,
// nothing is in flight, hooks succeed and alarms are OK.
func ideal(s State, want Desired) Observation {
	o := Observation{
		Runtime: RuntimeFacts{Known: true, Tasks: map[string]TaskFact{}},
		Health:  HealthFacts{Known: true, Targets: map[TargetKey]TargetFact{}},
		Traffic: TrafficFacts{Known: true, Generation: want.Generation, Drained: map[string]bool{}},
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
			o.Runtime.Tasks[t.Name] = TaskFact{TaskSet: set.ID, State: TaskRunning, Health: ContainersHealthy, Endpoints: []Endpoint{endpoint}}
			o.Health.Targets[TargetKey{set.TargetGroup, t.Name}] = TargetFact{State: TargetHealthy}
			o.Traffic.Drained[t.Name] = t.draining()
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
