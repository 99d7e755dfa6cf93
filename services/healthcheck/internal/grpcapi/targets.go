package grpcapi

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/store"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

// RegisterTargets begins to check targets.
func (s *Server) RegisterTargets(ctx context.Context, req *healthcheckpb.RegisterTargetsRequest) (*healthcheckpb.RegisterTargetsResponse, error) {
	targets, err := s.targets(req)
	if err != nil {
		return nil, err
	}
	register := func(ctx context.Context, tx pgx.Tx) (*healthcheckpb.RegisterTargetsResponse, func(), error) {
		if _, err := s.enter(ctx, tx, req.GetTargetGroup(), req.GetService(), req.GetGeneration()); err != nil {
			return nil, nil, err
		}
		ids, err := s.Store.TargetsRegister(ctx, tx, req.GetTargetGroup(), req.GetService(), targets, s.Now().UTC())
		if err != nil {
			return nil, nil, err
		}
		added := slices.DeleteFunc(slices.Clone(targets), func(t store.Target) bool { return !slices.Contains(ids, t.ID) })
		return &healthcheckpb.RegisterTargetsResponse{}, func() { s.Engine.Register(added) }, nil
	}
	return commit(ctx, s, "RegisterTargets", req.GetRequestId(), req, register)
}

// targets is the request's targets, or every rule that they break.
func (s *Server) targets(req *healthcheckpb.RegisterTargetsRequest) ([]store.Target, error) {
	var targets []store.Target
	var broken []problem.Violation
	seen := map[string]bool{}
	health := verdict.Registered(s.Now().UTC())
	for i, t := range req.GetTargets() {
		field := fmt.Sprintf("targets[%d].", i)
		if seen[t.GetId()] {
			broken = append(broken, problem.Violation{Field: field + "id", Rule: fmt.Sprintf("%q comes twice", t.GetId())})
		}
		seen[t.GetId()] = true
		if rule := brokenAddress(t.GetAddress()); rule != "" {
			broken = append(broken, problem.Violation{Field: field + "address", Rule: rule})
		}
		targets = append(targets, store.Target{Group: req.GetTargetGroup(), ID: t.GetId(), Address: t.GetAddress(), Service: req.GetService(), Health: health})
	}
	if len(broken) > 0 {
		return nil, problem.Violated(broken...)
	}
	return targets, nil
}

// enter locks the group, so that registrations of it are applied in the order they are saved in, and checks the fence.
func (s *Server) enter(ctx context.Context, tx pgx.Tx, group, service string, generation int64) (store.Group, error) {
	row, err := s.Store.GroupLock(ctx, tx, group)
	if err != nil {
		return row, err
	}
	return row, s.Store.Fence(ctx, tx, service, generation)
}

// DeregisterTargets ends the checks of a service's targets: at once, or they drain for the group's deregistration delay first.
func (s *Server) DeregisterTargets(ctx context.Context, req *healthcheckpb.DeregisterTargetsRequest) (*healthcheckpb.DeregisterTargetsResponse, error) {
	deregister := func(ctx context.Context, tx pgx.Tx) (*healthcheckpb.DeregisterTargetsResponse, func(), error) {
		group, err := s.enter(ctx, tx, req.GetTargetGroup(), req.GetService(), req.GetGeneration())
		if err != nil {
			return nil, nil, err
		}
		effect, err := s.deregister(ctx, tx, req, groupPB(group))
		return &healthcheckpb.DeregisterTargetsResponse{}, effect, err
	}
	return commit(ctx, s, "DeregisterTargets", req.GetRequestId(), req, deregister)
}

func (s *Server) deregister(ctx context.Context, tx pgx.Tx, req *healthcheckpb.DeregisterTargetsRequest, group *healthcheckpb.TargetGroup) (func(), error) {
	delay := group.GetDeregistrationDelay().AsDuration()
	if delay <= 0 {
		ids, err := s.Store.TargetsRemove(ctx, tx, group.GetName(), req.GetService(), req.GetTargetIds())
		return func() { s.Engine.Remove(group.GetName(), ids) }, err
	}
	now := s.Now().UTC().Truncate(time.Microsecond) // as the database keeps it
	until := now.Add(delay.Truncate(time.Microsecond))
	ids, err := s.Store.TargetsDrain(ctx, tx, group.GetName(), req.GetService(), req.GetTargetIds(), now, until)
	return func() { s.Engine.Drain(group.GetName(), ids, now, until) }, err
}

