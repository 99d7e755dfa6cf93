package dataplane

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	"github.com/slipway-deploy/slipway/services/proxy/internal/balance"
	"github.com/slipway-deploy/slipway/services/proxy/internal/requestmetrics"
)

// table is what a listener routes by. It is immutable: a change is another table.
type table struct {
	service  string
	listener string
	split    *balance.Split
	groups   []*pool // by position in the split
}

// pool is a target group as a table sees it.
type pool struct {
	name     string
	http1    bool // upgrades can pass
	leastOut bool
	slow     time.Duration // slow start; 0 is off
	open     []*target     // that take requests
	draining int
	group    *group
}

// group is what a target group keeps over all its tables.
type group struct {
	turn   atomic.Uint64
	passed atomic.Uint64
	stats  *requestmetrics.Group
}

// choose returns the target whose turn it is, not one of tried.
func (p *pool) choose(tried []*target) (*target, bool) {
	turn := p.group.turn.Add(1) - 1
	if p.leastOut {
		return balance.LeastOutstanding(turn, p.open, tried)
	}
	t, ok := balance.RoundRobin(turn, p.open, tried)
	if !ok || p.slow == 0 {
		return t, ok
	}
	now := time.Now()
	if !t.declines(turn, now, p.slow) {
		return t, true
	}
	settled := slices.DeleteFunc(slices.Clone(p.open), func(t *target) bool { return t.starting(now, p.slow) || t.Avoid() })
	if other, ok := balance.RoundRobin(p.group.passed.Add(1)-1, settled, tried); ok {
		return other, true
	}
	return t, true
}

// empty says why there is no target to choose.
func (p *pool) empty() string {
	if p.draining == 0 {
		return fmt.Sprintf("target group %q has no target", p.name)
	}
	return fmt.Sprintf("all %d targets of target group %q are draining", p.draining, p.name)
}

type targetKey struct{ group, protocol, id, address string }

// compile makes the tables of the routes, by listener address. Groups and targets that exist are taken over, new ones
// are made by the functions.
func compile(routes traffic.Routes, groupOf func(string) *group, targetOf func(targetKey) *target) (map[string]*table, error) {
	pools := make(map[string]*pool, len(routes.TargetGroups))
	for _, g := range routes.TargetGroups {
		p := &pool{
			name: g.Name, http1: g.Protocol == traffic.HTTP1, leastOut: g.Algorithm == traffic.LeastOutstandingRequests,
			group: groupOf(g.Name), slow: g.SlowStart,
		}
		for _, t := range g.Targets {
			target := targetOf(targetKey{g.Name, g.Protocol, t.ID, t.Address})
			if t.Draining {
				p.draining++
			} else {
				target.start.Store(t.StartTime.UnixNano())
				p.open = append(p.open, target)
			}
		}
		pools[g.Name] = p
	}
	tables := make(map[string]*table, len(routes.Listeners))
	for _, l := range routes.Listeners {
		t := &table{service: routes.Service, listener: l.Name}
		weights := make([]int, len(l.Forward))
		for i, f := range l.Forward {
			weights[i] = f.Weight
			t.groups = append(t.groups, pools[f.TargetGroup])
		}
		split, err := balance.NewSplit(weights)
		if err != nil {
			return nil, fmt.Errorf("listener %s: %w", l.Name, err)
		}
		t.split = split
		tables[l.Address] = t
	}
	return tables, nil
}

// leftover is the table of a listener that is being removed, for requests that are still on their way in: its groups
// without the targets that are gone.
func (t *table) leftover(gone func(*target) bool) *table {
	left := *t
	left.groups = make([]*pool, len(t.groups))
	for i, p := range t.groups {
		rest := *p
		rest.open = slices.DeleteFunc(slices.Clone(p.open), gone)
		left.groups[i] = &rest
	}
	return &left
}
