package simulation

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

// database keeps the service as the real store does: as JSON, swapped by generation, its events with it. It checks the
// invariants of every save.
type database struct {
	w *world

	mu          sync.Mutex
	body        []byte        // the service's state
	state       rollout.State // the same, for reading
	generation  int64
	deployments map[string]rollout.Deployment
	order       []string // of deployments, by their first save
	events      map[string][]rollout.Event
	failed      map[string]bool // tasks whose failure was told
	marks       []store.Mark
	wanted      map[int64]wanted // by generation
	madeOf      map[string]int   // saves of engines, by deployment
	saves       int
	hookIDs     map[string]string // by deployment, stage, step, hook and round
	zeroTime    time.Time         // when the desired count was 0 last
	extra       int               // deployments that users began on their own
}

func newDatabase(w *world) *database {
	return &database{
		w: w, deployments: map[string]rollout.Deployment{}, events: map[string][]rollout.Event{}, failed: map[string]bool{},
		wanted: map[int64]wanted{}, madeOf: map[string]int{}, hookIDs: map[string]string{},
	}
}

func (b *database) active(wanted func(store.Key) bool) []rollout.State {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.body == nil || b.state.Service.Phase == rollout.Inactive || wanted != nil && !wanted(keyOf(b.state)) {
		return nil
	}
	return []rollout.State{b.read()}
}

func (b *database) get(key store.Key) (store.Aggregate, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.body == nil || key != keyOf(b.state) {
		return store.Aggregate{}, problem.New(problem.NotFound, "SERVICE_NOT_FOUND", "there is no service %s", key.Name)
	}
	return store.Aggregate{State: b.read()}, nil
}

func (b *database) read() (s rollout.State) {
	if err := json.Unmarshal(b.body, &s); err != nil {
		b.w.trace.violated("store", "%v", err)
	}
	return s
}

// save is an engine's.
func (b *database) save(by string, changes []store.Change) map[store.Key]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	saved := map[store.Key]bool{}
	for _, c := range changes {
		acts := b.actsAt(c.Next.Deployment)
		for _, a := range acts {
			if a.Before {
				b.w.act(b, a)
			}
		}
		if c.Next.Service.Generation != b.generation+1 {
			b.w.trace.add(by, "loses the compare-and-swap: generation %d follows %d", c.Next.Service.Generation, b.generation)
			continue
		}
		b.write(by, c, false)
		saved[keyOf(c.Next)] = true
		for _, a := range acts {
			if !a.Before {
				b.w.later(0, func() { b.w.actNow(a) })
			}
		}
	}
	return saved
}

// actsAt is what users do at this save.
func (b *database) actsAt(d *rollout.Deployment) (acts []Act) {
	if d == nil {
		return nil
	}
	b.madeOf[d.ID]++
	for _, a := range b.w.deploymentOf("web:" + d.ID).Acts {
		if a.Save == b.madeOf[d.ID] {
			acts = append(acts, a)
		}
	}
	return acts
}

// write makes a change that won. The lock is held.
func (b *database) write(by string, c store.Change, user bool) {
	before := b.state
	b.saves++
	b.generation = c.Next.Service.Generation
	names := []string{}
	for _, ended := range c.Ended {
		b.keep(ended.Deployment)
		b.record(c.Next.Service, ended.Events)
		names = append(names, "ends "+ended.Deployment.ID)
	}
	b.record(c.Next.Service, c.Events)
	for _, e := range c.Events {
		name := e.Name
		if task := e.Detail["task"]; task != "" {
			name += "(" + task + ")"
		} else if stage := e.Detail["lifecycleStage"]; stage != "" {
			name += "(" + stage + ")"
		}
		names = append(names, name)
	}
	b.w.trace.add(by, "saves generation %d: %s", b.generation, strings.Join(names, ", "))
	next := c.Next
	if d := next.Deployment; d != nil {
		b.keep(*d)
	}
	for _, waiting := range next.Service.Queue {
		b.keep(waiting)
	}
	b.check(before, c, user)
	if d := next.Deployment; d != nil && d.State.Terminal() {
		next.Deployment = nil
	}
	body, err := json.Marshal(next)
	if err != nil {
		b.w.trace.violated("store", "%v", err)
	}
	b.body = body
	if before.Service.Spec.DesiredCount == 0 {
		b.zeroTime = time.Now()
	}
	b.state = b.read()
	b.wanted[b.generation] = wantedOf(c.Next)
}