// DescribeTargetHealth returns the health of targets; a name that is not registered is unused.
func (s *Server) DescribeTargetHealth(
	ctx context.Context, req *healthcheckpb.DescribeTargetHealthRequest,
) (*healthcheckpb.DescribeTargetHealthResponse, error) {
	if _, err := s.Store.GroupGet(ctx, req.GetTargetGroup()); err != nil {
		return nil, err
	}
	resp := &healthcheckpb.DescribeTargetHealthResponse{}
	found, err := s.Engine.Targets(ctx, req.GetTargetGroup())
	if err != nil {
		return nil, err
	}
	if len(req.GetTargetIds()) == 0 {
		for _, t := range found {
			resp.Targets = append(resp.Targets, s.healthPB(t))
		}
	}
	for _, id := range slices.Compact(slices.Sorted(slices.Values(req.GetTargetIds()))) {
		if t, ok := found[id]; ok {
			resp.Targets = append(resp.Targets, s.healthPB(t))
		} else {
			resp.Targets = append(resp.Targets, &healthcheckpb.TargetHealth{
				TargetGroup: req.GetTargetGroup(), Target: &healthcheckpb.Target{Id: id}, State: healthcheckpb.TargetHealth_STATE_UNUSED,
				Reason: verdict.NotRegistered, Description: "Target is not registered to the target group",
			})
		}
	}
	resp.Targets = filtered(resp.GetTargets(), req.GetHealthStatus())
	sortByID(resp.GetTargets())
	return resp, nil
}

// filtered is the targets that the filter selects.
func filtered(list []*healthcheckpb.TargetHealth, f healthcheckpb.HealthStatusFilter) []*healthcheckpb.TargetHealth {
	in := func(state healthcheckpb.TargetHealth_State) (found []*healthcheckpb.TargetHealth) {
		for _, t := range list {
			if t.GetState() == state {
				found = append(found, t)
			}
		}
		return found
	}
	switch f {
	case healthcheckpb.HealthStatusFilter_HEALTH_STATUS_FILTER_HEALTHY:
		return in(healthcheckpb.TargetHealth_STATE_HEALTHY)
	case healthcheckpb.HealthStatusFilter_HEALTH_STATUS_FILTER_UNHEALTHY:
		return in(healthcheckpb.TargetHealth_STATE_UNHEALTHY)
	case healthcheckpb.HealthStatusFilter_HEALTH_STATUS_FILTER_HEALTHY_OR_ELSE_ALL:
		if healthy := in(healthcheckpb.TargetHealth_STATE_HEALTHY); len(healthy) > 0 {
			return healthy
		}
	case healthcheckpb.HealthStatusFilter_HEALTH_STATUS_FILTER_UNSPECIFIED, healthcheckpb.HealthStatusFilter_HEALTH_STATUS_FILTER_ALL:
	}
	return list
}

// SetCustomHealth takes a report of a target's health. It is saved before the answer.
func (s *Server) SetCustomHealth(ctx context.Context, req *healthcheckpb.SetCustomHealthRequest) (*healthcheckpb.SetCustomHealthResponse, error) {
	report := func(ctx context.Context, tx pgx.Tx) (*healthcheckpb.SetCustomHealthResponse, func(), error) {
		group, err := s.enter(ctx, tx, req.GetTargetGroup(), req.GetService(), req.GetGeneration())
		if err != nil {
			return nil, nil, err
		}
		check := checkOf(groupPB(group).GetHealthCheck())
		if check.Probed() {
			return nil, nil, problem.New(problem.FailedPrecondition, "INVALID_FIELD",
				"target group %s has health checks of type %s; only CONTAINER and CUSTOM take reports", group.Name, check.Type)
		}
		target, there, err := s.Store.TargetLock(ctx, tx, req.GetTargetGroup(), req.GetTargetId())
		if err != nil {
			return nil, nil, err
		}
		if !there {
			return nil, nil, problem.New(problem.NotFound, "TARGET_NOT_FOUND",
				"target %s is not registered with target group %s", req.GetTargetId(), req.GetTargetGroup())
		}
		healthy, now := req.GetStatus() == healthcheckpb.SetCustomHealthRequest_STATUS_HEALTHY, s.Now().UTC().Truncate(time.Microsecond)
		target.Health = verdict.Reported(target.Health, healthy, req.GetDescription(), check.CustomHealthDelay, now)
		if err := s.Store.HealthUpdateTx(ctx, tx, target); err != nil {
			return nil, nil, err
		}
		return &healthcheckpb.SetCustomHealthResponse{Target: s.healthPB(target)}, func() { s.Engine.SetHealth(target) }, nil
	}
	return commit(ctx, s, "SetCustomHealth", req.GetRequestId(), req, report)
}
