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
	"github.com/slipway-deploy/slipway/platform/watch"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

// Store keeps the states. Package store has the one for Postgres, and says what its methods promise.
type Store interface {
	ServicesActive(ctx context.Context) ([]rollout.State, error)
	ServiceGet(ctx context.Context, cluster, name string) (store.Aggregate, error)
	Save(ctx context.Context, changes []store.Change) (saved map[store.Key]bool, err error)
}

var _ Store = (*store.Store)(nil)

// Config is what the engine works with.
type Config struct {
	Store   Store
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

// Engine works on every service that is not deleted.
type Engine struct {
	Config
	facts     *facts
	committer *committer
	changes   *watch.Hub[string, int64]

	mu      sync.Mutex
	workers map[store.Key]*worker
	ctx     context.Context //nolint:containedctx // of the goroutines, which outlive the call that starts them
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// New returns an engine that does not work yet.
func New(cfg Config) *Engine {
	return &Engine{
		Config:    cfg,
		facts:     newFacts(),
		committer: newCommitter(cfg.Store),
		changes:   watch.NewHub[string, int64](),
		workers:   map[store.Key]*worker{},
	}
}

// Start loads what is at work and begins. It returns when every service has its goroutine.
func (e *Engine) Start(ctx context.Context) error {
	e.mu.Lock()
	e.ctx, e.stop = context.WithCancel(context.WithoutCancel(ctx))
	e.mu.Unlock()
	states, err := e.Store.ServicesActive(ctx)
	if err != nil {
		e.stop()
		return err
	}
	e.done.Go(func() { e.committer.run(e.ctx) })
	for _, source := range e.sources() {
		e.done.Go(func() { e.follow(source) })
	}
	for _, state := range states {
		e.workOn(store.Key{Cluster: state.Service.Cluster, Name: state.Service.Name})
	}
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

// Wake says that a service was changed by somebody else, or is new: its state is loaded again.
func (e *Engine) Wake(key store.Key) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if w := e.workers[key]; w != nil {
		w.reload.Store(true)
		w.wake()
		return
	}
	e.begin(key)
}

// workOn makes sure that a service has a worker.
func (e *Engine) workOn(key store.Key) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.workers[key] == nil {
		e.begin(key)
	}
}

// begin gives a service a worker, if the engine is at work. The lock is held.
func (e *Engine) begin(key store.Key) {
	if e.ctx == nil || e.ctx.Err() != nil {
		return
	}
	w := newWorker(e, key)
	e.workers[key] = w
	e.done.Go(func() { w.run(e.ctx) })
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
	delete(e.workers, w.key)
	return true
}

// EventsKey is the key of Changes that moves with every saved event.
const EventsKey = "events"

// Changes is the generation of each service ("service:cluster/name") and deployment ("deployment:id") as it is saved.
// Readers of the store follow it.
func (e *Engine) Changes() *watch.Hub[string, int64] { return e.changes }

// Published tells readers that a service and deployments of it were saved.
func (e *Engine) Published(key store.Key, generation int64, deployments ...string) {
	e.changes.Set("service:"+key.Cluster+"/"+key.Name, generation)
	e.changes.Set(EventsKey, e.Now().UnixNano())
	for _, id := range deployments {
		e.changes.Set("deployment:"+id, generation)
	}
}
