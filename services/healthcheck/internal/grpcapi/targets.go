package grpcapi

import (
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/jackc/pgx/v5"

	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	"github.com/slipway-deploy/slipway/platform/once"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/store"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

// RegisterTargets begins to check targets.
func (s *Server) RegisterTargets(ctx context.Context, req *healthcheckpb.RegisterTargetsRequest) (resp *healthcheckpb.RegisterTargetsResponse, err error) {
	var targets []store.Target
	now := s.Now().UTC()
	for i, t := range req.GetTargets() {
		if _, _, err := net.SplitHostPort(t.GetAddress()); err != nil {
			return nil, problem.Invalid(fmt.Sprintf("targets[%d].address", i), "%q is not host:port", t.GetAddress())
		}
		targets = append(targets, store.Target{Group: req.GetTargetGroup(), ID: t.GetId(), Address: t.GetAddress(), Service: req.GetService(), Health: verdict.Registered(now)})
	}
	err = s.Store.InTx(ctx, func(tx pgx.Tx) error {
		resp, err = once.Do(ctx, tx, "RegisterTargets", req.GetRequestId(), req, func() (*healthcheckpb.RegisterTargetsResponse, error) {
			if err := s.enter(ctx, tx, req.GetTargetGroup(), req.GetService(), req.GetGeneration()); err != nil {
				return nil, err
			}
			return &healthcheckpb.RegisterTargetsResponse{}, s.Store.TargetsRegister(ctx, tx, targets)
		})
		return err
	})
	if err == nil {
		s.Engine.Register(targets)
	}
	return resp, err
}

// enter locks the group, so that registrations of it are applied in the order they are saved in, and checks the fence.
func (s *Server) enter(ctx context.Context, tx pgx.Tx, group, service string, generation int64) error {
	if _, err := s.Store.GroupLock(ctx, tx, group); err != nil {
		return err
	}
	return s.Store.Fence(ctx, tx, service, generation)
}

// DeregisterTargets ends the checks of targets.
func (s *Server) DeregisterTargets(ctx context.Context, req *healthcheckpb.DeregisterTargetsRequest) (resp *healthcheckpb.DeregisterTargetsResponse, err error) {
	err = s.Store.InTx(ctx, func(tx pgx.Tx) error {
		resp, err = once.Do(ctx, tx, "DeregisterTargets", req.GetRequestId(), req, func() (*healthcheckpb.DeregisterTargetsResponse, error) {
			if err := s.enter(ctx, tx, req.GetTargetGroup(), req.GetService(), req.GetGeneration()); err != nil {
				return nil, err
			}
			return &healthcheckpb.DeregisterTargetsResponse{}, s.Store.TargetsDelete(ctx, tx, req.GetTargetGroup(), req.GetTargetIds())
		})
		return err
	})
	if err == nil {
		s.Engine.Deregister(req.GetTargetGroup(), req.GetTargetIds())
	}
	return resp, err
}

// DescribeTargetHealth returns the health of targets; a name that is not registered is unused.
func (s *Server) DescribeTargetHealth(ctx context.Context, req *healthcheckpb.DescribeTargetHealthRequest) (*healthcheckpb.DescribeTargetHealthResponse, error) {
	if _, err := s.Store.GroupGet(ctx, req.GetTargetGroup()); err != nil {
		return nil, err
	}
	resp := &healthcheckpb.DescribeTargetHealthResponse{}
	found := s.Engine.Targets(req.GetTargetGroup())
	for id, t := range found {
		if len(req.GetTargetIds()) == 0 || slices.Contains(req.GetTargetIds(), id) {
			resp.Targets = append(resp.Targets, healthPB(t))
		}
	}
	for _, id := range req.GetTargetIds() {
		if _, ok := found[id]; !ok {
			resp.Targets = append(resp.Targets, &healthcheckpb.TargetHealth{
				TargetGroup: req.GetTargetGroup(), Target: &healthcheckpb.Target{Id: id}, State: healthcheckpb.TargetHealth_STATE_UNUSED,
				Reason: verdict.NotRegistered, Description: "Target is not registered to the target group",
			})
		}
	}
	sortByID(resp.GetTargets())
	return resp, nil
}

// SetCustomHealth takes a report of a target's health.
func (s *Server) SetCustomHealth(ctx context.Context, req *healthcheckpb.SetCustomHealthRequest) (*healthcheckpb.SetCustomHealthResponse, error) {
	group, err := s.Store.GroupGet(ctx, req.GetTargetGroup())
	if err != nil {
		return nil, err
	}
	if check := checkOf(groupPB(group).GetHealthCheck()); check.Probed() {
		return nil, problem.New(problem.FailedPrecondition, "INVALID_FIELD",
			"target group %s has health checks of type %s; only CONTAINER and CUSTOM take reports", group.Name, check.Type)
	}
	healthy := req.GetStatus() == healthcheckpb.SetCustomHealthRequest_STATUS_HEALTHY
	target, ok := s.Engine.Report(req.GetTargetGroup(), req.GetTargetId(), healthy, req.GetDescription())
	if !ok {
		return nil, problem.New(problem.NotFound, "TARGET_NOT_FOUND", "target %s is not registered with target group %s", req.GetTargetId(), req.GetTargetGroup())
	}
	return &healthcheckpb.SetCustomHealthResponse{Target: healthPB(target)}, nil
}
