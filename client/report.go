package client

import (
	"context"
	"fmt"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
)

// ReportResult tells the result of an attempt from outside its call, for a handler that answered IN_PROGRESS. It is sent
// again while the hooks service cannot be reached, for Config.Patience at most.
//
// Only the current attempt can be reported: when the call-back delay passes first, the hook is called again, and the
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
