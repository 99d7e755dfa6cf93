package rollout

import "time"

// PlannedID is the id of a deployment that is planned.
const PlannedID = "d-planned"

// Imagined is a service that does not exist, with an old revision in full, and the deployment of a new one begun.
func Imagined(config Config, desired int, begin time.Time) (State, error) {
	spec := Spec{TaskDefinition: "old:1", DesiredCount: desired, Config: DefaultConfig(), LoadBalancer: &LoadBalancer{
		TargetGroup: "blue", AlternateTargetGroup: "green", ProductionListener: "production", TestListener: "test",
		Algorithm: leastOutstandingRequests, DeregistrationDelay: defaultDeregistrationDelay,
	}}
	s := NewService(nil, DefaultCluster, "imagined", spec)
	for _, req := range []DeployRequest{
		{ID: "d-old", TaskDefinition: "old:1", Config: DefaultConfig()},
		{ID: PlannedID, TaskDefinition: "new:1", Config: config},
	} {
		decision, err := Deploy(s, req, begin)
		if err != nil || req.ID == PlannedID {
			return decision.Next, err
		}
		s = completed(decision.Next, begin)
	}
	return s, nil
}

// completed runs the deployment at work to its end in the ideal world.
func completed(s State, now time.Time) State {
	for range planLimit {
		decision := Decide(s, ideal(s, desire(s)), now)
		s = decision.Next
		if d := s.Deployment; d == nil || d.State.Terminal() {
			s.Deployment = nil
			if !decision.Changed {
				break
			}
		}
	}
	for i := range s.Service.TaskSets {
		for j := range s.Service.TaskSets[i].Tasks {
			s.Service.TaskSets[i].Tasks[j].CreateTime = time.Time{} // nobody has measured them
		}
	}
	return s
}
