package verdict

import "time"

// Reported is the health of a target after a report from outside: of its containers, or custom health. A report that changes the
// health comes into force after the delay, unless one that reverses it comes before (AWS Cloud Map:
// UpdateInstanceCustomHealthStatus). The first report of all does so at once: there is nothing that it changes.
func Reported(h Health, healthy bool, description string, delay time.Duration, now time.Time) Health {
	h.CheckTime = now
	if h.State == Draining {
		return h
	}
	h = Flipped(h, now)
	switch {
	case h.State == state(healthy):
		h.Description, h.Flip = description, Flip{}
	case h.State != Healthy && h.State != Unhealthy, delay <= 0:
		return h.become(healthy, description, now)
	case h.Flip.Time.IsZero():
		h.Flip = Flip{Healthy: healthy, Description: description, Time: now.Add(delay)}
	default:
		h.Flip.Description = description
	}
	return h
}

// Flipped is the health of a target after what was reported came into force, if it is time.
func Flipped(h Health, now time.Time) Health {
	if flip := h.Flip; !flip.Time.IsZero() && !flip.Time.After(now) && h.State != Draining {
		return h.become(flip.Healthy, flip.Description, now)
	}
	return h
}

func (h Health) become(healthy bool, description string, now time.Time) Health {
	if healthy {
		h.Successes, h.Failures = 1, 0
		return h.enter(Healthy, "", description, now)
	}
	h.Successes, h.Failures = 0, 1
	return h.enter(Unhealthy, FailedHealthChecks, description, now)
}

func state(healthy bool) State {
	if healthy {
		return Healthy
	}
	return Unhealthy
}
