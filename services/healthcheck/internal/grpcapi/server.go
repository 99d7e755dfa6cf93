// Package grpcapi serves slipway.healthcheck.v1. Its handlers convert, save and tell the engine.
package grpcapi

import (
	"bytes"
	"cmp"
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

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

// commit runs f once for a request id, in a transaction, and then its effect on the engine. A stored answer has no effect.
func commit[T proto.Message](
	ctx context.Context, s *Server, method, requestID string, req proto.Message, f func(context.Context, pgx.Tx) (T, func(), error),
) (T, error) {
	var none, resp T
	err := s.Engine.Commit(ctx, func(ctx context.Context, tx pgx.Tx) (effect func(), err error) {
		resp, err = once.Do(ctx, tx, method, requestID, req, func() (answer T, err error) {
			answer, effect, err = f(ctx, tx)
			return answer, err
		})
		return effect, err
	})
	if err != nil {
		return none, err
	}
	return resp, nil
}

// CreateTargetGroup creates a target group, or returns the existing one when its definition is the same.
func (s *Server) CreateTargetGroup(ctx context.Context, req *healthcheckpb.CreateTargetGroupRequest) (*healthcheckpb.CreateTargetGroupResponse, error) {
	group, check, err := normalized(req.GetTargetGroup())
	if err != nil {
		return nil, err
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(group)
	if err != nil {
		return nil, err
	}
	create := func(ctx context.Context, tx pgx.Tx) (*healthcheckpb.CreateTargetGroupResponse, func(), error) {
		row := store.Group{Name: group.GetName(), Definition: body, CreateTime: s.Now().UTC()}
		created, err := s.Store.GroupInsert(ctx, tx, row)
		if err != nil {
			return nil, nil, err
		}
		if !created {
			if row, err = s.Store.GroupLock(ctx, tx, group.GetName()); err != nil {
				return nil, nil, err
			}
			if !bytes.Equal(row.Definition, body) {
				return nil, nil, problem.New(problem.AlreadyExists, "ALREADY_EXISTS",
					"target group %s exists with another definition; use ModifyTargetGroup", row.Name)
			}
		}
		return &healthcheckpb.CreateTargetGroupResponse{TargetGroup: groupPB(row)}, func() { s.Engine.SetGroup(row.Name, check) }, nil
	}
	return commit(ctx, s, "CreateTargetGroup", req.GetRequestId(), req, create)
}

// ModifyTargetGroup replaces a target group's definition. Its targets keep their states and are checked the new way at once.
func (s *Server) ModifyTargetGroup(ctx context.Context, req *healthcheckpb.ModifyTargetGroupRequest) (*healthcheckpb.ModifyTargetGroupResponse, error) {
	group, check, err := normalized(req.GetTargetGroup())
	if err != nil {
		return nil, err
	}
	body, err := proto.MarshalOptions{Deterministic: true}.Marshal(group)
	if err != nil {
		return nil, err
	}
	modify := func(ctx context.Context, tx pgx.Tx) (*healthcheckpb.ModifyTargetGroupResponse, func(), error) {
		row, err := s.Store.GroupLock(ctx, tx, group.GetName())
		if err != nil {
			return nil, nil, err
		}
		if tag := req.GetTargetGroup().GetEtag(); tag != "" && tag != etag(row.Definition) {
			return nil, nil, problem.New(problem.Aborted, "STALE_ETAG", "target group %s was changed since it was read; read it again", row.Name)
		}
		row.Definition = body
		if err := s.Store.GroupUpdate(ctx, tx, row.Name, body); err != nil {
			return nil, nil, err
		}
		return &healthcheckpb.ModifyTargetGroupResponse{TargetGroup: groupPB(row)}, func() { s.Engine.SetGroup(row.Name, check) }, nil
	}
	return commit(ctx, s, "ModifyTargetGroup", req.GetRequestId(), req, modify)
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
	group := &healthcheckpb.TargetGroup{Name: pb.GetName(), HealthCheck: checkPB(check), DeregistrationDelay: pb.GetDeregistrationDelay()}
	return group, check, nil
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
func (s *Server) DeleteTargetGroup(ctx context.Context, req *healthcheckpb.DeleteTargetGroupRequest) (*healthcheckpb.DeleteTargetGroupResponse, error) {
	remove := func(ctx context.Context, tx pgx.Tx) (*healthcheckpb.DeleteTargetGroupResponse, func(), error) {
		if _, err := s.Store.GroupLock(ctx, tx, req.GetName()); err != nil {
			return nil, nil, err
		}
		if err := s.Store.GroupDelete(ctx, tx, req.GetName()); err != nil {
			return nil, nil, err
		}
		return &healthcheckpb.DeleteTargetGroupResponse{}, func() { s.Engine.RemoveGroup(req.GetName()) }, nil
	}
	return commit(ctx, s, "DeleteTargetGroup", req.GetRequestId(), req, remove)
}

// WatchTargetHealth streams a snapshot, then changes.
func (s *Server) WatchTargetHealth(
	req *healthcheckpb.WatchTargetHealthRequest, stream grpc.ServerStreamingServer[healthcheckpb.WatchTargetHealthResponse],
) error {
	wanted := map[string]bool{}
	for _, name := range req.GetTargetGroups() {
		wanted[name] = true
	}
	sub := s.Engine.Hub().Subscribe(func(k engine.Key, _ store.Target) bool { return len(wanted) == 0 || wanted[k.Group] })
	defer sub.Close()
	ctx, cancel := s.Engine.Sees(stream.Context())
	defer cancel()
	for {
		changes, err := sub.Next(ctx)
		if err != nil {
			return cmp.Or(context.Cause(ctx), err)
		}
		resp := &healthcheckpb.WatchTargetHealthResponse{Snapshot: changes.Snapshot}
		for _, t := range changes.Set {
			resp.Targets = append(resp.Targets, s.healthPB(t))
		}
		for _, k := range changes.Deleted {
			resp.RemovedTargets = append(resp.RemovedTargets, &healthcheckpb.TargetRef{TargetGroup: k.Group, TargetId: k.ID})
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
}
