// Package traffic is the port between the orchestrator and a data plane: what a load balancer must be able to do
// so that Slipway can shift traffic with it. It knows no deployment and no transport. A driver lives in a folder
// of its own beside this file and passes the suite of traffictest.
package traffic

import (
	"context"
	"time"
)

// Traffic programs a data plane. All methods are safe for concurrent use.
//
// Generations fence writers: a driver remembers the highest generation it has seen for each service, over its own
// restarts and over Delete, and refuses a lower one with a problem Aborted, reason STALE_GENERATION. The same
// generation again is fine.
type Traffic interface {
	// Apply replaces the routes of routes.Service. It is idempotent and returns when they are in force: every
	// listener is bound, new requests are routed by them, and they are saved for a restart. On an error nothing
	// of them is in force and what was in force stays. A problem is Invalid when the routes break a rule,
	// FailedPrecondition with reason LISTENER_ADDRESS_IN_USE when a listener's address is taken.
	Apply(ctx context.Context, generation int64, routes Routes) error
	// Delete removes the listeners and target groups of a service ("cluster/service"). An unknown service is no
	// error. Requests in flight finish.
	Delete(ctx context.Context, generation int64, service string) error
	// Watch calls f with a snapshot of every service, then with changes, until ctx ends (nil) or the watch breaks
	// (an error; watch again). f runs in Watch's goroutine; changes that come while it runs are merged.
	Watch(ctx context.Context, f func(Update)) error
}

// Routes is all that a data plane serves for one Slipway service.
type Routes struct {
	// Service is the owner, "cluster/service": the key that generations are compared for.
	Service string
	// Listeners accept requests; names and addresses are unique.
	Listeners []Listener
	// TargetGroups are what listeners forward to; names are unique.
	TargetGroups []TargetGroup
}

// Listener accepts connections on an address and splits requests over target groups by weight.
type Listener struct {
	// Name is "production" or "test".
	Name string
	// Address is host:port. Port 0 is refused.
	Address string
	// Forward lists the target groups; the weights sum to 1000.
	Forward []WeightedTargetGroup
}

// WeightedTargetGroup is a share of a listener's requests. There is no failover between the groups of a listener:
// the share of a group without targets is answered 503, as an Application Load Balancer does.
type WeightedTargetGroup struct {
	TargetGroup string
	// Weight is in tenths of a percent, 0 to 1000. A group of weight 0 gets no request.
	Weight int
}

// The protocols by which targets are spoken to, with the names of Elastic Load Balancing (HTTP2 is prior knowledge,
// without TLS). Listeners accept HTTP/1.1 and HTTP/2 with prior knowledge whatever their groups speak.
const (
	HTTP1 = "HTTP1"
	HTTP2 = "HTTP2"
	GRPC  = "GRPC"
)

// The algorithms that choose a target inside a group, with the names of the target group attribute
// load_balancing.algorithm.type.
const (
	RoundRobin               = "round_robin"
	LeastOutstandingRequests = "least_outstanding_requests"
)

// TargetGroup is a set of targets that serve the same thing.
type TargetGroup struct {
	Name string
	// Protocol is HTTP1, HTTP2 or GRPC; empty is HTTP1.
	Protocol string
	// Algorithm is RoundRobin or LeastOutstandingRequests; empty is LeastOutstandingRequests.
	Algorithm string
	// Targets may receive requests, except those that drain. IDs are unique in the group.
	Targets []Target
	// SlowStart is how long a target's share of the group's requests grows, linearly, from nothing to its full part, beginning
	// at its StartTime; 0 is off. While no other target of the group has its full part, it has no effect. Only with RoundRobin.
	SlowStart time.Duration
}

// Target is one address of a target group.
type Target struct {
	// ID is the task's name.
	ID string
	// Address is host:port.
	Address string
	// Draining ends new requests to the target; those in flight may finish until DrainTime.
	Draining bool
	// DrainTime is the absolute end of the drain budget, when what is in flight is cut: requests, streams and
	// upgraded connections. Zero means no end.
	DrainTime time.Time
	// StartTime is since when the target takes requests. Only SlowStart looks at it.
	StartTime time.Time
}

// Update is a snapshot or a change of what is in force.
type Update struct {
	// Snapshot is true on the first update of a watch: Services is all there is.
	Snapshot bool
	// Services holds each service of the snapshot, or each that changed.
	Services []Applied
	// Removed names services whose routes were deleted.
	Removed []string
}

// Applied is what is in force for one service.
type Applied struct {
	// Service is "cluster/service".
	Service string
	// Generation is the one in force.
	Generation int64
	// Drained lists, sorted, the ids of draining targets with no request, stream or upgraded connection in flight.
	// A target that was reported stays so until it stops draining: it may be stopped.
	Drained []string
	// Problem says in a sentence what is wrong with what is in force, e.g. that a listener could not be bound again
	// after a restart; empty when all is well.
	Problem string
}
