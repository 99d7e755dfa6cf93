// Package engine carries out what package rollout decides. For each service one goroutine repeats: observe, decide,
// persist, converge. It sleeps until an observation changes or the time the decision named, whichever is first.
//
// The engine decides nothing about a deployment. It knows when to ask again, how to reach the other services, and that a
// state is persisted before anything is done about it. A save that loses the compare-and-swap, and a write that a
// receiver refuses as stale, mean that somebody else went on: the state is loaded again.
package engine

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/traffic"
	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/lease"
	"github.com/slipway-deploy/slipway/platform/watch"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

// Store keeps the states. Package store has the one for Postgres, and says what its methods promise.
type Store interface {
	ServicesActive(ctx context.Context, wanted func(store.Key) bool) ([]rollout.State, error)
	ServiceGet(ctx context.Context, cluster, name string) (store.Aggregate, error)
	Save(ctx context.Context, changes []store.Change) (saved map[store.Key]bool, err error)
}

var _ Store = (*store.Store)(nil)

// Config is what the engine works with.
type Config struct {
	Store   Store
	Leases  Leases // nil: there is no other replica, and every service is this one's
	Feed    Feed   // needed with Leases
	Runtime runtime.Runtime
	Traffic traffic.Traffic
	Health  healthcheckpb.TargetGroupServiceClient
	Hooks   hookspb.HookServiceClient
	Alarms  alarmspb.AlarmServiceClient
	// Containers returns what the tasks of a task definition ("family:revision") run.
	Containers func(ctx context.Context, taskDefinition string) ([]runtime.Container, error)
	Now        func() time.Time
	Log        *slog.Logger
	Metrics    Metrics
}

// Engine works on every service that is not deleted and whose shard it holds.
type Engine struct {
	Config
	facts     *facts
	committer *committer
	bell      *watch.Bell[string]
	looking   chan struct{} // holds one token when others may have saved
	shared    time.Time     // when there was another replica last; the goroutine's that sweeps
	swept     struct {      // what the last sweep found; the goroutine's that sweeps
		missing map[store.Key]bool
		stuck   map[string]bool
	}

	mu      sync.Mutex
	workers map[store.Key]*worker
	taking  map[int]int       // shards that were acquired and are not worked on yet
	streams map[string]stream // by source; those that have ended stay until they are opened again
	ctx     context.Context   //nolint:containedctx // of the goroutines, which outlive the call that starts them
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// New returns an engine that does not work yet.
func New(cfg Config) *Engine {
	return &Engine{
		Config:    cfg,
		facts:     newFacts(),
		committer: newCommitter(cfg.Store),
		bell:      watch.NewBell[string](),
		looking:   make(chan struct{}, 1),
		workers:   map[store.Key]*worker{},
		taking:    map[int]int{},
		streams:   map[string]stream{},
	}
}

// Start loads what is at work and begins. It returns when every service has its goroutine. With leases it begins with what
// Acquired names, which is called after it.
func (e *Engine) Start(ctx context.Context) error {
	e.mu.Lock()
	e.ctx, e.stop = context.WithCancel(context.WithoutCancel(ctx))
	e.mu.Unlock()
	var states []rollout.State
	if e.Leases == nil {
		var err error
		if states, err = e.Store.ServicesActive(ctx, nil); err != nil {
			e.stop()
			return err
		}
	}
	for range committers {
		e.done.Go(func() { e.committer.run(e.ctx) })
	}
	for _, source := range e.sources() {
		e.done.Go(func() { e.follow(source) })
	}
	if e.Leases != nil {
		e.done.Go(func() { e.watchOthers(e.ctx) })
	}
	e.beginAll(states)
	return nil
}

// Stop ends all goroutines. What is at work goes on at the next start.
func (e *Engine) Stop() {
	e.mu.Lock() // nothing begins between
	if e.stop != nil {
		e.stop()
	}
	e.mu.Unlock()
	e.done.Wait()
}

// Wake says that a service was changed by somebody else, or is new: its state is loaded again, by the replica that works on it.
func (e *Engine) Wake(key store.Key) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.holds(key) {
		e.tell(key)
		return
	}
	if w := e.workers[key]; w != nil {
		w.reload.Store(true)
		w.wake()
		return
	}
	e.begin(key, nil)
}

// beginAll gives a worker to each service that has none.
func (e *Engine) beginAll(states []rollout.State) {
	for i := range states {
		e.mu.Lock()
		if key := keyOf(states[i]); e.workers[key] == nil {
			e.begin(key, &states[i])
		}
		e.mu.Unlock()
	}
}

// workOn makes sure that a service has a worker.
func (e *Engine) workOn(key store.Key) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.workers[key] == nil {
		e.begin(key, nil)
	}
}

// begin gives a service a worker, if the engine is at work and the service is its. The lock is held. A state that was just
// loaded need not be loaded again.
func (e *Engine) begin(key store.Key, state *rollout.State) {
	if e.ctx == nil || e.ctx.Err() != nil || !e.holds(key) || e.taking[lease.ShardOf(serviceName(key))] > 0 {
		return
	}
	w := newWorker(e, key)
	w.state, w.anew = state, true
	ctx, cancel := context.WithCancel(e.ctx)
	w.cancel = cancel
	e.workers[key] = w
	e.done.Go(func() {
		defer cancel()
		w.run(ctx)
	})
}

// wakeService wakes the worker of "cluster/service", if there is one.
func (e *Engine) wakeService(service string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if w := e.workers[parseKey(service)]; w != nil {
		w.wake()
	}
}

func (e *Engine) wakeAll() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, w := range e.workers {
		w.wake()
	}
}

// letGo ends a worker that has nothing to do any more, unless it was woken in the meantime.
func (e *Engine) letGo(w *worker) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if w.reload.Load() || len(w.woken) > 0 {
		return false
	}
	e.forget(w)
	return true
}

// drop is forget for who has no lock.
func (e *Engine) drop(w *worker) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forget(w)
}

// forget drops a worker that ends. The lock is held.
func (e *Engine) forget(w *worker) {
	if e.workers[w.key] == w { // and not its successor, after the shard was lost and acquired again
		delete(e.workers, w.key)
	}
}

// EventsKey is the key of Listen for all saved events.
const EventsKey = "events"

// Published tells readers that deployments were saved, or what belongs to none of them.
func (e *Engine) Published(deployments ...string) {
	keys := []string{EventsKey}
	for _, id := range deployments {
		keys = append(keys, "deployment:"+id)
	}
	e.bell.Ring(keys...)
}

// Listen wakes when something was saved of a deployment ("deployment:id"), or when any event was (EventsKey).
func (e *Engine) Listen(key string) *watch.Listener[string] { return e.bell.Listen(key) }
