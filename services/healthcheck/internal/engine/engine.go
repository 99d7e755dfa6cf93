// Package engine checks targets: the wheel says when, a bounded number of workers probe, package verdict decides, the
// store keeps and the hub publishes. When Postgres is away, probing and publishing go on in memory and saves are made up
// for later.
package engine

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/slipway-deploy/slipway/platform/watch"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/probe"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/store"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

// Key names a target.
type Key struct{ Group, ID string }

const (
	workers      = 512 // probes at once
	flushPeriod  = 200 * time.Millisecond
	flushTimeout = 5 * time.Second
	flushBatch   = 5000
)

// Engine holds every target.
type Engine struct {
	store  *store.Store
	prober *probe.Prober
	log    *slog.Logger
	hub    *watch.Hub[Key, store.Target]
	wheel  *wheel
	slots  chan struct{}

	mu      sync.Mutex
	groups  map[string]verdict.Check
	targets map[Key]*probed
	dirty   map[Key]bool
	stop    context.CancelFunc
	done    sync.WaitGroup
	ctx     context.Context
}

// probed is a target in memory; Engine.mu guards it.
type probed struct {
	target store.Target
	gone   bool
}

// New returns an engine that checks nothing yet.
func New(s *store.Store, log *slog.Logger) *Engine {
	return &Engine{
		store: s, prober: probe.New(), log: log, hub: watch.NewHub[Key, store.Target](), wheel: newWheel(),
		slots: make(chan struct{}, workers), groups: map[string]verdict.Check{}, targets: map[Key]*probed{}, dirty: map[Key]bool{},
	}
}

// Start takes up the targets that the store knows, with their states and counts, and begins to check.
func (e *Engine) Start(ctx context.Context, groups map[string]verdict.Check) error {
	targets, err := e.store.TargetsAll(ctx)
	if err != nil {
		return err
	}
	e.ctx, e.stop = context.WithCancel(context.WithoutCancel(ctx))
	for name, check := range groups {
		e.SetGroup(name, check)
	}
	e.Register(targets)
	e.done.Add(2)
	go func() { defer e.done.Done(); e.wheel.run(e.ctx, e.fire) }()
	go func() { defer e.done.Done(); e.flushLoop(e.ctx) }()
	return nil
}

// Stop ends checking and saves what is known.
func (e *Engine) Stop() {
	if e.stop == nil {
		return
	}
	e.stop()
	e.done.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	e.flush(ctx)
	e.prober.Close()
}

// Hub is every target's health as it changes.
func (e *Engine) Hub() *watch.Hub[Key, store.Target] { return e.hub }

// SetGroup sets how a group's targets are checked.
func (e *Engine) SetGroup(name string, check verdict.Check) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.groups[name] = check
}

// RemoveGroup forgets a group without targets.
func (e *Engine) RemoveGroup(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.groups, name)
}

// Register takes up targets and checks them at once. A target with the same address and service keeps its health.
func (e *Engine) Register(targets []store.Target) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, t := range targets {
		key := Key{t.Group, t.ID}
		if old := e.targets[key]; old != nil {
			if old.target.Address == t.Address && old.target.Service == t.Service {
				continue
			}
			old.gone = true
		}
		p := &probed{target: t}
		e.targets[key] = p
		e.hub.Set(key, t)
		if e.groups[t.Group].Probed() {
			e.wheel.add(p, time.Duration(i)*time.Millisecond) // thousands at once are spread a little
		}
	}
}

// Deregister ends the checks of targets.
func (e *Engine) Deregister(group string, ids []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range ids {
		key := Key{group, id}
		if p := e.targets[key]; p != nil {
			p.gone = true
			delete(e.targets, key)
			delete(e.dirty, key)
			e.hub.Delete(key)
		}
	}
}

// Targets returns a group's targets, or the ones named.
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

// Report takes a target's health from outside. It returns false when there is no such target.
func (e *Engine) Report(group, id string, healthy bool, description string) (store.Target, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.targets[Key{group, id}]
	if p == nil {
		return store.Target{}, false
	}
	e.set(p, verdict.Reported(p.target.Health, healthy, description, now()))
	return p.target, true
}

// fire probes what is due. A target is not added to the wheel again before its check has ended, so checks of one target
// never overlap; a slow target holds one worker and delays no other while workers are free.
func (e *Engine) fire(due []*probed) {
	for _, p := range due {
		select {
		case e.slots <- struct{}{}:
		case <-e.ctx.Done():
			return
		}
		e.done.Add(1)
		go func() {
			defer e.done.Done()
			defer func() { <-e.slots }()
			e.check(p)
		}()
	}
}

func (e *Engine) check(p *probed) {
	e.mu.Lock()
	check, target, gone := e.groups[p.target.Group], p.target, p.gone
	e.mu.Unlock()
	if gone || !check.Probed() {
		return
	}
	began := time.Now()
	result := e.prober.Probe(e.ctx, check, target.Address)
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.gone || e.ctx.Err() != nil {
		return
	}
	e.set(p, verdict.Next(check, p.target.Health, result, now()))
	e.wheel.add(p, e.pause(check, p.target.Health)-time.Since(began))
}

// pause is the time to the next check. A target that nobody knows the health of yet is looked at more often, so that a new
// task takes traffic as soon as it can.
func (e *Engine) pause(check verdict.Check, h verdict.Health) time.Duration {
	if h.State == verdict.Initial {
		return min(check.Interval, max(check.Interval/10, initialPause))
	}
	return check.Interval
}

const initialPause = 20 * time.Millisecond

// set takes over a target's health and publishes what people can see of it.
func (e *Engine) set(p *probed, h verdict.Health) {
	old := p.target.Health
	p.target.Health = h
	key := Key{p.target.Group, p.target.ID}
	e.dirty[key] = true
	if old.State != h.State || old.Reason != h.Reason || old.Description != h.Description {
		e.hub.Set(key, p.target)
	}
	if old.State != h.State {
		e.log.Info("target health", "target_group", key.Group, "target", key.ID, "state", h.State, "reason", h.Description)
	}
}

func now() time.Time { return time.Now().UTC() }
