package engine_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slipway-deploy/slipway/platform/lease"
	"github.com/slipway-deploy/slipway/platform/watch"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/engine"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

// fleet is engines that share the services by shard.
type fleet struct {
	engines []*engine.Engine

	mu      sync.Mutex
	holders [lease.Shards]int // index of an engine; -1 for nobody
	mute    bool              // messages are missed
}

// share is one engine's view of the fleet.
type share struct {
	f  *fleet
	is int
}

func (s share) Holds(shard int) bool {
	s.f.mu.Lock()
	defer s.f.mu.Unlock()
	return s.f.holders[shard] == s.is
}

func (s share) Held() []int { return s.f.heldBy(s.is) }

func (s share) Members() int { return len(s.f.engines) }

func (s share) Tell(_ context.Context, message string) error {
	s.f.mu.Lock()
	mute := s.f.mute
	s.f.mu.Unlock()
	if !mute {
		for _, e := range s.f.engines {
			e.Told(message)
		}
	}
	return nil
}

func (f *fleet) heldBy(engine int) []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	var held []int
	for shard, holder := range &f.holders {
		if holder == engine {
			held = append(held, shard)
		}
	}
	return held
}

// newFleet starts engines that hold the shards by turns.
func newFleet(w *world, n int) *fleet {
	w.t.Helper()
	f := &fleet{}
	for i := range f.holders {
		f.holders[i] = i % n
	}
	for i := range n {
		f.engines = append(f.engines, w.sharing(w.store, share{f, i}))
	}
	for i, e := range f.engines {
		if err := e.Start(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		e.Acquired(f.heldBy(i))
	}
	synctest.Wait()
	return f
}

func shardOf(name string) int { return lease.ShardOf("default/" + name) }

// of is the engine that holds the service, and another.
func (f *fleet) of(name string) (holder, other int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	holder = f.holders[shardOf(name)]
	return holder, (holder + 1) % len(f.engines)
}

// give moves a service's shard. The one that loses it is told only if it is said so.
func (f *fleet) give(name string, to int, told bool) {
	from, _ := f.of(name)
	f.mu.Lock()
	f.holders[shardOf(name)] = to
	f.mu.Unlock()
	if told && from >= 0 {
		f.engines[from].Lost([]int{shardOf(name)})
	}
	if to >= 0 {
		f.engines[to].Acquired([]int{shardOf(name)})
	}
}

func (w *world) successful(id string) func() bool {
	return func() bool { return w.deployment(id).State == rollout.Successful }
}

func TestEachServiceIsWorkedOnByTheReplicaThatHoldsItsShard(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		var names []string
		for i := range 20 {
			names = append(names, fmt.Sprintf("web%d", i))
			w.create(names[i], blueGreen())
		}
		f := newFleet(w, 2)
		worked := [2]int{}
		for _, name := range names {
			w.within(time.Minute, name+" is live", w.successful(name+"-1"))
			holder, other := f.of(name)
			if !f.engines[holder].Works(key(name)) || f.engines[other].Works(key(name)) {
				t.Errorf("%s is not worked on by its holder alone", name)
			}
			worked[holder]++
		}
		if worked[0] == 0 || worked[1] == 0 {
			t.Errorf("the services were shared as %v", worked)
		}
	})
}

func TestADeploymentGoesOnWhereItsShardGoes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.create("web", withHook(baking(time.Minute), rollout.PostScaleUp))
		f := newFleet(w, 2)
		first, second := f.of("web")
		w.within(30*time.Second, "it bakes", func() bool { return w.state("web").Deployment.Stage == rollout.BakeTime })
		baked := time.Now()
		pass(20 * time.Second)
		f.give("web", second, true)
		synctest.Wait()
		if f.engines[first].Works(key("web")) || !f.engines[second].Works(key("web")) {
			t.Fatal("the work did not move")
		}
		w.within(2*time.Minute, "the deployment is done", w.successful("web-1"))
		if took := time.Since(baked); took < 55*time.Second || took > 65*time.Second {
			t.Errorf("the bake time took %s", took)
		}
		if n := w.hooks.known(); n != 1 {
			t.Errorf("%d invocations", n)
		}
	})
}

// A replica that slept through the end of its lease does nothing when it wakes, before anybody has told it.
func TestAReplicaWhoseLeaseEndedUnnoticedDoesNothing(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.create("web", baking(time.Minute))
		f := newFleet(w, 2)
		first, _ := f.of("web")
		w.within(30*time.Second, "it bakes", func() bool { return w.state("web").Deployment.Stage == rollout.BakeTime })
		f.give("web", -1, false)
		saves := w.store.saves()
		f.engines[first].Wake(key("web"))
		pass(2 * time.Minute)
		if w.store.saves() != saves || w.state("web").Deployment == nil {
			t.Error("it went on without a lease")
		}
		if f.engines[first].Works(key("web")) {
			t.Error("it still has a worker")
		}
		f.give("web", first, false)
		w.within(time.Second, "the deployment is done", w.successful("web-1"))
	})
}

