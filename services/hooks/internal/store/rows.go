package store

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

const invocationColumns = `i.id, i.service, i.deployment, i.lifecycle_stage, i.step, i.execution, i.details, i.timeout, i.timeout_action,
    i.contract, i.returned, i.hook, i.target_kind, i.target_address, i.target_tls, i.target_qualifier, i.target_args,
    i.call_timeout, i.max_attempts,
    i.state, i.outcome, i.reason, i.attempt, i.attempt_time, i.attempt_open, i.failures, i.next_attempt_time,
    i.deadline_time, i.create_time, i.end_time`

// invocationRow has a field for each of invocationColumns. The secrets are not among them: who calls reads them with the
// claim.
type invocationRow struct {
	ID              string
	Service         string
	Deployment      string
	LifecycleStage  string
	Step            int
	Execution       []byte
	Details         []byte
	Timeout         time.Duration
	TimeoutAction   string
	Contract        string
	Returned        []byte
	Hook            string
	TargetKind      string
	TargetAddress   string
	TargetTLS       bool `db:"target_tls"`
	TargetQualifier string
	TargetArgs      []string
	CallTimeout     time.Duration
	MaxAttempts     int
	State           string
	Outcome         string
	Reason          string
	Attempt         int
	AttemptTime     *time.Time
	AttemptOpen     bool
	Failures        int
	NextAttemptTime *time.Time
	DeadlineTime    time.Time
	CreateTime      time.Time
	EndTime         *time.Time
}

func (r invocationRow) invocation() (invocation.Invocation, error) {
	i := invocation.Invocation{
		Spec: invocation.Spec{
			ID: r.ID, Service: r.Service, Deployment: r.Deployment, Stage: r.LifecycleStage, Step: r.Step,
			Timeout: r.Timeout, TimeoutAction: invocation.TimeoutAction(r.TimeoutAction), Contract: invocation.Contract(r.Contract),
		},
		Hook: invocation.Hook{
			Name: r.Hook,
			Target: invocation.Target{
				Kind: invocation.TargetKind(r.TargetKind), Address: r.TargetAddress, TLS: r.TargetTLS, Qualifier: r.TargetQualifier, Args: r.TargetArgs,
			},
			CallTimeout: r.CallTimeout,
			MaxAttempts: r.MaxAttempts,
		},
		State: invocation.State(r.State), Outcome: invocation.Outcome(r.Outcome), Reason: r.Reason,
		Attempt: r.Attempt, AttemptTime: orZero(r.AttemptTime), Open: r.AttemptOpen, Failures: r.Failures,
		NextAttempt: orZero(r.NextAttemptTime), Deadline: r.DeadlineTime, CreateTime: r.CreateTime, EndTime: orZero(r.EndTime),
	}
	var execution executionJSON
	if err := json.Unmarshal(r.Execution, &execution); err != nil {
		return i, fmt.Errorf("execution of invocation %s: %w", r.ID, err)
	}
	i.Execution = invocation.Execution(execution)
	if err := json.Unmarshal(r.Details, &i.Details); err != nil {
		return i, fmt.Errorf("details of invocation %s: %w", r.ID, err)
	}
	if err := json.Unmarshal(r.Returned, &i.Returned); err != nil {
		return i, fmt.Errorf("returned details of invocation %s: %w", r.ID, err)
	}
	return i, nil
}

// executionJSON is invocation.Execution as it is stored.
type executionJSON struct {
	ServiceARN               string             `json:"service_arn"`
	TargetServiceRevisionARN string             `json:"target_service_revision_arn"`
	TestTrafficWeights       map[string]float64 `json:"test_traffic_weights"`
	ProductionTrafficWeights map[string]float64 `json:"production_traffic_weights"`
}

// specArgs are the columns that never change; stateArgs are those that do.
func specArgs(i invocation.Invocation) (pgx.NamedArgs, error) {
	execution, err := json.Marshal(executionJSON(i.Execution))
	if err != nil {
		return nil, fmt.Errorf("execution of invocation %s: %w", i.ID, err)
	}
	args := targetArgs(i.Hook)
	maps.Copy(args, pgx.NamedArgs{
		"id": i.ID, "service": i.Service, "deployment": i.Deployment, "lifecycle_stage": i.Stage, "step": i.Step,
		"execution": execution, "timeout": i.Timeout, "timeout_action": string(i.TimeoutAction), "contract": string(i.Contract),
		"hook": i.Hook.Name, "deadline_time": i.Deadline, "create_time": i.CreateTime,
	})
	return args, nil
}

func stateArgs(i invocation.Invocation) (pgx.NamedArgs, error) {
	details, err := json.Marshal(i.Details)
	if err != nil {
		return nil, fmt.Errorf("details of invocation %s: %w", i.ID, err)
	}
	returned, err := json.Marshal(i.Returned)
	if err != nil {
		return nil, fmt.Errorf("returned details of invocation %s: %w", i.ID, err)
	}
	return pgx.NamedArgs{
		"id": i.ID, "details": details, "returned": returned, "state": string(i.State), "outcome": string(i.Outcome), "reason": i.Reason,
		"attempt": i.Attempt, "attempt_time": orNull(i.AttemptTime), "attempt_open": i.Open, "failures": i.Failures,
		"next_attempt_time": orNull(i.NextAttempt), "end_time": orNull(i.EndTime), "due_time": orNull(i.WakeAt()),
	}, nil
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
