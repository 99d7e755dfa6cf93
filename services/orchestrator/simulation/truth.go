package simulation

import (
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
)

// lag is how old what an engine acts on may be.
func (w *world) lag() time.Duration {
	if w.plan.Budget == 0 && w.plan.CrashAt == 0 && w.plan.CutOff == 0 {
		return time.Millisecond
	}
	return 2 * time.Minute
}

// health is what is true of a target.
type health struct {
	healthy bool
	since   time.Time
}

func (w *world) heard(t *healthcheckpb.TargetHealth) {
	w.mu.Lock()
	defer w.mu.Unlock()
	healthy := t.GetState() == healthcheckpb.TargetHealth_STATE_HEALTHY
	if w.healthy[t.GetTarget().GetId()].healthy != healthy {
		w.healthy[t.GetTarget().GetId()] = health{healthy, time.Now()}
	}
}

func (w *world) ended(i *hookspb.Invocation) {
	if i.GetOutcome() == hookspb.Invocation_OUTCOME_UNSPECIFIED {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if had := w.outcomes[i.GetId()]; had != "" && had != i.GetOutcome().String() {
		w.trace.violated("6 hooks", "invocation %s ended as %s, then as %s", i.GetId(), had, i.GetOutcome())
	}
	w.outcomes[i.GetId()] = i.GetOutcome().String()
}

// up reports whether a task was healthy within the lag, and surely whether it has been for longer than that.
func (w *world) up(tasks map[string]runtime.Task, name string) (lately, surely bool) {
	task, exists := tasks[name]
	if !exists {
		return false, false
	}
	now, lag := time.Now(), w.lag()
	is := health{healthy: !task.RunningTime.IsZero(), since: task.RunningTime.Add(minimumHealthy - time.Second)} // clocks differ a little
	if w.plan.LoadBalancer {
		w.mu.Lock()
		is = w.healthy[name]
		w.mu.Unlock()
	}
	if is.since.IsZero() || is.since.After(now) {
		return false, false
	}
	stops := task.State == runtime.Stopping || task.State == runtime.Stopped
	lately = is.healthy || now.Sub(is.since) <= lag
	if stops {
		lately = lately && !task.StopTime.IsZero() && now.Sub(task.StopTime) <= lag
	}
	return lately, is.healthy && !stops && now.Sub(is.since) > lag
}