// A lease that comes back before anybody has told of its end, by whatever accident, leaves no service behind.
func TestALeaseThatComesBackUnnoticedLeavesNothingUndone(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.create("web", baking(time.Minute))
		f := newFleet(w, 2)
		first, _ := f.of("web")
		w.within(30*time.Second, "it bakes", func() bool { return w.state("web").Deployment.Stage == rollout.BakeTime })
		set := func(holder int) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.holders[shardOf("web")] = holder
		}
		set(-1)
		f.engines[first].Wake(key("web"))
		pass(2 * time.Minute)
		set(first)
		w.within(5*time.Second, "the deployment is done", w.successful("web-1"))
	})
}

func TestACommandAtAnyReplicaReachesTheOneThatWorksOnTheService(t *testing.T) {
	for name, mute := range map[string]bool{"told": false, "its message was missed": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.create("web", blueGreen())
				f := newFleet(w, 2)
				w.within(time.Minute, "web is live", w.successful("web-1"))
				_, other := f.of("web")
				f.mu.Lock()
				f.mute = mute
				f.mu.Unlock()
				pass(10 * time.Second)
				w.command("web", wanted(5))
				f.engines[other].Wake(key("web"))
				limit := 100 * time.Millisecond
				if mute {
					limit = 3 * time.Second
				}
				w.within(limit, "five tasks run", func() bool { return len(w.running("web")) == 5 })
			})
		})
	}
}

func TestAServiceCreatedAtAnotherReplicaIsTakenUp(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		f := newFleet(w, 2)
		f.mute = true
		w.create("web", blueGreen()) // nobody is told
		w.within(3*time.Second, "web is live", w.successful("web-1"))
	})
}

func TestReadersAtEveryReplicaAreToldOfChanges(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		f := newFleet(w, 3)
		pass(time.Second)
		w.create("web", blueGreen())
		holder, other := f.of("web")
		told := []string{"deployment:web-1", engine.EventsKey}
		var listeners []*watch.Listener[string]
		for _, of := range told {
			listeners = append(listeners, f.engines[other].Listen(of))
		}
		f.engines[holder].Wake(key("web"))
		w.within(time.Second, "the deployment is done", w.successful("web-1"))
		pass(300 * time.Millisecond)
		for i, of := range told {
			if listeners[i].Count() == 0 {
				t.Errorf("readers of %s at another replica were not told", of)
			}
		}
	})
}

func TestADeploymentThatWouldNeverGoOnIsDecidedAgain(t *testing.T) {
	for name, due := range map[string]time.Duration{"nothing wakes it": 0, "its time was missed": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.create("web", baking(time.Hour))
				f := newFleet(w, 1)
				w.within(30*time.Second, "it bakes", func() bool { return w.state("web").Deployment.Stage == rollout.BakeTime })
				var at time.Time
				if due != 0 {
					at = time.Now().Add(due)
				}
				f.engines[0].Strand(key("web"), "web-1", at)
				gets := w.store.calls()
				pass(11 * time.Second)
				if w.store.calls() == gets {
					t.Error("it was not loaded again")
				}
				calls := w.store.calls()
				pass(time.Minute)
				if w.store.calls() != calls {
					t.Error("it is loaded again and again though it is well")
				}
			})
		})
	}
}

// What is loaded of a store is what the replica holds, not all there is.
func TestOnlyTheStatesOfHeldShardsAreRead(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for i := range 20 {
			w.plain(fmt.Sprintf("web%d", i))
		}
		read := &reads{memory: w.store}
		f := &fleet{}
		for i := range f.holders {
			f.holders[i] = -1
		}
		f.engines = []*engine.Engine{w.sharing(read, share{f, 0})}
		if err := f.engines[0].Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.give("web7", 0, false)
		synctest.Wait()
		for _, key := range read.keys() {
			if shardOf(key.Name) != shardOf("web7") {
				t.Errorf("%v was read", key)
			}
		}
		if !slices.Contains(read.keys(), key("web7")) {
			t.Error("web7 was not read")
		}
	})
}

// reads notes the states that are read.
type reads struct {
	*memory
	noted []store.Key
}

func (r *reads) keys() []store.Key {
	return get(r.memory, func(*memory) []store.Key { return slices.Clone(r.noted) })
}

func (r *reads) ServicesActive(ctx context.Context, wanted func(store.Key) bool) ([]rollout.State, error) {
	list, err := r.memory.ServicesActive(ctx, wanted)
	r.set(func(*memory) {
		for _, s := range list {
			r.noted = append(r.noted, keyOf(s))
		}
	})
	return list, err
}
