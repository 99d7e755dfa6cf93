package process

import (
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
)

// The defaults of a container health check (ECS HealthCheck).
const (
	defaultCheckInterval = 30 * time.Second
	defaultCheckTimeout  = 5 * time.Second
	defaultCheckRetries  = 3
)

// checkState is what is known of one container's health.
type checkState struct {
	Health runtime.Health
	// Failures counts the failures in a row that count.
	Failures int
}

// after is the state after one more check. began is the time from the container's start to the check's. Failures in
// the start period do not count, but once a check has passed they do (ECS).
func (s checkState) after(check runtime.HealthCheck, began time.Duration, passed bool) checkState {
	if passed {
		return checkState{Health: runtime.Healthy}
	}
	if s.Health == runtime.Unknown && began < check.StartPeriod {
		return s
	}
	s.Failures++
	if s.Failures >= check.Retries {
		s.Health = runtime.Unhealthy
	}
	return s
}

// withCheckDefaults fills in what the check leaves open.
func withCheckDefaults(check runtime.HealthCheck) runtime.HealthCheck {
	if check.Interval == 0 {
		check.Interval = defaultCheckInterval
	}
	if check.Timeout == 0 {
		check.Timeout = defaultCheckTimeout
	}
	if check.Retries == 0 {
		check.Retries = defaultCheckRetries
	}
	return check
}
