package grpcapi

import (
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
	"github.com/slipway-deploy/slipway/services/hooks/internal/store"
)

func specFrom(i *hookspb.Invocation) (invocation.Spec, error) {
	details, err := detailsFrom(i.GetHookDetails(), "invocation.hook_details")
	if err != nil {
		return invocation.Spec{}, err
	}
	spec := invocation.Spec{
		ID: i.GetId(), Service: i.GetService(), Deployment: i.GetDeployment(), Stage: i.GetLifecycleStage(), Step: int(i.GetStep()),
		Execution: invocation.Execution{
			ServiceARN:               i.GetExecutionDetails().GetServiceArn(),
			TargetServiceRevisionARN: i.GetExecutionDetails().GetTargetServiceRevisionArn(),
			TestTrafficWeights:       i.GetExecutionDetails().GetTestTrafficWeights(),
			ProductionTrafficWeights: i.GetExecutionDetails().GetProductionTrafficWeights(),
		},
		Details: details, TimeoutAction: invocation.OnTimeoutRollback, Contract: invocation.ECS,
	}
	if i.GetContract() == hookspb.Contract_CONTRACT_CODEDEPLOY {
		spec.Contract = invocation.CodeDeploy
	}
	if i.GetTimeoutAction() == hookspb.Invocation_TIMEOUT_ACTION_CONTINUE {
		spec.TimeoutAction = invocation.OnTimeoutContinue
	}
	if t := i.GetTimeout(); t != nil {
		if err := t.CheckValid(); err != nil {
			return spec, problem.Invalid("invocation.timeout", "must be a duration").Wrap(err)
		}
		if spec.Timeout = t.AsDuration(); spec.Timeout == 0 {
			return spec, problem.Invalid("invocation.timeout", "must be from 1s to 336h, is 0s; leave it out for the default")
		}
	}
	return spec, nil
}

// detailsFrom refuses numbers that JSON does not have; a Struct may hold them.
func detailsFrom(s *structpb.Struct, field string) (invocation.Details, error) {
	if !finite(structpb.NewStructValue(s)) {
		return nil, problem.Invalid(field, "must not hold numbers that are not finite")
	}
	return s.AsMap(), nil
}

func finite(v *structpb.Value) bool {
	switch kind := v.GetKind().(type) {
	case *structpb.Value_NumberValue:
		return !math.IsNaN(kind.NumberValue) && !math.IsInf(kind.NumberValue, 0)
	case *structpb.Value_StructValue:
		for _, field := range kind.StructValue.GetFields() {
			if !finite(field) {
				return false
			}
		}
	case *structpb.Value_ListValue:
		for _, item := range kind.ListValue.GetValues() {
			if !finite(item) {
				return false
			}
		}
	}
	return true
}

func invocationTo(i invocation.Invocation) (*hookspb.Invocation, error) {
	to := &hookspb.Invocation{
		Id: i.ID, Hook: i.Hook.Name, Service: i.Service, Deployment: i.Deployment, LifecycleStage: i.Stage, Step: int32(i.Step),
		ExecutionDetails: &hookspb.ExecutionDetails{
			ServiceArn:               i.Execution.ServiceARN,
			TargetServiceRevisionArn: i.Execution.TargetServiceRevisionARN,
			TestTrafficWeights:       i.Execution.TestTrafficWeights,
			ProductionTrafficWeights: i.Execution.ProductionTrafficWeights,
		},
		Timeout:         durationpb.New(i.Timeout),
		TimeoutAction:   hookspb.Invocation_TimeoutAction(hookspb.Invocation_TimeoutAction_value["TIMEOUT_ACTION_"+string(i.TimeoutAction)]),
		Contract:        hookspb.Contract(hookspb.Contract_value["CONTRACT_"+string(i.Contract)]),
		State:           hookspb.Invocation_State(hookspb.Invocation_State_value["STATE_"+string(i.State)]),
		Outcome:         hookspb.Invocation_Outcome(hookspb.Invocation_Outcome_value["OUTCOME_"+string(i.Outcome)]),
		Reason:          i.Reason,
		Attempt:         int32(i.Attempt),
		NextAttemptTime: timeTo(i.NextAttempt),
		DeadlineTime:    timeTo(i.Deadline),
		CreateTime:      timeTo(i.CreateTime),
		EndTime:         timeTo(i.EndTime),
	}
	if len(i.Details) > 0 {
		details, err := structpb.NewStruct(i.Details)
		if err != nil {
			return nil, fmt.Errorf("details of invocation %s: %w", i.ID, err)
		}
		to.HookDetails = details
	}
	return to, nil
}

func attemptTo(a store.Attempt) *hookspb.Attempt {
	to := &hookspb.Attempt{
		Attempt: int32(a.Number), Request: a.Request, Response: a.Response, HookStatus: a.HookStatus, Error: a.Error,
		StartTime: timeTo(a.StartTime), EndTime: timeTo(a.EndTime), Ignored: a.Ignored,
	}
	if a.Duration > 0 {
		to.Duration = durationpb.New(a.Duration)
	}
	return to
}

// timeTo leaves out a time that is not set: absent means absent.
func timeTo(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
