package engine

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// convergeHealth brings the healthcheck service's view of the targets about.
func (w *worker) convergeHealth(ctx context.Context, o order) error {
	return errors.Join(w.convergeTargets(ctx, o.service, o.desired), w.convergeReports(ctx, o.service, o.desired))
}

// convergeTargets registers the targets that are not checked yet and deregisters those that no longer should be.
func (w *worker) convergeTargets(ctx context.Context, service rollout.Service, d rollout.Desired) error {
	var errs []error
	for _, group := range d.TargetGroups {
		register, deregister, seen := w.targetsToChange(service.Key(), group)
		if !seen {
			return nil // the snapshot of the stream will wake this worker
		}
		if len(register) > 0 {
			_, err := w.engine.Health.RegisterTargets(ctx, &healthcheckpb.RegisterTargetsRequest{
				TargetGroup: group.TargetGroup, Service: service.Key(), Generation: d.Generation, Targets: register,
			})
			errs = append(errs, err)
		}
		if len(deregister) > 0 {
			_, err := w.engine.Health.DeregisterTargets(ctx, &healthcheckpb.DeregisterTargetsRequest{
				TargetGroup: group.TargetGroup, Service: service.Key(), Generation: d.Generation, TargetIds: deregister,
			})
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (w *worker) targetsToChange(service string, group rollout.DesiredTargets) (register []*healthcheckpb.Target, deregister []string, seen bool) {
	f := w.engine.facts
	f.mu.RLock()
	defer f.mu.RUnlock()
	if !f.targets.known {
		return nil, nil, false
	}
	have := f.targets.by[group.TargetGroup]
	wanted := map[string]bool{}
	for _, t := range group.Targets {
		wanted[t.ID] = true
		if old := have[t.ID]; old == nil || old.GetTarget().GetAddress() != t.Address {
			register = append(register, &healthcheckpb.Target{Id: t.ID, Address: t.Address})
		}
	}
	for id, t := range have {
		if t.GetService() == service && !wanted[id] && t.GetState() != healthcheckpb.TargetHealth_STATE_DRAINING {
			deregister = append(deregister, id)
		}
	}
	return register, deregister, true
}

// convergeHooks invokes the hooks that are asked for and not known yet, and cancels those given up. What the hooks service
// answers is an observation like what it streams.
func (w *worker) convergeHooks(ctx context.Context, o order) error {
	service, d := o.service, o.desired
	var errs []error
	for _, call := range d.Hooks {
		if w.invoked(service.Key(), call.ID) {
			continue
		}
		invocation, err := invocationOf(service, call)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		answer, err := w.engine.Hooks.InvokeHook(ctx, &hookspb.InvokeHookRequest{Generation: d.Generation, Invocation: invocation})
		if err != nil {
			errs = append(errs, err)
			continue
		}
		w.engine.facts.change(func() {
			if w.engine.facts.calls.by[service.Key()][call.ID] == nil {
				w.engine.facts.calls.set(service.Key(), call.ID, answer.GetInvocation())
			}
		})
		w.wake()
	}
	for _, id := range w.unwanted(service.Key(), d.Hooks) {
		_, err := w.engine.Hooks.CancelInvocation(ctx, &hookspb.CancelInvocationRequest{Generation: d.Generation, Id: id})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (w *worker) invoked(service, id string) bool {
	f := w.engine.facts
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.calls.by[service][id] != nil
}

// unwanted is the invocations of the service that have not ended and that nobody waits for any more.
func (w *worker) unwanted(service string, wanted []rollout.DesiredInvocation) []string {
	f := w.engine.facts
	f.mu.RLock()
	defer f.mu.RUnlock()
	var ids []string
	for id, call := range f.calls.by[service] {
		open := call.GetState() == hookspb.Invocation_STATE_PENDING || call.GetState() == hookspb.Invocation_STATE_IN_PROGRESS
		if open && !slices.ContainsFunc(wanted, func(w rollout.DesiredInvocation) bool { return w.ID == id }) {
			ids = append(ids, id)
		}
	}
	return ids
}

func invocationOf(service rollout.Service, call rollout.DesiredInvocation) (*hookspb.Invocation, error) {
	invocation := &hookspb.Invocation{
		Id: call.ID, Hook: call.Hook, Service: service.Key(), Deployment: call.Deployment,
		LifecycleStage: string(call.Stage), Step: int32(call.Step), Timeout: durationpb.New(call.Timeout),
		TimeoutAction: hookspb.Invocation_TIMEOUT_ACTION_ROLLBACK,
		ExecutionDetails: &hookspb.ExecutionDetails{
			ServiceArn: service.Key(), TargetServiceRevisionArn: call.TargetRevision,
			TestTrafficWeights: call.TestWeights, ProductionTrafficWeights: call.ProductionWeights,
		},
	}
	if call.TimeoutAction == rollout.OnTimeoutContinue {
		invocation.TimeoutAction = hookspb.Invocation_TIMEOUT_ACTION_CONTINUE
	}
	if call.ReportBack {
		invocation.Contract = hookspb.Contract_CONTRACT_CODEDEPLOY
	}
	if call.Details != "" {
		invocation.HookDetails = &structpb.Struct{}
		if err := protojson.Unmarshal([]byte(call.Details), invocation.GetHookDetails()); err != nil {
			return nil, err
		}
	}
	return invocation, nil
}
