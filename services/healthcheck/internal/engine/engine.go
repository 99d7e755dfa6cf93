// Package engine checks targets: the wheel says when, workers probe, package verdict decides, the store keeps and the hub
// publishes. When Postgres is away, probing and publishing go on in memory and saves are made up for later.
//
// What the API changes goes through Commit: first the transaction, then memory, one call at a time, so that memory follows the
// database in the order of commits.
//
// Every replica has all targets in memory and tells watchers of them. It checks those of the shards that are leased to it, under
// whose generations it saves what it found; of the others it reads what their replicas saved, when it is told of it, and now and then
// unasked. One that is cut off from Postgres while there are others ends its watchers' streams, for it cannot know any more.
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
	Leases  Leases           // nil: there is no other replica, and every target is this one's
	Now     func() time.Time // nil: time.Now; all replicas must have the same, nearly
	Log     *slog.Logger
	Groups  func(context.Context) (map[string]verdict.Check, error) // how the targets of every group are checked, from the store
	Metrics Metrics
	Workers int // checks at once; 0 means 4096
}

// Engine holds every target.
type Engine struct {
	store   *store.Store
	leases  Leases
	clock   func() time.Time
	groupsF func(context.Context) (map[string]verdict.Check, error)
	prober  *probe.Prober
	log     *slog.Logger
	hub     *watch.Hub[Key, store.Target]
	metrics Metrics
	wheel   *wheel
	queue   *queue
	overdue atomic.Int64

	commit chan struct{} // holds one token: who has it may change the database

	waiting waiting // changes

	mu      sync.Mutex
	groups  map[string]verdict.Check
	targets map[Key]*probed
	dirty   map[Key]bool // to be saved; true: at once
	expired bool         // a target drained, its row is to be removed
	behind  behind
	shared  shared

	urgent chan struct{} // wakes the flush
	stop   context.CancelFunc
	done   sync.WaitGroup
}

// probed is a target in memory; Engine.mu guards it.
type probed struct {
	target store.Target
	due    time.Time // of the check that is waited for or under way
	mine   bool      // this replica checks it
	news   bool      // what people can see of it is to be told to other replicas, when it is saved
	busy   bool      // in the queue or under way, and so not on the wheel
	gone   bool
	warned bool // a save of it was refused and that was logged
}

// New returns an engine that checks nothing yet.
func New(cfg Config) *Engine {
	if cfg.Workers == 0 {
		cfg.Workers = defaultWorkers
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Engine{
		store: cfg.Store, leases: cfg.Leases, clock: cfg.Now, groupsF: cfg.Groups, prober: probe.New(), log: cfg.Log,
		hub: watch.NewHub[Key, store.Target](), metrics: cfg.Metrics,
		wheel: newWheel(), queue: &queue{limit: cfg.Workers}, commit: make(chan struct{}, 1),
		groups: map[string]verdict.Check{}, targets: map[Key]*probed{}, dirty: map[Key]bool{}, urgent: make(chan struct{}, 1),
		behind: behind{all: true, targets: map[Key]bool{}}, shared: newShared(),
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

// Targets returns a group's targets by id. Where there are other replicas it asks the database for theirs.
func (e *Engine) Targets(ctx context.Context, group string) (map[string]store.Target, error) {
	found, theirs := e.inMemory(group)
	if !theirs {
		return found, nil
	}
	list, err := e.store.TargetsOf(ctx, group)
	if err != nil {
		return nil, err
	}
	all := make(map[string]store.Target, len(list))
	for _, t := range list {
		if ours, known := found[t.ID]; known && ours.Address == t.Address && ours.DrainEnd.Equal(t.DrainEnd) && e.checks(t) {
			t = ours
		}
		all[t.ID] = t
	}
	return all, nil
}

// inMemory returns a group's targets, and reports whether other replicas may know more of them.
func (e *Engine) inMemory(group string) (map[string]store.Target, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := map[string]store.Target{}
	for key, p := range e.targets {
		if key.Group == group {
			found[key.ID] = p.target
		}
	}
	return found, e.shared.peers
}

// checks reports whether this replica probes a target, and so knows more of it than the database.
func (e *Engine) checks(t store.Target) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.mine(t) && e.groups[t.Group].Probed()
}

// now is in the database's precision, so that a time is the same after a restart.
func (e *Engine) now() time.Time { return e.clock().UTC().Truncate(time.Microsecond) }
