// Package verdict decides the health of a target from the results of its checks, with the states, reasons and
// thresholds of Elastic Load Balancing (ELBv2 TargetHealth). It is pure: no clock, no network, no ids.
package verdict

import (
	"time"
)

// State is ELBv2's TargetHealthStateEnum.
type State string

// The states of a target.
const (
	Initial     State = "INITIAL"
	Healthy     State = "HEALTHY"
	Unhealthy   State = "UNHEALTHY"
	Unused      State = "UNUSED"
	Draining    State = "DRAINING"
	Unavailable State = "UNAVAILABLE"
)

// States lists every state.
func States() []State { return []State{Initial, Healthy, Unhealthy, Unused, Draining, Unavailable} }

// The reason codes of ELBv2.
const (
	RegistrationInProgress   = "Elb.RegistrationInProgress"
	InitialHealthChecking    = "Elb.InitialHealthChecking"
	ResponseCodeMismatch     = "Target.ResponseCodeMismatch"
	Timeout                  = "Target.Timeout"
	FailedHealthChecks       = "Target.FailedHealthChecks"
	NotRegistered            = "Target.NotRegistered"
	DeregistrationInProgress = "Target.DeregistrationInProgress"
)

// Health is what is known of a target.
type Health struct {
	State       State
	Reason      string // "" when healthy
	Description string
	Successes   int // in a row
	Failures    int // in a row
	StateTime   time.Time
	CheckTime   time.Time // zero before the first check
	Flip        Flip
}

// Flip is a reported health that is not in force yet.
type Flip struct {
	Healthy     bool
	Description string
	Time        time.Time // when it comes into force; zero when there is none
}

// Registered is the health of a target that was registered now.
func Registered(now time.Time) Health {
	return Health{State: Initial, Reason: RegistrationInProgress, Description: "Target registration is in progress", StateTime: now}
}

// Result is how one check ended.
type Result struct {
	OK           bool
	Reason       string // a reason code when not OK
	Description  string
	Inconclusive bool // this machine could not make the check; it says nothing of the target
}

// Next is the health after a check. A target that was never healthy needs one success, whatever the threshold; after that
// the thresholds count results in a row (ELB: health checks for target groups).
func Next(c Check, h Health, r Result, now time.Time) Health {
	if r.Inconclusive {
		return h
	}
	h.CheckTime = now
	switch {
	case r.OK:
		h.Successes, h.Failures = h.Successes+1, 0
	case h.State == Initial && now.Sub(h.StateTime) < time.Duration(h.Failures+1)*c.Interval:
		// A new target is looked at more often than its interval says, to take traffic as soon as it can. That must not make
		// it fail sooner: a failure counts once an interval.
		h.Reason, h.Description = InitialHealthChecking, "Initial health checks in progress"
		return h
	default:
		h.Successes, h.Failures = 0, h.Failures+1
	}
	switch h.State {
	case Draining, Unused:
		return h
	case Initial:
		switch {
		case r.OK:
			return h.enter(Healthy, "", "", now)
		case h.Failures >= c.UnhealthyThreshold:
			return h.enter(Unhealthy, r.Reason, r.Description, now)
		default:
			h.Reason, h.Description = InitialHealthChecking, "Initial health checks in progress"
		}
	case Healthy, Unavailable:
		if !r.OK && h.Failures >= c.UnhealthyThreshold {
			return h.enter(Unhealthy, r.Reason, r.Description, now)
		}
	case Unhealthy:
		if r.OK && h.Successes >= c.HealthyThreshold {
			return h.enter(Healthy, "", "", now)
		}
		if !r.OK {
			h.Reason, h.Description = r.Reason, r.Description
		}
	}
	return h
}

func (h Health) enter(s State, reason, description string, now time.Time) Health {
	h.State, h.Reason, h.Description, h.StateTime, h.Flip = s, reason, description, now, Flip{}
	return h
}

// Deregistered is the health of a target in its deregistration delay.
func Deregistered(h Health, now time.Time) Health {
	return h.enter(Draining, DeregistrationInProgress, "Target deregistration is in progress", now)
}

// Pause is the time from one check of a target to the next. A target that nobody knows the health of yet is looked at more
// often, so that a new task takes traffic as soon as it can; Next sees to it that it does not fail sooner.
func Pause(c Check, h Health) time.Duration {
	if h.State == Initial {
		return min(c.Interval, max(c.Interval/10, initialPause))
	}
	return c.Interval
}

const initialPause = 20 * time.Millisecond
