package simulation

import (
	"time"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

// recovered notes the tasks that failed their health checks and do no longer: should they fail them again, that is another failure.
func (b *database) recovered(before, after rollout.Service) {
	failing := map[string]bool{}
	for _, set := range before.TaskSets {
		for _, t := range set.Tasks {
			failing[t.Name] = t.Unhealthy
		}
	}
	for _, set := range after.TaskSets {
		for _, t := range set.Tasks {
			if failing[t.Name] && !t.Unhealthy {
				delete(b.failed, t.Name)
			}
		}
	}
}

// A failure is counted once: the count of a deployment grows by what is told, and by nothing else.
func (b *database) checkFailures(before rollout.State, c store.Change) {
	d, was := c.Next.Deployment, before.Deployment
	if d == nil || was == nil || d.ID != was.ID {
		return
	}
	told := 0
	for _, e := range c.Events {
		if e.Name == rollout.EventTaskFailed {
			told++
		}
	}
	if d.Failures < was.Failures && d.Config.Strategy != rollout.Rolling { // there, a task that stays healthy resets it
		b.w.trace.violated("5 failures", "%s counts %d after %d", d.ID, d.Failures, was.Failures)
	}
	if d.Failures > was.Failures+told {
		b.w.trace.violated("5 failures", "%s counts %d after %d, and %d were told", d.ID, d.Failures, was.Failures, told)
	}
}

// A time that was set stays as it is, whoever goes on with the deployment.
func (b *database) checkTimers(before, after rollout.State) {
	d, was := after.Deployment, before.Deployment
	if d == nil || was == nil || d.ID != was.ID || (d.Rollback != nil) != (was.Rollback != nil) {
		return
	}
	moved := func(what string, from, to time.Time) {
		if !from.IsZero() && !to.IsZero() && !from.Equal(to) {
			b.w.trace.violated("4 timers", "%s of %s moves from %s to %s", what, d.ID, from.Sub(b.w.trace.began), to.Sub(b.w.trace.began))
		}
	}
	moved("the start", was.StartTime, d.StartTime)
	if d.Stage == was.Stage && d.Step == was.Step {
		moved("the bake time", was.BakeUntil, d.BakeUntil)
		moved("the scale-up deadline", was.ScaleUpDeadline, d.ScaleUpDeadline)
		moved("the stage", was.StageTime, d.StageTime)
	}
	if was.Stage == rollout.BakeTime && !was.BakeUntil.IsZero() && d.Rollback == nil &&
		(d.Stage == rollout.CleanUp || d.State == rollout.Successful) && time.Now().Add(time.Second).Before(was.BakeUntil) {
		b.w.trace.violated("4 timers", "the bake time of %s is cut by %s", d.ID, time.Until(was.BakeUntil))
	}
	if d.Rollback != nil && was.Rollback != nil {
		moved("the rollback's deadline", was.Rollback.Deadline, d.Rollback.Deadline)
	}
}

// checkWaits fails when a deployment goes on for long without a change and says nothing of what it waits for.
func (w *world) checkWaits(s rollout.State) {
	if d := s.Deployment; s.Service.Generation != w.still.generation || d == nil || len(d.Conditions) > 0 {
		w.still.generation, w.still.since = s.Service.Generation, time.Now()
		return
	}
	if limit := time.Minute + w.lag(); time.Since(w.still.since) > limit {
		w.trace.violated("4 waits", "deployment %s (%s at %q) stands still for %s and says of nothing that it waits for it",
			s.Deployment.ID, s.Deployment.State, s.Deployment.Stage, limit)
	}
}

// checkGivenUp fails when an invocation goes on for which no deployment waits any more.
func (w *world) checkGivenUp(s rollout.State) {
	limit := 10 * time.Second
	limit = max(limit, w.lag())
	wanted := wantedOf(s).hooks
	w.hooks.Read(func(all []*hookspb.Invocation) {
		for _, i := range all {
			if wanted[i.GetId()] || i.GetOutcome() != hookspb.Invocation_OUTCOME_UNSPECIFIED {
				delete(w.givenUp, i.GetId())
				continue
			}
			if w.givenUp[i.GetId()].IsZero() {
				w.givenUp[i.GetId()] = time.Now()
			}
			if time.Since(w.givenUp[i.GetId()]) > limit {
				w.trace.violated("6 hooks", "%s goes on, and nobody has waited for it for %s", i.GetId(), limit)
			}
		}
	})
}
