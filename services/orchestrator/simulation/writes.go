package simulation

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// wanted is what a saved state wants of the outside.
type wanted struct {
	sets    map[string][]string
	shares  string
	targets map[string]bool // "target group/task"
	hooks   map[string]bool
}

func wantedOf(s rollout.State) wanted {
	want := wanted{sets: map[string][]string{}, shares: sharesText(s.Service.Production), targets: map[string]bool{}, hooks: map[string]bool{}}
	for _, set := range s.Service.TaskSets {
		for _, t := range set.Tasks {
			want.sets[set.ID] = append(want.sets[set.ID], t.Name)
			want.targets[set.TargetGroup+"/"+t.Name] = true
		}
	}
	if s.Deployment != nil {
		for _, h := range s.Deployment.Hooks {
			want.hooks[h.ID] = true
		}
	}
	return want
}

// saved is what the state of a generation wants; a write of a generation that is not saved yet is a violation.
func (b *database) saved(by string, generation int64, what string) (wanted, bool) {
	if generation > b.generation {
		b.w.trace.violated("7 persist first", "%s %s with generation %d while %d is saved", by, what, generation, b.generation)
		return wanted{}, false
	}
	want, there := b.wanted[generation]
	return want, there
}

func (b *database) wantsTasks(by string, generation int64, _, set string, tasks []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	want, there := b.saved(by, generation, "orders tasks")
	if there && !slices.Equal(want.sets[set], tasks) {
		b.w.trace.violated("7 persist first", "%s orders %v of %s with generation %d, whose state has %v", by, tasks, set, generation, want.sets[set])
	}
}

func (b *database) wantsRoutes(by string, generation int64, routes traffic.Routes) {
	b.mu.Lock()
	defer b.mu.Unlock()
	want, there := b.saved(by, generation, "routes")
	if got := sharesOf(routes); there && got != want.shares {
		b.w.trace.violated("7 persist first", "%s routes %s with generation %d, whose state has %s", by, got, generation, want.shares)
	}
}

func (b *database) wantsTargets(by string, req *healthcheckpb.RegisterTargetsRequest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	want, there := b.saved(by, req.GetGeneration(), "registers targets")
	for _, t := range req.GetTargets() {
		if at := req.GetTargetGroup() + "/" + t.GetId(); there && !want.targets[at] {
			b.w.trace.violated("7 persist first", "%s registers %s with generation %d, whose state does not have it", by, at, req.GetGeneration())
		}
	}
}

// wantsHook checks that an invocation is asked for by the state, and that each has one identity.
func (b *database) wantsHook(by string, req *hookspb.InvokeHookRequest) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := req.GetInvocation()
	want, there := b.saved(by, req.GetGeneration(), "invokes a hook")
	if there && !want.hooks[i.GetId()] {
		b.w.trace.violated("7 persist first", "%s invokes %s with generation %d, whose state does not have it", by, i.GetId(), req.GetGeneration())
	}
	of := fmt.Sprintf("%s/%s/%d/%s/%t", i.GetDeployment(), i.GetLifecycleStage(), i.GetStep(), i.GetHook(), strings.HasSuffix(i.GetId(), "/rollback"))
	if had := b.hookIDs[of]; had != "" && had != i.GetId() {
		b.w.trace.violated("6 hooks", "%s has the identities %s and %s", of, had, i.GetId())
	}
	b.hookIDs[of] = i.GetId()
}

// stops looks at what an order to the runtime is going to stop. The check that it returns, for when the order was accepted, fails
// when a healthy task is stopped that the data plane still sends new requests to.
func (w *world) stops(service, set string, wanted []string) (check func()) {
	applied, _ := w.plane().Routes(service)
	var served []string
	tasks := w.runtime.Tasks()
	for _, g := range applied.Routes.TargetGroups {
		if forwards(applied.Routes)[g.Name] == 0 {
			continue
		}
		for _, t := range g.Targets {
			_, surely := w.up(tasks, t.ID)
			if surely && !t.Draining && tasks[t.ID].TaskSet == set && !slices.Contains(wanted, t.ID) {
				served = append(served, t.ID)
			}
		}
	}
	return func() {
		if len(served) > 0 {
			w.trace.violated("2 drain", "%v are stopped while the data plane sends them requests", served)
		}
	}
}

// checkRoutes checks what the data plane is told against what it had, and what is true. A write is in progress.
func (w *world) checkRoutes(before, after traffic.Routes) {
	had := forwards(before)
	targets, tasks := map[string][]string{}, w.runtime.Tasks()
	alive := func(group string) bool {
		return slices.ContainsFunc(targets[group], func(id string) bool {
			lately, _ := w.up(tasks, id)
			return lately
		})
	}
	for _, g := range after.TargetGroups {
		for _, t := range g.Targets {
			if !t.Draining {
				targets[g.Name] = append(targets[g.Name], t.ID)
			}
		}
	}
	has := forwards(after)
	sum := 0
	none := w.database.lastDesired() == 0 // nobody is to serve
	for group, weight := range has {
		sum += weight
		for other := range has {
			if weight <= had[group] || other == group || none {
				continue
			}
			if len(targets[group]) == 0 && len(targets[other]) > 0 {
				w.trace.violated("1 weights", "%s gets %d of 1000 and has no target, while %s has", group, weight, other)
			}
			if !alive(group) && alive(other) {
				w.trace.violated("1 weights", "%s gets %d of 1000 and none of %v is healthy, while one of %s is", group, weight, targets[group], other)
			}
		}
	}
	if sum != rollout.FullShare {
		w.trace.violated("1 weights", "the data plane is told weights that sum to %d", sum)
	}
}

func forwards(r traffic.Routes) map[string]int {
	weights := map[string]int{}
	for _, l := range r.Listeners {
		if l.Name == "production" {
			for _, f := range l.Forward {
				weights[f.TargetGroup] = f.Weight
			}
		}
	}
	return weights
}

func sharesOf(r traffic.Routes) string {
	var list []rollout.Weight
	weights := forwards(r)
	for _, group := range slices.Sorted(maps.Keys(weights)) {
		list = append(list, rollout.Weight{TargetGroup: group, Share: weights[group]})
	}
	return sharesText(list)
}

func sharesText(weights []rollout.Weight) string {
	texts := make([]string, 0, len(weights))
	for _, x := range weights {
		texts = append(texts, fmt.Sprintf("%s=%d", x.TargetGroup, x.Share))
	}
	slices.Sort(texts)
	return strings.Join(texts, " ")
}
