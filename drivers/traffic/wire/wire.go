// Package wire converts between the traffic port and slipway.traffic.v1, for the driver and for the proxy.
package wire

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
)

// RoutesPB converts routes to the contract.
func RoutesPB(r traffic.Routes) *trafficpb.Routes {
	pb := &trafficpb.Routes{Service: r.Service}
	for _, l := range r.Listeners {
		listener := &trafficpb.Listener{Name: l.Name, Address: l.Address}
		for _, f := range l.Forward {
			listener.Forward = append(listener.Forward, &trafficpb.WeightedTargetGroup{TargetGroup: f.TargetGroup, Weight: int32(f.Weight)})
		}
		pb.Listeners = append(pb.Listeners, listener)
	}
	for _, g := range r.TargetGroups {
		group := &trafficpb.TargetGroup{Name: g.Name, Protocol: protocolPB(g.Protocol), Algorithm: algorithmPB(g.Algorithm)}
		if g.SlowStart > 0 {
			group.SlowStart = durationpb.New(g.SlowStart)
		}
		for _, t := range g.Targets {
			target := &trafficpb.Target{Id: t.ID, Address: t.Address, Draining: t.Draining}
			if !t.DrainTime.IsZero() {
				target.DrainTime = timestamppb.New(t.DrainTime)
			}
			if !t.StartTime.IsZero() {
				target.StartTime = timestamppb.New(t.StartTime)
			}
			group.Targets = append(group.Targets, target)
		}
		pb.TargetGroups = append(pb.TargetGroups, group)
	}
	return pb
}

// Routes converts routes from the contract.
func Routes(pb *trafficpb.Routes) traffic.Routes {
	r := traffic.Routes{Service: pb.GetService()}
	for _, l := range pb.GetListeners() {
		listener := traffic.Listener{Name: l.GetName(), Address: l.GetAddress()}
		for _, f := range l.GetForward() {
			listener.Forward = append(listener.Forward, traffic.WeightedTargetGroup{TargetGroup: f.GetTargetGroup(), Weight: int(f.GetWeight())})
		}
		r.Listeners = append(r.Listeners, listener)
	}
	for _, g := range pb.GetTargetGroups() {
		group := traffic.TargetGroup{
			Name: g.GetName(), Protocol: protocol(g.GetProtocol()), Algorithm: algorithm(g.GetAlgorithm()), SlowStart: g.GetSlowStart().AsDuration(),
		}
		for _, t := range g.GetTargets() {
			group.Targets = append(group.Targets, traffic.Target{
				ID: t.GetId(), Address: t.GetAddress(), Draining: t.GetDraining(), DrainTime: timeOf(t.GetDrainTime()),
				StartTime: timeOf(t.GetStartTime()),
			})
		}
		r.TargetGroups = append(r.TargetGroups, group)
	}
	return r
}

// AppliedPB converts what is in force to the contract.
func AppliedPB(a traffic.Applied) *trafficpb.AppliedRoutes {
	return &trafficpb.AppliedRoutes{Service: a.Service, Generation: a.Generation, DrainedTargets: a.Drained, Problem: a.Problem}
}

// Applied converts what is in force from the contract.
func Applied(pb *trafficpb.AppliedRoutes) traffic.Applied {
	return traffic.Applied{Service: pb.GetService(), Generation: pb.GetGeneration(), Drained: pb.GetDrainedTargets(), Problem: pb.GetProblem()}
}

func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

func protocolPB(p string) trafficpb.TargetGroup_Protocol {
	switch p {
	case traffic.HTTP2:
		return trafficpb.TargetGroup_PROTOCOL_HTTP2
	case traffic.GRPC:
		return trafficpb.TargetGroup_PROTOCOL_GRPC
	default:
		return trafficpb.TargetGroup_PROTOCOL_HTTP1
	}
}

func protocol(p trafficpb.TargetGroup_Protocol) string {
	switch p {
	case trafficpb.TargetGroup_PROTOCOL_HTTP2:
		return traffic.HTTP2
	case trafficpb.TargetGroup_PROTOCOL_GRPC:
		return traffic.GRPC
	default:
		return traffic.HTTP1
	}
}

func algorithmPB(a string) trafficpb.TargetGroup_Algorithm {
	if a == traffic.RoundRobin {
		return trafficpb.TargetGroup_ALGORITHM_ROUND_ROBIN
	}
	return trafficpb.TargetGroup_ALGORITHM_LEAST_OUTSTANDING_REQUESTS
}

func algorithm(a trafficpb.TargetGroup_Algorithm) string {
	if a == trafficpb.TargetGroup_ALGORITHM_ROUND_ROBIN {
		return traffic.RoundRobin
	}
	return traffic.LeastOutstandingRequests
}
