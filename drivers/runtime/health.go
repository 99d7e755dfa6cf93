package runtime

// CheckedContainer is what a task's health needs to know of one of its containers.
type CheckedContainer struct {
	Essential bool
	HasCheck  bool
	Health    Health // by its own check; Unknown while it is being evaluated
}

// TaskHealth is a task's health over its essential containers that define a check: UNHEALTHY if any is unhealthy, else UNKNOWN if
// any is unknown, else HEALTHY; UNKNOWN when none defines one (ECS: determine task health using container health checks).
func TaskHealth(containers []CheckedContainer) Health {
	checked, unknown := false, false
	for _, c := range containers {
		if !c.Essential || !c.HasCheck {
			continue
		}
		checked = true
		switch c.Health {
		case Unhealthy:
			return Unhealthy
		case Healthy:
		default:
			unknown = true
		}
	}
	if !checked || unknown {
		return Unknown
	}
	return Healthy
}
