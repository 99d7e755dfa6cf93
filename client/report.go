package client

import (
	"context"
	"fmt"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
)

// ReportResult tells the result of an attempt from outside its call, for a handler that answered IN_PROGRESS. It is sent
// again while the hooks service cannot be reached, for Config.Patience at most.
//
// A webhook that answers 202 is not called again: its report is awaited until the hook's timeout. After IN_PROGRESS only the
// current attempt can be reported: when the call-back delay passes first, the hook is called again, and the
// report of the attempt before is refused as FailedPrecondition with the reason ATTEMPT_NOT_CURRENT. Answer with a delay
// that is longer than the work, or report the latest attempt.
func (c *Client) ReportResult(ctx context.Context, invocationID string, attempt int, r Result) error {
	response, err := r.response()
	if err != nil {
		return err
	}
	message := &hookspb.ReportHookResultRequest{
		RequestId: requestID(), Id: invocationID, Attempt: int32(attempt), HookStatus: response.GetHookStatus(),
		CallBackDelay: response.GetCallBackDelay(), HookDetails: response.GetHookDetails(), Reason: response.GetReason(),
	}
	err = c.insist(ctx, func(error) {}, func(ctx context.Context) error {
		_, err := c.Hooks.ReportHookResult(ctx, message)
		return err
	})
	if err != nil {
		return fmt.Errorf("report attempt %d of hook invocation %s: %w", attempt, invocationID, err)
	}
	return nil
}

// ReportLifecycleEvent tells the result of a hook that is called once and reports back (Invocation.ReportBack), as AWS
// CodeDeploy's PutLifecycleEventHookExecutionStatus. It is sent again while the hooks service cannot be reached, for
// Config.Patience at most. The first report counts: another is refused as FailedPrecondition with the reason
// LIFECYCLE_EVENT_ALREADY_COMPLETED, which after a broken connection may mean that the report before has arrived.
func (c *Client) ReportLifecycleEvent(ctx context.Context, deployment, executionID string, succeeded bool) error {
	status := hookspb.LifecycleEventStatus_LIFECYCLE_EVENT_STATUS_FAILED
	if succeeded {
		status = hookspb.LifecycleEventStatus_LIFECYCLE_EVENT_STATUS_SUCCEEDED
	}
	err := c.insist(ctx, func(error) {}, func(ctx context.Context) error {
		_, err := c.LifecycleEvents.PutLifecycleEventHookExecutionStatus(ctx, &hookspb.PutLifecycleEventHookExecutionStatusRequest{
			DeploymentId: deployment, LifecycleEventHookExecutionId: executionID, Status: status,
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("report hook execution %s of deployment %s: %w", executionID, deployment, err)
	}
	return nil
}
