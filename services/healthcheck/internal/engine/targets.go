package engine

import (
	"time"

	"github.com/slipway-deploy/slipway/services/healthcheck/internal/store"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

// The exported functions of this file are effects on memory of what Commit has committed.

// SetGroup sets how a group's targets are checked. When that changes, it applies to its targets at once.
func (e *Engine) SetGroup(name string, check verdict.Check) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.setGroup(name, check)
	e.shared.news.groups = true
}

func (e *Engine) setGroup(name string, check verdict.Check) {
	if e.groups[name] == check {
		return
	}
	retyped := e.groups[name].Type != check.Type
	e.groups[name] = check
	i := 0
	for key, p := range e.targets {
		if key.Group == name {
			if retyped {
				e.hub.Set(key, p.target) // whoever reports health is told
				if !check.Probed() {
					delete(e.dirty, key) // from now on reports are saved, by any replica
				}
			}
			e.plan(p, e.now().Add(spread(i, check)))
			i++
		}
	}
}

// RemoveGroup forgets a group and the targets of it that still drain.
func (e *Engine) RemoveGroup(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.removeGroup(name)
	e.shared.news.groups = true
}

func (e *Engine) removeGroup(name string) {
	delete(e.groups, name)
	for key, p := range e.targets {
		if key.Group == name {
			e.drop(key, p)
		}
	}
}

// Register takes up new targets, or new addresses of known ones, and checks them at once.
func (e *Engine) Register(targets []store.Target) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, t := range targets {
		e.put(i, t)
		e.shared.news.targets[Key{t.Group, t.ID}] = true
	}
}

func (e *Engine) put(i int, t store.Target) {
	key := Key{t.Group, t.ID}
	if old := e.targets[key]; old != nil {
		old.gone = true
		e.wheel.remove(old)
	}
	p := &probed{target: t, mine: e.mine(t)}
	e.targets[key] = p
	e.hub.Set(key, t)
	e.plan(p, e.now().Add(spread(i, e.groups[t.Group])))
}

// spread is the delay of the first check of one of many targets: thousands at once are spread over the interval.
func spread(i int, check verdict.Check) time.Duration {
	if check.Interval <= 0 {
		return 0
	}
	return time.Duration(i) * time.Millisecond % check.Interval
}

// Drain lets targets of a group drain until the given time.
func (e *Engine) Drain(group string, ids []string, at, until time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range ids {
		if p := e.targets[Key{group, id}]; p != nil {
			p.target.DrainEnd = until
			e.set(p, verdict.Deregistered(p.target.Health, at), saved)
			e.plan(p, until)
			e.shared.news.targets[Key{group, id}] = true
		}
	}
}

// Remove ends the checks of targets of a group.
func (e *Engine) Remove(group string, ids []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range ids {
		key := Key{group, id}
		if p := e.targets[key]; p != nil {
			e.drop(key, p)
			e.shared.news.targets[key] = true
		}
	}
}

func (e *Engine) drop(key Key, p *probed) {
	p.gone = true
	e.wheel.remove(p)
	delete(e.targets, key)
	delete(e.dirty, key)
	e.hub.Delete(key)
}

// SetHealth sets the health of a target as it was saved.
func (e *Engine) SetHealth(t store.Target) {
	e.mu.Lock()
	defer e.mu.Unlock()
	key := Key{t.Group, t.ID}
	if p := e.targets[key]; p != nil {
		e.set(p, t.Health, saved)
		e.plan(p, e.now())
	}
	e.shared.news.targets[key] = true
}

// saving says whether a target's health is to be saved yet.
type saving bool

const (
	saved   saving = true
	unsaved saving = false
)

// set takes over a target's health and publishes what people can see of it.
func (e *Engine) set(p *probed, h verdict.Health, s saving) {
	old := p.target.Health
	p.target.Health = h
	key := Key{p.target.Group, p.target.ID}
	if s == unsaved {
		e.dirty[key] = e.dirty[key] || old.State != h.State
	}
	if old.State != h.State || old.Reason != h.Reason || old.Description != h.Description || old.Flip != h.Flip {
		e.hub.Set(key, p.target)
		p.news = p.news || s == unsaved
	}
	if old.State != h.State {
		e.log.Info("target health", "target_group", key.Group, "target", key.ID, "state", h.State, "reason", h.Description)
		if s == unsaved {
			e.flushSoon()
		}
	}
}
