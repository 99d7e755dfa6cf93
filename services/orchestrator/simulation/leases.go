package simulation

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/slipway-deploy/slipway/platform/lease"
)

// leaseTable has one lease for all shards, which changes hands at random and when its holder is gone.
type leaseTable struct {
	w      *world
	mu     sync.Mutex
	holder *process
}

func newLeaseTable(w *world) *leaseTable { return &leaseTable{w: w} }

// tenure is the table as a process sees it.
type tenure struct {
	*process

	table *leaseTable
	mu    sync.Mutex
	holds bool
}

var shards = func() (all []int) {
	for i := range lease.Shards {
		all = append(all, i)
	}
	return all
}()

// begin takes part until the process is dead.
func (t *tenure) begin() {
	t.table.offer(t.process)
	t.w.done.Go(func() {
		for n := 0; !t.isDead() && !t.w.over(); n++ {
			select {
			case <-time.After(time.Second):
			case <-t.dead:
			case <-t.w.ctx.Done():
			}
			t.table.look(t.process, n)
		}
	})
}

// offer gives the lease to a process when nobody has it.
func (l *leaseTable) offer(p *process) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holder == nil || l.holder.isDead() {
		l.give(p)
	}
}

// look moves the lease now and then, and away from a process that is gone or stands still.
func (l *leaseTable) look(p *process, _ int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case p.isDead() || p.sleeps():
	case l.holder == nil || l.holder.isDead() || l.holder.sleeps():
		l.give(p)
	case l.holder != p && l.w.plan.CrashAt == 0 && l.w.dice.permille(p.replica+" lease", max(l.w.plan.Moves, 20)):
		if l.w.budget.Add(-1) >= 0 {
			l.w.trace.fault(p.replica, LeaseMoved, fmt.Sprintf("from %s", l.holder.replica))
			l.give(p)
		}
	}
}

// give makes a process the holder, once the one before has stopped to believe that it is. The lock is held.
func (l *leaseTable) give(p *process) {
	before := l.holder
	l.holder = p
	l.w.trace.add(p.replica, "has the lease")
	delay := time.Duration(0)
	if before != nil && before != p {
		before.tenure.set(false)
		if delay = 100 * time.Millisecond; before.isDead() || before.sleeps() {
			delay = lease.DefaultDuration // nobody gave it back; one that sleeps notices when it wakes
		} else {
			l.w.later(0, func() { before.engine.Lost(shards) })
		}
	}
	l.w.later(delay, func() {
		if !p.isDead() && l.holds(p) {
			p.tenure.set(true)
			p.engine.Acquired(shards)
		}
	})
}

// wakes lets a process notice that its lease has ended while it stood still.
func (t *tenure) wakes() {
	if !t.isDead() && !t.Holds(0) {
		t.engine.Lost(shards)
	}
}

func (l *leaseTable) holds(p *process) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.holder == p
}

func (t *tenure) set(holds bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.holds = holds
}

// Holds is engine.Leases.Holds.
func (t *tenure) Holds(int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.holds
}

// Held is engine.Leases.Held.
func (t *tenure) Held() []int {
	if t.Holds(0) {
		return shards
	}
	return nil
}

// Members is engine.Leases.Members.
func (t *tenure) Members() int { return t.w.plan.Replicas }

// Tell is engine.Leases.Tell. Some messages are missed.
func (t *tenure) Tell(_ context.Context, message string) error {
	for _, p := range t.w.reachable() {
		if !t.w.dice.permille(p.replica+" told", 250) {
			t.w.later(10*time.Millisecond, func() {
				if !p.isDead() {
					p.engine.Told(message)
				}
			})
		}
	}
	return nil
}

// sleeps reports whether the process stands still.
func (p *process) sleeps() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.awake:
		return false
	default:
		return true
	}
}
