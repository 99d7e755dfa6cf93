package simulation

import (
	"fmt"
	"time"

	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

// create makes the service with its first deployment pending.
func (w *world) create() {
	first := w.plan.Deployments[0]
	spec := rollout.Spec{
		TaskDefinition: "web:" + first.ID, DesiredCount: w.plan.Desired, Config: first.Config, HealthCheckGracePeriod: 15 * time.Second,
	}
	if w.plan.LoadBalancer {
		spec.LoadBalancer = &rollout.LoadBalancer{
			TargetGroup: "a", AlternateTargetGroup: "b", ProductionListener: "127.0.0.1:80", TestListener: "127.0.0.1:81",
			DeregistrationDelay: 20 * time.Second,
		}
	}
	s := rollout.NewService(nil, rollout.DefaultCluster, "web", spec)
	b := w.database
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state = s
	cmd, err := rollout.Deploy(s, rollout.DeployRequest{ID: first.ID, TaskDefinition: "web:" + first.ID, Config: first.Config}, time.Now())
	if err != nil {
		w.trace.violated("plan", "%v", err)
		return
	}
	b.write("user", store.Change{Next: cmd.Next, Events: cmd.Events}, true)
}

// user is what people do: one deployment after the other, patience, and a word where a deployment waits for one.
func (w *world) user() {
	for _, d := range w.plan.Deployments[1:] {
		if d.Supersede {
			w.sleep(w.ctx, w.dice.between(d.ID+" patience", time.Second, 10*time.Minute))
		} else {
			w.rest()
		}
		if d.Alarm == BurnsBefore {
			w.burning.Store(time.Now().Add(75 * time.Second).UnixNano())
			w.sleep(w.ctx, 40*time.Second)
		}
		w.deploy(d.ID, d.Config)
	}
	w.rest()
	w.ceased.Store(true)
	for _, d := range w.plan.Deployments {
		w.script(d)
	}
	w.arrive()
}

func (w *world) deploy(id string, c rollout.Config) {
	w.tell("deploys "+id, func(s rollout.State) (rollout.Decision, error) {
		return rollout.Deploy(s, rollout.DeployRequest{ID: id, TaskDefinition: "web:" + id, Config: c, Supersede: true}, time.Now())
	})
}

// tell gives a command, and wakes a process as the API does that took it.
func (w *world) tell(what string, decide func(rollout.State) (rollout.Decision, error)) {
	w.database.mu.Lock()
	changed := w.database.command(what, decide)
	w.database.mu.Unlock()
	if changed {
		w.wake()
	}
}

func (w *world) wake() {
	if up := w.reachable(); len(up) > 0 {
		pick(w.dice, "api", up...).engine.Wake(store.Key{Cluster: rollout.DefaultCluster, Name: "web"})
	}
}

// act is what a user does at a save, in the middle of it. The database's lock is held.
func (w *world) act(b *database, a Act) {
	if b.command(a.What, w.deed(b, a)) {
		w.later(0, w.wake)
	}
}

// actNow is the same right after the save.
func (w *world) actNow(a Act) {
	w.database.mu.Lock()
	defer w.database.mu.Unlock()
	w.act(w.database, a)
}

func (w *world) deed(b *database, a Act) func(rollout.State) (rollout.Decision, error) {
	now := time.Now()
	return func(s rollout.State) (rollout.Decision, error) {
		count := s.Service.Spec.DesiredCount
		switch a.What {
		case ActStop:
			return rollout.Stop(s, rollout.StopDefault, "", now)
		case ActAbort:
			return rollout.Stop(s, rollout.StopAbort, "", now)
		case ActContinue:
			return rollout.Continue(s, rollout.Answer{Rollback: hash(w.plan.Seed, "answer", a.Save)%2 == 0}, now)
		case ActGrow:
			return rollout.UpdateService(s, rollout.Update{DesiredCount: new(count + 2)}, now)
		case ActShrink:
			return rollout.UpdateService(s, rollout.Update{DesiredCount: new(max(count-1, 1))}, now)
		case ActToZero:
			return rollout.UpdateService(s, rollout.Update{DesiredCount: new(0)}, now)
		default:
			b.extra++
			id := fmt.Sprintf("x-%d", b.extra)
			return rollout.Deploy(s, rollout.DeployRequest{ID: id, TaskDefinition: "web:" + id, Config: s.Service.Spec.Config, Supersede: true}, now)
		}
	}
}

// rest waits until no deployment is at work, and continues what waits for a person.
func (w *world) rest() {
	asked := map[string]time.Time{}
	for end := time.Now().Add(longestRun); time.Now().Before(end) && !w.over(); w.sleep(w.ctx, time.Second) {
		s := w.database.look()
		w.checkGivenUp(s)
		w.checkWaits(s)
		d := s.Deployment
		if d == nil && len(s.Service.Queue) == 0 {
			return
		}
		if d == nil {
			continue
		}
		for _, h := range d.Hooks {
			if h.Status != rollout.HookAwaitingAction {
				continue
			}
			if asked[h.ID].IsZero() {
				asked[h.ID] = time.Now()
			}
			if time.Since(asked[h.ID]) >= personTakes {
				asked[h.ID] = time.Now()
				w.tell("continues "+h.ID, func(s rollout.State) (rollout.Decision, error) {
					return rollout.Continue(s, rollout.Answer{HookID: h.ID}, time.Now())
				})
			}
		}
	}
	if d := w.database.look().Deployment; d != nil && !w.over() {
		w.trace.violated("4 ends", "deployment %s has not ended after %s: %s at %q, waits for %+v", d.ID, longestRun, d.State, d.Stage, d.Conditions)
	}
}