func (b *database) keep(d rollout.Deployment) {
	if _, known := b.deployments[d.ID]; !known {
		b.order = append(b.order, d.ID)
	}
	b.deployments[d.ID] = d
}

// record keeps events, and checks that none is missing, doubled or tells a failure again.
func (b *database) record(s rollout.Service, events []rollout.Event) {
	for _, e := range events {
		of := e.Deployment
		if of == "" {
			of = s.Key()
		}
		if want := int64(len(b.events[of])) + 1; e.Sequence != want {
			b.w.trace.violated("7 events", "event %d (%s) of %s where %d was to come", e.Sequence, e.Name, of, want)
		}
		b.events[of] = append(b.events[of], e)
		b.marks = append(b.marks, store.Mark{Cluster: s.Cluster, Service: s.Name, Deployment: e.Deployment})
		if e.Name == rollout.EventTaskFailed {
			if task := e.Detail["task"]; b.failed[task] {
				b.w.trace.violated("5 failures", "the failure of %s is told again", task)
			} else {
				b.failed[task] = true
			}
		}
	}
}

// command is a user's, who reads, decides and saves in one transaction. The lock is held.
func (b *database) command(what string, decide func(rollout.State) (rollout.Decision, error)) bool {
	cmd, err := decide(b.read())
	switch {
	case err != nil:
		b.w.trace.add("user", "%s: refused: %v", what, err)
		return false
	case !cmd.Changed:
		b.w.trace.add("user", "%s: nothing to do", what)
		return false
	}
	b.w.trace.add("user", "%s", what)
	b.write("user", store.Change{Next: cmd.Next, Events: cmd.Events, Ended: cmd.Ended}, true)
	return true
}

// look reads the state. It is not to be changed.
func (b *database) look() rollout.State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

// lastDesired is the desired count, or 0 if it was that a little ago.
func (b *database) lastDesired() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.zeroTime) < b.w.lag() {
		return 0
	}
	return b.state.Service.Spec.DesiredCount
}

// at is the deployment at work, its stage and whether it rolls back.
func (b *database) at() (id string, stage rollout.Stage, back bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if d := b.state.Deployment; d != nil {
		return d.ID, d.Stage, d.Rollback != nil
	}
	return "", "", false
}

func keyOf(s rollout.State) store.Key {
	return store.Key{Cluster: s.Service.Cluster, Name: s.Service.Name}
}

// The database is its own feed. A position is one above the number of events.

// EventEnd is engine.Feed.EventEnd.
func (b *database) EventEnd(context.Context) (store.Position, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return store.Position{Tx: uint64(len(b.marks)) + 1}, nil
}

// EventMarks is engine.Feed.EventMarks.
func (b *database) EventMarks(_ context.Context, since store.Position) ([]store.Mark, store.Position, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	marks := slices.Clone(b.marks[since.Tx-1:])
	return marks, store.Position{Tx: since.Tx + uint64(len(marks))}, nil
}

// Standing is engine.Feed.Standing.
func (b *database) Standing(context.Context) (map[store.Key]store.Stand, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	stand := store.Stand{Generation: b.generation}
	if d := b.state.Deployment; d != nil {
		stand.Deployment = d.ID
	}
	if b.state.Service.Phase == rollout.Inactive {
		return nil, nil
	}
	return map[store.Key]store.Stand{keyOf(b.state): stand}, nil
}
