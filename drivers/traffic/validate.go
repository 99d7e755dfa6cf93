package traffic

import (
	"cmp"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/slipway-deploy/slipway/platform/problem"
)

// Limits of one Apply.
const (
	// MaxListeners is the most listeners a service may have.
	MaxListeners = 16
	// MaxTargetGroups is the most target groups a service may have.
	MaxTargetGroups = 16
	// MaxForward is the most target groups a listener forwards to (ELB: 5 for each forward action, not adjustable).
	MaxForward = 5
	// MaxTargets is the most targets a target group may have.
	MaxTargets = 10000
	// MaxSlowStart is the longest slow start (ELB: slow_start.duration_seconds).
	MaxSlowStart = 15 * time.Minute
	// FullWeight is what the weights of a listener sum to.
	FullWeight = 1000
)

// WithDefaults returns the routes with empty protocols and algorithms made explicit. The slices are copies.
func (r Routes) WithDefaults() Routes {
	groups := make([]TargetGroup, len(r.TargetGroups))
	for i, g := range r.TargetGroups {
		g.Protocol = cmp.Or(g.Protocol, HTTP1)
		g.Algorithm = cmp.Or(g.Algorithm, LeastOutstandingRequests)
		groups[i] = g
	}
	r.TargetGroups = groups
	return r
}

// Validate reports every broken rule as one problem Invalid, with fields such as "listeners[0].forward", or nil.
func (r Routes) Validate() error {
	v := violations{}
	if len(r.Service) < 3 || len(r.Service) > 512 {
		v.add("service", "must be cluster/service, 3 to 512 characters")
	}
	groups := v.targetGroups(r.TargetGroups)
	v.listeners(r.Listeners, groups)
	if len(v.all) == 0 {
		return nil
	}
	return problem.Violated(v.all...)
}

type violations struct{ all []problem.Violation }

func (v *violations) add(field, format string, args ...any) {
	v.all = append(v.all, problem.Violation{Field: field, Rule: fmt.Sprintf(format, args...)})
}

// unique notes a name and complains about an empty or a repeated one.
func (v *violations) unique(seen map[string]bool, field, name string) {
	if name == "" {
		v.add(field, "must not be empty")
	} else if seen[name] {
		v.add(field, "%q appears twice", name)
	}
	seen[name] = true
}

func (v *violations) targetGroups(groups []TargetGroup) map[string]bool {
	if len(groups) > MaxTargetGroups {
		v.add("target_groups", "must be at most %d", MaxTargetGroups)
	}
	names := make(map[string]bool, len(groups))
	for i, g := range groups {
		field := fmt.Sprintf("target_groups[%d]", i)
		v.unique(names, field+".name", g.Name)
		switch g.Protocol {
		case "", HTTP1, HTTP2, GRPC:
		default:
			v.add(field+".protocol", "must be HTTP1, HTTP2 or GRPC")
		}
		switch g.Algorithm {
		case "", RoundRobin, LeastOutstandingRequests:
		default:
			v.add(field+".algorithm", "must be round_robin or least_outstanding_requests")
		}
		if g.SlowStart < 0 || g.SlowStart > MaxSlowStart {
			v.add(field+".slow_start", "must be 0 to %s", MaxSlowStart)
		}
		if g.SlowStart > 0 && g.Algorithm != RoundRobin {
			v.add(field+".slow_start", "goes with round_robin alone")
		}
		if len(g.Targets) > MaxTargets {
			v.add(field+".targets", "must be at most %d", MaxTargets)
		}
		ids := make(map[string]bool, len(g.Targets))
		for j, t := range g.Targets {
			field := fmt.Sprintf("%s.targets[%d]", field, j)
			v.unique(ids, field+".id", t.ID)
			v.address(field+".address", t.Address, true)
		}
	}
	return names
}

func (v *violations) listeners(listeners []Listener, groups map[string]bool) {
	if len(listeners) > MaxListeners {
		v.add("listeners", "must be at most %d", MaxListeners)
	}
	names, addresses := make(map[string]bool, len(listeners)), make(map[string]bool, len(listeners))
	for i, l := range listeners {
		field := fmt.Sprintf("listeners[%d]", i)
		v.unique(names, field+".name", l.Name)
		v.unique(addresses, field+".address", l.Address)
		v.address(field+".address", l.Address, false)
		v.forward(field+".forward", l.Forward, groups)
	}
}

func (v *violations) forward(field string, forward []WeightedTargetGroup, groups map[string]bool) {
	if len(forward) == 0 || len(forward) > MaxForward {
		v.add(field, "must have 1 to %d target groups", MaxForward)
	}
	sum, seen := 0, make(map[string]bool, len(forward))
	for i, w := range forward {
		v.unique(seen, fmt.Sprintf("%s[%d].target_group", field, i), w.TargetGroup)
		if w.TargetGroup != "" && !groups[w.TargetGroup] {
			v.add(fmt.Sprintf("%s[%d].target_group", field, i), "%q is not among the target groups", w.TargetGroup)
		}
		if w.Weight < 0 || w.Weight > FullWeight {
			v.add(fmt.Sprintf("%s[%d].weight", field, i), "must be 0 to %d tenths of a percent", FullWeight)
		}
		sum += w.Weight
	}
	if sum != FullWeight {
		v.add(field, "weights must sum to %d tenths of a percent, not %d", FullWeight, sum)
	}
}

// address checks host:port; a target needs a host, a listener without one is on every interface.
func (v *violations) address(field, address string, needsHost bool) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		v.add(field, "must be host:port, not %q", address)
		return
	}
	if needsHost && host == "" {
		v.add(field, "must name a host, not %q", address)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		v.add(field, "must have a port from 1 to 65535, not %q", address)
	}
}
