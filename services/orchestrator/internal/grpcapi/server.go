// Package grpcapi serves the orchestrator's contract. Its handlers convert and call: what a command means is decided in
// package rollout, and who may read what is decided nowhere here.
package grpcapi

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"strings"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/engine"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/feed"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

// Server serves every gRPC service of the orchestrator.
type Server struct {
	Store   *store.Store
	Engine  *engine.Engine
	Feed    *feed.Feed // of events, at work
	Runtime runtime.Runtime
	Health  healthcheckpb.TargetGroupServiceClient
	Hooks   hookspb.HookServiceClient
	Now     func() time.Time

	check func(message any) error // the rules of the contract
	views views
}

// Register adds all of it to a gRPC server.
func (s *Server) Register(to *grpcserver.Server) {
	s.check = to.Check
	to.Register(&orchestratorpb.ClusterService_ServiceDesc, &clusters{s: s})
	to.Register(&orchestratorpb.TaskDefinitionService_ServiceDesc, &taskDefinitions{s: s})
	to.Register(&orchestratorpb.DeploymentConfigService_ServiceDesc, &deploymentConfigs{s: s})
	to.Register(&orchestratorpb.ServiceService_ServiceDesc, &services{s: s})
	to.Register(&orchestratorpb.DeploymentService_ServiceDesc, &deployments{s: s})
	to.Register(&orchestratorpb.AppSpecService_ServiceDesc, &appSpecs{s: s})
	to.Register(&orchestratorpb.EventService_ServiceDesc, &events{s: s})
	to.Register(&orchestratorpb.TaskService_ServiceDesc, &tasks{s: s})
}

// Containers returns what the tasks of a task definition ("family:revision") run.
func Containers(ctx context.Context, st *store.Store, name string) ([]runtime.Container, error) {
	definition, err := taskDefinitionByName(ctx, st, name)
	if err != nil {
		return nil, err
	}
	return containersOf(definition), nil
}

// newDeploymentID returns "d-" and 80 random bits.
func newDeploymentID() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails
	return "d-" + strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

func orDefault(cluster string) string {
	if cluster == "" {
		return rollout.DefaultCluster
	}
	return cluster
}

// ofService names the fields of an invalid service as a request has them.
func ofService(err error) error {
	p := problem.As(err)
	if p == nil || p.Kind != problem.InvalidArgument {
		return err
	}
	var violations []problem.Violation
	for _, v := range p.Violations {
		violations = append(violations, problem.Violation{Field: "service." + v.Field, Rule: v.Rule})
	}
	return problem.Violated(violations...)
}

// problemOf turns a refusal of the core into a problem.
func problemOf(err error) error {
	var refusal *rollout.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	if refusal.Code == rollout.InvalidArgument {
		var violations []problem.Violation
		for _, v := range refusal.Violations {
			violations = append(violations, problem.Violation(v))
		}
		return problem.Violated(violations...)
	}
	kind := problem.FailedPrecondition
	if strings.HasSuffix(refusal.Reason, "_NOT_FOUND") {
		kind = problem.NotFound
	}
	p := problem.New(kind, refusal.Reason, "%s", refusal.Message)
	for key, value := range refusal.Metadata {
		p = p.With(key, value)
	}
	return p
}
