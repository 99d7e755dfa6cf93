package grpcapi

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/encoding/protojson"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
	"github.com/slipway-deploy/slipway/services/hooks/internal/store"
)

// The reasons of reports that are refused: the exceptions of AWS CodeDeploy's PutLifecycleEventHookExecutionStatus.
const (
	ReasonDeploymentIDRequired   = "DEPLOYMENT_ID_REQUIRED"
	ReasonInvalidDeploymentID    = "INVALID_DEPLOYMENT_ID"
	ReasonDeploymentDoesNotExist = "DEPLOYMENT_DOES_NOT_EXIST"
	ReasonInvalidExecutionID     = "INVALID_LIFECYCLE_EVENT_HOOK_EXECUTION_ID"
	ReasonInvalidExecutionStatus = "INVALID_LIFECYCLE_EVENT_HOOK_EXECUTION_STATUS"
	ReasonAlreadyCompleted       = "LIFECYCLE_EVENT_ALREADY_COMPLETED"
	ReasonUnsupportedAction      = "UNSUPPORTED_ACTION_FOR_DEPLOYMENT_TYPE"
)

// PutLifecycleEventHookExecutionStatus takes the result of a hook that was called with CodeDeploy's contract.
func (s *Server) PutLifecycleEventHookExecutionStatus(
	ctx context.Context, req *hookspb.PutLifecycleEventHookExecutionStatusRequest,
) (*hookspb.PutLifecycleEventHookExecutionStatusResponse, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	if err := checkIDs(req); err != nil {
		return nil, err
	}
	reply, err := lifecycleReply(req)
	if err != nil {
		return nil, err
	}
	refused := &refusal{}
	err = s.store.InTx(ctx, func(tx pgx.Tx) error { return s.complete(ctx, tx, req, reply, refused) })
	if refused.cause != "" {
		// The refusal rolled the transaction back, and what it would have recorded with it.
		if err := s.store.AnswerIgnored(ctx, req.GetLifecycleEventHookExecutionId(), refused.attempt, refused.cause, reply); err != nil {
			s.log.Warn("an ignored report was not recorded", "invocation", req.GetLifecycleEventHookExecutionId(), "error", err)
		}
	}
	if err != nil {
		return nil, err
	}
	return &hookspb.PutLifecycleEventHookExecutionStatusResponse{LifecycleEventHookExecutionId: req.GetLifecycleEventHookExecutionId()}, nil
}

// refusal is what is recorded of a report that changed nothing.
type refusal struct {
	attempt int
	cause   string
}

func (s *Server) complete(
	ctx context.Context, tx pgx.Tx, req *hookspb.PutLifecycleEventHookExecutionStatusRequest, reply store.Reply, refused *refusal,
) error {
	id := req.GetLifecycleEventHookExecutionId()
	current, found, err := s.store.InvocationLock(ctx, tx, id)
	switch {
	case err != nil:
		return err
	case !found:
		return s.unknown(ctx, tx, req)
	}
	refused.attempt = current.Attempt
	if current.Deployment != req.GetDeploymentId() {
		refused.cause = fmt.Sprintf("it was reported for deployment %s", req.GetDeploymentId())
		return s.unknown(ctx, tx, req)
	}
	succeeded := req.GetStatus() == hookspb.LifecycleEventStatus_LIFECYCLE_EVENT_STATUS_SUCCEEDED
	if !succeeded && req.GetStatus() != hookspb.LifecycleEventStatus_LIFECYCLE_EVENT_STATUS_FAILED {
		refused.cause = "it was reported with a status that is no result"
		return problem.New(problem.InvalidArgument, ReasonInvalidExecutionStatus, "the status must be SUCCEEDED or FAILED, is %s", statusName(req.GetStatus())).
			With("invocation", id)
	}
	d, err := s.store.InvocationApply(ctx, tx, id, invocation.Completed{Succeeded: succeeded}, current.Attempt, reply)
	if err != nil {
		return err
	}
	refused.cause = d.Ignored
	return completed(d)
}

