package dataplane

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/slipway-deploy/slipway/drivers/traffic"
)

// Change is a change of one service's routes that is ready: Commit puts it in force and cannot fail, Abandon leaves no
// trace of it. One of the two has to be called.
type Change struct {
	plane    *Plane
	name     string
	old, new *service
	tables   map[string]*table
	drains   map[targetKey]traffic.Target
	added    []*listener
}

// Prepare makes the change to the routes, which must be valid and have their defaults. Every listener is bound already,
// so that the change can be all or nothing: the problem is FailedPrecondition, LISTENER_ADDRESS_IN_USE, for an address
// that is taken.
func (p *Plane) Prepare(routes traffic.Routes) (*Change, error) {
	c, err := p.prepare(routes)
	if err != nil {
		return nil, err
	}
	for _, l := range c.new.listeners {
		if err := l.bind(); err != nil {
			c.Abandon()
			return nil, err
		}
	}
	return c, nil
}

// Restore puts routes in force that were so before a restart. A listener that cannot be bound is tried again every
// second, and Problem says so.
func (p *Plane) Restore(routes traffic.Routes) error {
	c, err := p.prepare(routes)
	if err != nil {
		return err
	}
	for _, l := range c.added {
		if err := l.bind(); err != nil {
			p.config.Log.Error("a listener could not be bound again", "service", c.name, "address", l.address, "error", err)
		}
	}
	c.Commit()
	return nil
}

// Remove takes the service's routes out of force. It cannot fail.
func (p *Plane) Remove(name string) {
	c, err := p.prepare(traffic.Routes{Service: name})
	if err != nil {
		panic("no routes are always valid: " + err.Error())
	}
	c.Commit()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.services, name)
}

func (p *Plane) prepare(routes traffic.Routes) (*Change, error) {
	c := &Change{plane: p, name: routes.Service, old: p.service(routes.Service), drains: drainTimes(routes)}
	c.new = &service{
		listeners: make(map[string]*listener), groups: make(map[string]*group),
		targets: make(map[targetKey]*target), draining: make(map[targetKey]bool),
	}
	var err error
	if c.tables, err = compile(routes, c.group, c.target); err != nil {
		return nil, err
	}
	for key := range c.drains {
		c.new.draining[key] = true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for address := range c.tables {
		if owner, taken := p.owners[address]; taken && owner != c.name {
			return nil, addressInUse(address, "service "+owner)
		}
	}
	for address := range c.tables {
		l := c.old.listeners[address]
		if l == nil {
			l = p.newListener(address)
			c.added = append(c.added, l)
			p.owners[address] = c.name
		}
		c.new.listeners[address] = l
	}
	return c, nil
}

func (c *Change) group(name string) *group {
	g := c.old.groups[name]
	if g == nil {
		g = &group{stats: c.plane.config.Registry.Group(c.name, name)}
	}
	c.new.groups[name] = g
	return g
}

func (c *Change) target(key targetKey) *target {
	t := c.old.targets[key]
	if t == nil {
		t = c.plane.newTarget(c.name, key)
	}
	c.new.targets[key] = t
	return t
}

// Abandon gives back what Prepare took.
func (c *Change) Abandon() {
	p := c.plane
	p.mu.Lock()
	for _, l := range c.added {
		l.unbind()
		delete(p.owners, l.address)
	}
	p.mu.Unlock()
	p.config.Registry.Retain(c.name, slices.Collect(maps.Keys(c.old.groups)))
}

// Commit puts the change in force. The order is make before break: targets that are back take requests before a table
// offers them, and only when no table offers a target any more does it refuse.
func (c *Change) Commit() {
	p := c.plane
	for key, t := range c.new.targets {
		if !c.new.draining[key] {
			t.accept()
		}
	}
	for address, l := range c.new.listeners {
		l.table.Store(c.tables[address])
	}
	p.mu.Lock()
	p.services[c.name] = c.new
	p.mu.Unlock()
	for _, l := range c.added {
		if !l.open() {
			p.running.Go(func() { l.keepTrying(func() { p.config.OnIdle(c.name) }) })
		}
	}
	for _, l := range c.new.listeners {
		l.open() // one that could not be bound again after a restart and now is
	}
	c.dismiss()
	p.config.Registry.Retain(c.name, slices.Collect(maps.Keys(c.new.groups)))
}

// dismiss drains and removes what the routes no longer offer.
func (c *Change) dismiss() {
	p := c.plane
	for key, want := range c.drains {
		c.new.targets[key].drain(want.DrainTime)
	}
	until := time.Now().Add(p.config.RemovedDrain)
	var removed []*target
	p.mu.Lock()
	for key, t := range c.old.targets {
		if c.new.targets[key] == nil {
			removed = append(removed, t)
			p.leaving[t] = struct{}{}
		}
	}
	p.mu.Unlock()
	for address, l := range c.old.listeners {
		if c.new.listeners[address] == nil {
			l.table.Store(l.table.Load().leftover(func(t *target) bool { return t.refusing.Load() || slices.Contains(removed, t) }))
			c.retire(l)
		}
	}
	for _, t := range removed {
		t.remove(until)
	}
}

func (c *Change) retire(l *listener) {
	p := c.plane
	ctx, cancel := context.WithTimeout(p.life, p.config.RemovedDrain)
	wait := l.retire(ctx)
	p.running.Go(func() {
		defer cancel()
		wait()
	})
	p.mu.Lock()
	delete(p.owners, l.address)
	p.mu.Unlock()
}
