package engine

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

// Bounds of the delay after something outside failed.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// errNotHeld is for what is another replica's by now.
var errNotHeld = errors.New("the lease is over")

// errNoService is for what others have of a service that the store does not know.
var errNoService = errors.New("there is no such service")

// worker is the goroutine of one service.
type worker struct {
	engine *Engine
	key    store.Key
	log    *slog.Logger
	cancel context.CancelFunc
	woken  chan struct{}
	reload atomic.Bool
	rest   atomic.Pointer[rest] // nil while it is at work

	state *rollout.State // nil: to be loaded
	world world          // what this worker has brought about
	lanes []*lane        // that bring it about
	anew  bool           // what was told before does not count
	// ordered: the lanes have what the state wants.
	ordered bool
	delay   time.Duration // after a failure; 0 when all is well
}

func newWorker(e *Engine, key store.Key) *worker {
	w := &worker{
		engine: e, key: key, woken: make(chan struct{}, 1),
		log: e.Log.With("service", key.Cluster+"/"+key.Name),
	}
	w.lanes = w.newLanes()
	return w
}

func parseKey(service string) store.Key {
	cluster, name, _ := strings.Cut(service, "/")
	return store.Key{Cluster: cluster, Name: name}
}

func (w *worker) wake() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

// run works until ctx ends or there is nothing to do any more.
func (w *worker) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	ctx, cancel := context.WithCancel(ctx)
	var lanes sync.WaitGroup
	for _, l := range w.lanes {
		lanes.Go(func() { l.run(ctx) })
	}
	defer lanes.Wait()
	defer cancel()
	for ctx.Err() == nil {
		if !w.engine.holds(w.key) { // before it was told so: the program was stopped for longer than its lease
			w.engine.drop(w)
			return
		}
		if w.leaving() {
			if w.idle() && w.engine.letGo(w) {
				return
			}
			select {
			case <-ctx.Done():
			case <-w.woken:
			}
			continue
		}
		w.rest.Store(nil)
		next, err := w.step(ctx)
		switch {
		case err == nil:
			w.delay = 0
		case ctx.Err() != nil:
			return
		case errors.Is(err, errNotHeld):
			continue
		default:
			w.failed(err)
			next = w.engine.Now().Add(w.delay)
		}
		if errors.Is(err, errNoService) && w.engine.letGo(w) {
			return
		}
		if w.state != nil {
			w.rest.Store(restOf(*w.state, next))
		}
		var wait <-chan time.Time
		if !next.IsZero() {
			timer.Reset(max(next.Sub(w.engine.Now()), 0))
			wait = timer.C
		}
		select {
		case <-ctx.Done():
		case <-w.woken:
		case <-wait:
		}
	}
}

// failed notes trouble: a lost race loads the state again, anything else is tried again later.
func (w *worker) failed(err error) {
	if errors.Is(err, problem.Aborted) {
		w.state = nil
		w.log.Debug("overtaken; loading again", "cause", err)
	} else {
		w.log.Warn("cannot go on; trying again", "cause", err, "delay", w.delay)
	}
	w.delay = min(max(2*w.delay, firstRetry), lastRetry)
}

// step observes, decides, persists and converges until nothing changes any more, and returns when to decide again.
func (w *worker) step(ctx context.Context) (time.Time, error) {
	for {
		if !w.engine.holds(w.key) {
			return time.Time{}, errNotHeld
		}
		if err := w.load(ctx); err != nil {
			return time.Time{}, err
		}
		decision := rollout.Decide(*w.state, w.engine.observe(*w.state), w.engine.Now())
		began := time.Now()
		err := w.carryOut(ctx, decision)
		if decision.Changed || err != nil {
			w.engine.Metrics.stepped(ctx, time.Since(began), err)
		}
		if err != nil {
			return time.Time{}, err
		}
		if !decision.Changed && !w.reload.Load() {
			return decision.WakeAt, nil
		}
	}
}

// carryOut persists a decision, then orders the world that it wants.
func (w *worker) carryOut(ctx context.Context, d rollout.Decision) error {
	if d.Changed {
		if err := w.persist(ctx, d); err != nil {
			return err
		}
	}
	w.converge(d.Next.Service, d.Desired)
	w.ordered = !d.Changed
	return nil
}

// leaving reports whether the service is deleted and its last orders are given. When it left routes in a data plane that cannot
// be seen, the data plane's next snapshot brings the worker back.
func (w *worker) leaving() bool {
	return w.state != nil && w.state.Service.Phase == rollout.Inactive && w.ordered && !w.reload.Load()
}

func (w *worker) load(ctx context.Context) error {
	if w.reload.Swap(false) {
		w.state = nil
	}
	if w.state != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	a, err := w.engine.Store.ServiceGet(ctx, w.key.Cluster, w.key.Name)
	if errors.Is(err, problem.NotFound) {
		return errNoService
	}
	if err != nil {
		return err
	}
	w.state = &a.State
	w.anew = true
	return nil
}

// persist saves the decision. A deployment that has ended leaves the worker's state, as it leaves the service's row.
func (w *worker) persist(ctx context.Context, d rollout.Decision) error {
	err := w.engine.committer.save(ctx, store.Change{Next: d.Next, Events: d.Events, Ended: d.Ended})
	if err != nil {
		return err
	}
	w.engine.Metrics.saved(ctx, d.Events)
	for _, event := range d.Events {
		w.log.Info("event", "event", event.Name, "reason", event.Reason, "deployment", event.Deployment)
	}
	next := d.Next
	ids := []string{}
	for _, ended := range d.Ended {
		w.engine.Metrics.saved(ctx, ended.Events)
		ids = append(ids, ended.Deployment.ID)
	}
	if next.Deployment != nil {
		ids = append(ids, next.Deployment.ID)
		if next.Deployment.State.Terminal() {
			next.Deployment = nil
		}
	}
	w.state = &next
	if next.Deployment == nil {
		w.engine.facts.forgetCalls(next.Service.Key())
	}
	w.engine.Published(ids...)
	return nil
}
