package engine

import (
	"context"

	"github.com/slipway-deploy/slipway/services/healthcheck/internal/store"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

// behind is what memory may lack of what the database has.
type behind struct {
	all, groups bool
	targets     map[Key]bool
	taken       map[int]bool // shards to be taken over, whose targets are as the database has them
}

func (b behind) any() bool { return b.all || b.groups || len(b.targets) > 0 || len(b.taken) > 0 }

// takeBehind takes what is to be read.
func (e *Engine) takeBehind() behind {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := e.behind
	if e.leases != nil {
		b.taken = e.takeOver()
	}
	for key := range b.targets {
		_, known := e.groups[key.Group]
		b.groups = b.groups || !known
	}
	b.all = b.all || len(b.taken) > 0
	b.groups = b.groups || b.all
	e.behind = behind{targets: map[Key]bool{}}
	return b
}

// putBackBehind is for what could not be read.
func (e *Engine) putBackBehind(b behind) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.behind.all = e.behind.all || b.all
	e.behind.groups = e.behind.groups || b.groups
	for key := range b.targets {
		e.behind.targets[key] = true
	}
	for shard := range b.taken {
		delete(e.shared.generations, shard)
		e.shared.acquired[shard] = true
	}
}

// refresh makes memory what the database says where they may differ. What is known of the health of targets that this replica
// checks is newer in memory and stays. It needs the token.
func (e *Engine) refresh(ctx context.Context) error {
	b := e.takeBehind()
	if !b.any() {
		return nil
	}
	groups, targets, err := e.read(ctx, b)
	if err != nil {
		e.putBackBehind(b)
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if b.groups {
		e.adoptGroups(groups)
	}
	there := map[Key]bool{}
	for i, t := range targets {
		there[Key{t.Group, t.ID}] = true
		e.adopt(i, t, b.taken[t.Shard()])
	}
	for key, p := range e.targets {
		if (b.all || b.targets[key]) && !there[key] {
			e.drop(key, p)
		}
	}
	if e.shared.sight.Err() != nil && e.leases.Members() > 0 {
		e.shared.see()
	}
	return nil
}

func (e *Engine) read(ctx context.Context, b behind) (groups map[string]verdict.Check, targets []store.Target, err error) {
	if b.groups {
		if groups, err = e.groupsF(ctx); err != nil {
			return nil, nil, err
		}
	}
	if b.all {
		if err = e.store.TargetsExpire(ctx, e.now()); err == nil {
			targets, err = e.store.TargetsAll(ctx)
		}
		return groups, targets, err
	}
	var names, ids []string
	for key := range b.targets {
		names, ids = append(names, key.Group), append(ids, key.ID)
	}
	if len(ids) > 0 {
		targets, err = e.store.Targets(ctx, names, ids)
	}
	return groups, targets, err
}

func (e *Engine) adoptGroups(groups map[string]verdict.Check) {
	for name := range e.groups {
		if _, ok := groups[name]; !ok {
			e.removeGroup(name)
		}
	}
	for name, check := range groups {
		e.setGroup(name, check)
	}
}

// adopt takes over a target from the database.
func (e *Engine) adopt(i int, t store.Target, taken bool) {
	old := e.targets[Key{t.Group, t.ID}]
	switch {
	case old == nil || old.target.Address != t.Address || old.target.Service != t.Service || !old.target.DrainEnd.Equal(t.DrainEnd):
		e.put(i, t)
	case taken || !old.mine || !e.groups[t.Group].Probed():
		old.mine = e.mine(t)
		e.set(old, t.Health, saved)
		e.plan(old, e.now().Add(spread(i, e.groups[t.Group])))
	}
}
