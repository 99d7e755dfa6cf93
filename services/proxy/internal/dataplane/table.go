package dataplane

import (
	"fmt"
	"slices"
	"sync/atomic"

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
	open     []*target // that take requests
	draining int
	group    *group
}

// group is what a target group keeps over all its tables.
type group struct {
	turn  atomic.Uint64
	stats *requestmetrics.Group
}

// choose returns the target whose turn it is, not one of tried.
func (p *pool) choose(tried []*target) (*target, bool) {
	turn := p.group.turn.Add(1) - 1
	if p.leastOut {
		return balance.LeastOutstanding(turn, p.open, tried)
	}
	return balance.RoundRobin(turn, p.open, tried)
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
			group: groupOf(g.Name),
		}
		for _, t := range g.Targets {
			target := targetOf(targetKey{g.Name, g.Protocol, t.ID, t.Address})
			if t.Draining {
				p.draining++
			} else {
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
