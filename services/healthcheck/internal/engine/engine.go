// Package engine checks targets: the wheel says when, workers probe, package verdict decides, the store keeps and the hub
// publishes. When Postgres is away, probing and publishing go on in memory and saves are made up for later.
//
// What the API changes goes through Commit: first the transaction, then memory, one call at a time, so that memory follows the
// database in the order of commits.
package engine

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/slipway-deploy/slipway/platform/watch"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/probe"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/store"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

// Key names a target.
type Key struct{ Group, ID string }

const defaultWorkers = 4096

// Config is what an engine works with.
type Config struct {
	Store   *store.Store
	Log     *slog.Logger
	Groups  func(context.Context) (map[string]verdict.Check, error) // how the targets of every group are checked, from the store
	Metrics Metrics
	Workers int // checks at once; 0 means 4096
}

// Engine holds every target.
type Engine struct {
	store   *store.Store
	groupsF func(context.Context) (map[string]verdict.Check, error)
	prober  *probe.Prober
	log     *slog.Logger
	hub     *watch.Hub[Key, store.Target]
	metrics Metrics
	wheel   *wheel
	queue   *queue
	overdue atomic.Int64

	commit chan struct{} // holds one token: who has it may change the database
	stale  bool          // memory may lack what the database has; who has the token may touch it

	waiting waiting // changes

	mu      sync.Mutex
	groups  map[string]verdict.Check
	targets map[Key]*probed
	dirty   map[Key]bool // to be saved; true: at once
	expired bool         // a target drained, its row is to be removed

	urgent chan struct{} // wakes the flush
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// probed is a target in memory; Engine.mu guards it.
type probed struct {
	target store.Target
	due    time.Time // of the check that is waited for or under way
	busy   bool      // in the queue or under way, and so not on the wheel
	gone   bool
	warned bool // a save of it was refused and that was logged
}

// New returns an engine that checks nothing yet.
func New(cfg Config) *Engine {
	if cfg.Workers == 0 {
		cfg.Workers = defaultWorkers
	}
	return &Engine{
		store: cfg.Store, groupsF: cfg.Groups, prober: probe.New(), log: cfg.Log, hub: watch.NewHub[Key, store.Target](), metrics: cfg.Metrics,
		wheel: newWheel(), queue: &queue{limit: cfg.Workers}, commit: make(chan struct{}, 1), stale: true,
		groups: map[string]verdict.Check{}, targets: map[Key]*probed{}, dirty: map[Key]bool{}, urgent: make(chan struct{}, 1),
	}
}

// Start takes up the targets that the store knows, with their states and counts, and begins to check.
func (e *Engine) Start(ctx context.Context) error {
	if err := e.lock(ctx); err != nil {
		return err
	}
	err := e.refresh(ctx)
	e.unlock()
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	e.stop = stop
	e.done.Go(func() { e.wheel.run(running, func(due []*probed) { e.fire(running, due) }) })
	e.done.Go(func() { e.flushLoop(running) })
	return nil
}

// Stop ends checking and saves what is known, all of it, until ctx ends. It may be called again, and without Start.
func (e *Engine) Stop(ctx context.Context) {
	if e.stop == nil {
		return
	}
	e.stop()
	e.stop = nil
	e.done.Wait()
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	e.flush(ctx, true)
	e.prober.Close()
}

// Hub is every target's health as it changes.
func (e *Engine) Hub() *watch.Hub[Key, store.Target] { return e.hub }

// Overdue returns how many checks began later than a tenth of their interval after their time.
func (e *Engine) Overdue() int64 { return e.overdue.Load() }

// Type returns where the health of a group's targets comes from.
func (e *Engine) Type(group string) verdict.Type {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.groups[group].Type
}

// Targets returns a group's targets by id.
func (e *Engine) Targets(group string) map[string]store.Target {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := map[string]store.Target{}
	for key, p := range e.targets {
		if key.Group == group {
			found[key.ID] = p.target
		}
	}
	return found
}

// Reported returns a target as a report of its health from outside would leave it; Commit and SetHealth make it so. It returns
// false when there is no such target.
func (e *Engine) Reported(group, id string, healthy bool, description string) (store.Target, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.targets[Key{group, id}]
	if p == nil {
		return store.Target{}, false
	}
	target := p.target
	target.Health = verdict.Reported(target.Health, healthy, description, e.groups[group].CustomHealthDelay, now())
	return target, true
}

// now is in the database's precision, so that a time is the same after a restart.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
