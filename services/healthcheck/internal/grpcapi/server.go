// Package grpcapi serves slipway.healthcheck.v1. Its handlers convert, save and tell the engine.
package grpcapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sort"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	"github.com/slipway-deploy/slipway/platform/once"
	"github.com/slipway-deploy/slipway/platform/page"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/engine"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/store"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

// Server is the TargetGroupService.
type Server struct {
	healthcheckpb.UnimplementedTargetGroupServiceServer
	Store  *store.Store
	Engine *engine.Engine
	Now    func() time.Time
}

// Checks returns how the targets of every group are checked.
func Checks(ctx context.Context, st *store.Store) (map[string]verdict.Check, error) {
	checks := map[string]verdict.Check{}
	after := ""
	for {
		list, err := st.GroupList(ctx, after, 500)
		if err != nil || len(list) == 0 {
			return checks, err
		}
		for _, g := range list {
			pb := groupPB(g)
			checks[g.Name] = checkOf(pb.GetHealthCheck())
			after = g.Name
		}
	}
}

// CreateTargetGroup creates a target group, or returns the existing one when its definition is the same.
func (s *Server) CreateTargetGroup(ctx context.Context, req *healthcheckpb.CreateTargetGroupRequest) (resp *healthcheckpb.CreateTargetGroupResponse, err error) {
	group, check, err := normalized(req.GetTargetGroup())
	if err != nil {
		return nil, err
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(group)
	if err != nil {
		return nil, err
	}
	err = s.Store.InTx(ctx, func(tx pgx.Tx) error {
		resp, err = once.Do(ctx, tx, "CreateTargetGroup", req.GetRequestId(), req, func() (*healthcheckpb.CreateTargetGroupResponse, error) {
			row := store.Group{Name: group.GetName(), Definition: body, CreateTime: s.Now()}
			created, err := s.Store.GroupInsert(ctx, tx, row)
			if err != nil {
				return nil, err
			}
			if !created {
				if row, err = s.Store.GroupLock(ctx, tx, group.GetName()); err != nil {
					return nil, err
				}
				if string(row.Definition) != string(body) {
					return nil, problem.New(problem.AlreadyExists, "ALREADY_EXISTS", "target group %s exists with another definition; use ModifyTargetGroup", row.Name)
				}
			}
			return &healthcheckpb.CreateTargetGroupResponse{TargetGroup: groupPB(row)}, nil
		})
		return err
	})
	if err == nil {
		s.Engine.SetGroup(group.GetName(), check)
	}
	return resp, err
}

// ModifyTargetGroup replaces a target group's definition.
func (s *Server) ModifyTargetGroup(ctx context.Context, req *healthcheckpb.ModifyTargetGroupRequest) (resp *healthcheckpb.ModifyTargetGroupResponse, err error) {
	group, check, err := normalized(req.GetTargetGroup())
	if err != nil {
		return nil, err
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(group)
	if err != nil {
		return nil, err
	}
	err = s.Store.InTx(ctx, func(tx pgx.Tx) error {
		resp, err = once.Do(ctx, tx, "ModifyTargetGroup", req.GetRequestId(), req, func() (*healthcheckpb.ModifyTargetGroupResponse, error) {
			row, err := s.Store.GroupLock(ctx, tx, group.GetName())
			if err != nil {
				return nil, err
			}
			if tag := req.GetTargetGroup().GetEtag(); tag != "" && tag != etag(row.Definition) {
				return nil, problem.New(problem.Aborted, "STALE_ETAG", "target group %s was changed since it was read; read it again", row.Name)
			}
			row.Definition = body
			return &healthcheckpb.ModifyTargetGroupResponse{TargetGroup: groupPB(row)}, s.Store.GroupUpdate(ctx, tx, row.Name, body)
		})
		return err
	})
	if err == nil {
		s.Engine.SetGroup(group.GetName(), check)
	}
	return resp, err
}

// normalized is the part of a target group that users write, with its defaults, and its check.
func normalized(pb *healthcheckpb.TargetGroup) (*healthcheckpb.TargetGroup, verdict.Check, error) {
	check := checkOf(pb.GetHealthCheck())
	var broken []problem.Violation
	for _, v := range check.Validate() {
		broken = append(broken, problem.Violation{Field: "target_group." + v.Field, Rule: v.Rule})
	}
	if d := pb.GetDeregistrationDelay().AsDuration(); d < 0 || d > time.Hour {
		broken = append(broken, problem.Violation{Field: "target_group.deregistration_delay", Rule: "must be 0 to 3600 s"})
	}
	if len(broken) > 0 {
		return nil, check, problem.Violated(broken...)
	}
	return &healthcheckpb.TargetGroup{Name: pb.GetName(), HealthCheck: checkPB(check), DeregistrationDelay: pb.GetDeregistrationDelay()}, check, nil
}

// GetTargetGroup returns one target group.
func (s *Server) GetTargetGroup(ctx context.Context, req *healthcheckpb.GetTargetGroupRequest) (*healthcheckpb.GetTargetGroupResponse, error) {
	row, err := s.Store.GroupGet(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return &healthcheckpb.GetTargetGroupResponse{TargetGroup: groupPB(row)}, nil
}

// ListTargetGroups returns target groups by name.
func (s *Server) ListTargetGroups(ctx context.Context, req *healthcheckpb.ListTargetGroupsRequest) (*healthcheckpb.ListTargetGroupsResponse, error) {
	var after string
	if err := page.Decode(req.GetPageToken(), &after); err != nil {
		return nil, err
	}
	size := int(page.Size(req.GetPageSize(), 20, 100))
	list, err := s.Store.GroupList(ctx, after, size+1)
	if err != nil {
		return nil, err
	}
	resp := &healthcheckpb.ListTargetGroupsResponse{}
	if len(list) > size {
		list = list[:size]
		resp.NextPageToken = page.Encode(list[size-1].Name)
	}
	for _, g := range list {
		resp.TargetGroups = append(resp.TargetGroups, groupPB(g))
	}
	return resp, nil
}

// DeleteTargetGroup deletes a target group without targets.
func (s *Server) DeleteTargetGroup(ctx context.Context, req *healthcheckpb.DeleteTargetGroupRequest) (resp *healthcheckpb.DeleteTargetGroupResponse, err error) {
	err = s.Store.InTx(ctx, func(tx pgx.Tx) error {
		resp, err = once.Do(ctx, tx, "DeleteTargetGroup", req.GetRequestId(), req, func() (*healthcheckpb.DeleteTargetGroupResponse, error) {
			if _, err := s.Store.GroupLock(ctx, tx, req.GetName()); err != nil {
				return nil, err
			}
			return &healthcheckpb.DeleteTargetGroupResponse{}, s.Store.GroupDelete(ctx, tx, req.GetName())
		})
		return err
	})
	if err == nil {
		s.Engine.RemoveGroup(req.GetName())
	}
	return resp, err
}

// WatchTargetHealth streams a snapshot, then changes.
func (s *Server) WatchTargetHealth(req *healthcheckpb.WatchTargetHealthRequest, stream grpc.ServerStreamingServer[healthcheckpb.WatchTargetHealthResponse]) error {
	wanted := map[string]bool{}
	for _, name := range req.GetTargetGroups() {
		wanted[name] = true
	}
	sub := s.Engine.Hub().Subscribe(func(k engine.Key, _ store.Target) bool { return len(wanted) == 0 || wanted[k.Group] })
	defer sub.Close()
	for {
		changes, err := sub.Next(stream.Context())
		if err != nil {
			return err
		}
		resp := &healthcheckpb.WatchTargetHealthResponse{Snapshot: changes.Snapshot}
		for _, t := range changes.Set {
			resp.Targets = append(resp.Targets, healthPB(t))
		}
		for _, k := range changes.Deleted {
			resp.RemovedTargets = append(resp.RemovedTargets, &healthcheckpb.TargetRef{TargetGroup: k.Group, TargetId: k.ID})
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
}

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
		HealthyThreshold: int(pb.GetHealthyThreshold()), UnhealthyThreshold: int(pb.GetUnhealthyThreshold()), Matcher: pb.GetMatcher(), KeepAlive: pb.GetKeepAlive(),
	}
	if pb.GetType() != healthcheckpb.HealthCheck_TYPE_UNSPECIFIED {
		c.Type = verdict.Type(strings.TrimPrefix(pb.GetType().String(), "TYPE_"))
	}
	return c.WithDefaults()
}

func checkPB(c verdict.Check) *healthcheckpb.HealthCheck {
	return &healthcheckpb.HealthCheck{
		Type: healthcheckpb.HealthCheck_Type(healthcheckpb.HealthCheck_Type_value["TYPE_"+string(c.Type)]), Path: c.Path, Port: int32(c.Port),
		Interval: durationpb.New(c.Interval), Timeout: durationpb.New(c.Timeout), HealthyThreshold: int32(c.HealthyThreshold),
		UnhealthyThreshold: int32(c.UnhealthyThreshold), Matcher: c.Matcher, KeepAlive: c.KeepAlive,
	}
}

func healthPB(t store.Target) *healthcheckpb.TargetHealth {
	pb := &healthcheckpb.TargetHealth{
		TargetGroup: t.Group, Target: &healthcheckpb.Target{Id: t.ID, Address: t.Address}, Service: t.Service,
		State:  healthcheckpb.TargetHealth_State(healthcheckpb.TargetHealth_State_value["STATE_"+string(t.Health.State)]),
		Reason: t.Health.Reason, Description: t.Health.Description, ConsecutiveSuccesses: int32(t.Health.Successes), ConsecutiveFailures: int32(t.Health.Failures),
		StateTime: timestamppb.New(t.Health.StateTime),
	}
	if !t.Health.CheckTime.IsZero() {
		pb.CheckTime = timestamppb.New(t.Health.CheckTime)
	}
	return pb
}

func sortByID(list []*healthcheckpb.TargetHealth) {
	sort.Slice(list, func(i, j int) bool { return list[i].GetTarget().GetId() < list[j].GetTarget().GetId() })
}
