package engine

import (
	"context"
	"time"

	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

const (
	sweepShared = 2 * time.Second  // while another replica may have changed a service and its message was missed ...
	stillShared = 30 * time.Second // ... which may have been its last
	sweepAlone  = 10 * time.Second // to find what should not be
	overdue     = 30 * time.Second // after its time a decision is missing
)

// sweepEvery is for watchOthers alone.
func (e *Engine) sweepEvery() time.Duration {
	now := e.Now()
	if e.Leases.Members() > 1 {
		e.shared = now
	}
	if !e.shared.IsZero() && now.Sub(e.shared) < stillShared {
		return sweepShared
	}
	return sweepAlone
}

// rest is how a worker lies when it has nothing to do for now.
type rest struct {
	generation int64
	deployment string    // that has not ended; "" for none
	due        time.Time // when it decides again by itself; zero for never
	waits      bool      // the deployment says what it waits for
}

func restOf(s rollout.State, due time.Time) *rest {
	r := &rest{generation: s.Service.Generation, due: due}
	if d := s.Deployment; d != nil && !d.State.Terminal() {
		r.deployment, r.waits = d.ID, len(d.Conditions) > 0
	}
	return r
}

// stuck says why a deployment would never go on, or "".
func (r *rest) stuck(now time.Time) string {
	switch {
	case r.deployment == "":
		return ""
	case r.due.IsZero() && !r.waits:
		return "it has no due time and waits for nothing"
	case !r.due.IsZero() && now.Sub(r.due) > overdue:
		return "it was due at " + r.due.UTC().Format(time.RFC3339)
	}
	return ""
}

// sweep compares what is worked on with what the store has. A service that lacks a worker gets one, and one that was changed by
// somebody else is loaded again: that heals a missed message. A deployment that would never go on is reported: there should
// be none.
func (e *Engine) sweep(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	standing, err := e.Feed.Standing(ctx)
	if err != nil {
		e.Log.Debug("services cannot be listed", "cause", err)
		return
	}
	missing, stuck := map[store.Key]bool{}, map[string]bool{}
	for key, stand := range standing {
		if !e.holds(key) {
			continue
		}
		e.mu.Lock()
		w := e.workers[key]
		e.mu.Unlock()
		if w == nil {
			missing[key] = true
			e.reportMissing(key, stand)
			e.workOn(key)
			continue
		}
		r := w.rest.Load()
		if r == nil {
			continue // it is at work
		}
		why := r.stuck(e.Now())
		if why != "" {
			stuck[r.deployment] = true
			e.reportStuck(key, r.deployment, why)
		}
		if why != "" || r.generation < stand.Generation {
			e.Wake(key)
		}
	}
	e.swept.missing, e.swept.stuck = missing, stuck
	e.Metrics.swept(ctx, len(stuck), len(e.Leases.Held()))
}

// reportMissing tells of a deployment that nobody works on. One that was just acquired may be about to be.
func (e *Engine) reportMissing(key store.Key, stand store.Stand) {
	if e.swept.missing[key] && stand.Deployment != "" {
		e.Log.Warn("nobody works on a deployment; taking it up", "service", serviceName(key), "deployment", stand.Deployment)
	}
}

// reportStuck tells of it once.
func (e *Engine) reportStuck(key store.Key, deployment, why string) {
	if !e.swept.stuck[deployment] {
		e.Log.Warn("a deployment would never go on by itself; deciding again", "service", serviceName(key), "deployment", deployment, "why", why)
	}
}
