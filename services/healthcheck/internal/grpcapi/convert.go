package grpcapi

import (
	"crypto/sha256"
	"encoding/hex"
	"sort"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/store"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

func groupPB(g store.Group) *healthcheckpb.TargetGroup {
	pb := &healthcheckpb.TargetGroup{}
	_ = proto.Unmarshal(g.Definition, pb) // what was marshalled here
	pb.CreateTime, pb.Etag = timestamppb.New(g.CreateTime), etag(g.Definition)
	return pb
}

func etag(definition []byte) string {
	sum := sha256.Sum256(definition)
	return hex.EncodeToString(sum[:8])
}

func checkOf(pb *healthcheckpb.HealthCheck) verdict.Check {
	c := verdict.Check{
		Path: pb.GetPath(), Port: int(pb.GetPort()), Interval: pb.GetInterval().AsDuration(), Timeout: pb.GetTimeout().AsDuration(),
		HealthyThreshold: int(pb.GetHealthyThreshold()), UnhealthyThreshold: int(pb.GetUnhealthyThreshold()),
		Matcher: pb.GetMatcher(), KeepAlive: pb.GetKeepAlive(),
	}
	if pb.GetType() != healthcheckpb.HealthCheck_TYPE_UNSPECIFIED {
		c.Type = verdict.Type(strings.TrimPrefix(pb.GetType().String(), "TYPE_"))
	}
	switch {
	case pb.GetCustomHealthDelay() != nil:
		c.CustomHealthDelay = pb.GetCustomHealthDelay().AsDuration()
	case c.Type == verdict.Custom:
		c.CustomHealthDelay = verdict.DefaultCustomHealthDelay
	}
	return c.WithDefaults()
}

func checkPB(c verdict.Check) *healthcheckpb.HealthCheck {
	pb := &healthcheckpb.HealthCheck{
		Type: typePB(c.Type), Path: c.Path, Port: int32(c.Port),
		Interval: durationpb.New(c.Interval), Timeout: durationpb.New(c.Timeout), HealthyThreshold: int32(c.HealthyThreshold),
		UnhealthyThreshold: int32(c.UnhealthyThreshold), Matcher: c.Matcher, KeepAlive: c.KeepAlive,
	}
	if c.Type == verdict.Custom {
		pb.CustomHealthDelay = durationpb.New(c.CustomHealthDelay)
	}
	return pb
}

func typePB(t verdict.Type) healthcheckpb.HealthCheck_Type {
	return healthcheckpb.HealthCheck_Type(healthcheckpb.HealthCheck_Type_value["TYPE_"+string(t)])
}

func (s *Server) healthPB(t store.Target) *healthcheckpb.TargetHealth {
	pb := &healthcheckpb.TargetHealth{
		TargetGroup: t.Group, Target: &healthcheckpb.Target{Id: t.ID, Address: t.Address}, Service: t.Service,
		State:  healthcheckpb.TargetHealth_State(healthcheckpb.TargetHealth_State_value["STATE_"+string(t.Health.State)]),
		Reason: t.Health.Reason, Description: t.Health.Description,
		ConsecutiveSuccesses: int32(t.Health.Successes), ConsecutiveFailures: int32(t.Health.Failures),
		StateTime: timestamppb.New(t.Health.StateTime), Type: typePB(s.Engine.Type(t.Group)),
	}
	if !t.Health.CheckTime.IsZero() {
		pb.CheckTime = timestamppb.New(t.Health.CheckTime)
	}
	if flip := t.Health.Flip; !flip.Time.IsZero() {
		pb.ReportedState, pb.ReportedStateTime = healthcheckpb.TargetHealth_STATE_UNHEALTHY, timestamppb.New(flip.Time)
		if flip.Healthy {
			pb.ReportedState = healthcheckpb.TargetHealth_STATE_HEALTHY
		}
	}
	return pb
}

func sortByID(list []*healthcheckpb.TargetHealth) {
	sort.Slice(list, func(i, j int) bool { return list[i].GetTarget().GetId() < list[j].GetTarget().GetId() })
}