// unknown is an execution that the deployment does not have, or a deployment that no hook was called for.
func (s *Server) unknown(ctx context.Context, tx pgx.Tx, req *hookspb.PutLifecycleEventHookExecutionStatusRequest) error {
	known, err := s.store.DeploymentKnown(ctx, tx, req.GetDeploymentId())
	switch {
	case err != nil:
		return err
	case !known:
		return problem.New(problem.NotFound, ReasonDeploymentDoesNotExist, "no hook was called for a deployment %s", req.GetDeploymentId()).
			With("deployment", req.GetDeploymentId())
	}
	return problem.New(problem.InvalidArgument, ReasonInvalidExecutionID, "deployment %s has no hook execution %s",
		req.GetDeploymentId(), req.GetLifecycleEventHookExecutionId()).With("deployment", req.GetDeploymentId())
}

// completed is nil when the report counted.
func completed(d invocation.Decision) error {
	switch {
	case d.Ignored == "":
		return nil
	case d.Next.Contract != invocation.CodeDeploy:
		return otherContract(d)
	case d.Next.State.Terminal():
		return problem.New(problem.FailedPrecondition, ReasonAlreadyCompleted, "the report changed nothing: %s", d.Ignored).
			With("invocation", d.Next.ID).With("state", string(d.Next.State))
	default:
		return problem.New(problem.InvalidArgument, ReasonInvalidExecutionID, "hook execution %s: %s", d.Next.ID, d.Ignored).With("invocation", d.Next.ID)
	}
}

func otherContract(d invocation.Decision) error {
	return problem.New(problem.FailedPrecondition, ReasonUnsupportedAction, "hook execution %s: %s", d.Next.ID, d.Ignored).
		With("invocation", d.Next.ID).With("contract", string(d.Next.Contract))
}

const maxDeploymentID = 128

func checkIDs(req *hookspb.PutLifecycleEventHookExecutionStatusRequest) error {
	deployment, id := req.GetDeploymentId(), req.GetLifecycleEventHookExecutionId()
	switch {
	case deployment == "":
		return problem.New(problem.InvalidArgument, ReasonDeploymentIDRequired, "deployment_id must be set")
	case len(deployment) > maxDeploymentID || !invocation.Printable(deployment):
		return problem.New(problem.InvalidArgument, ReasonInvalidDeploymentID,
			"deployment_id must have 1 to %d printable ASCII characters without spaces", maxDeploymentID)
	case id == "" || len(id) > invocation.MaxID || !invocation.Printable(id):
		return problem.New(problem.InvalidArgument, ReasonInvalidExecutionID,
			"lifecycle_event_hook_execution_id must have 1 to %d printable ASCII characters without spaces", invocation.MaxID)
	}
	return nil
}

// lifecycleReply is a report as the history shows it, in CodeDeploy's words.
func lifecycleReply(req *hookspb.PutLifecycleEventHookExecutionStatusRequest) (store.Reply, error) {
	said, err := protojson.Marshal(req)
	if err != nil {
		return store.Reply{}, fmt.Errorf("encode the report: %w", err)
	}
	return store.Reply{Response: string(said), HookStatus: statusName(req.GetStatus())}, nil
}

// statusName is CodeDeploy's name of a status, e.g. "InProgress".
func statusName(s hookspb.LifecycleEventStatus) string {
	name := strings.TrimPrefix(s.String(), "LIFECYCLE_EVENT_STATUS_")
	if s == hookspb.LifecycleEventStatus_LIFECYCLE_EVENT_STATUS_UNSPECIFIED {
		return "not set"
	}
	var words strings.Builder
	for word := range strings.SplitSeq(name, "_") {
		words.WriteString(word[:1] + strings.ToLower(word[1:]))
	}
	return words.String()
}
