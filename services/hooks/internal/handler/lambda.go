package handler

import (
	"context"
	"errors"

	"github.com/slipway-deploy/slipway/drivers/hook/lambda"
)

// callLambda calls a function and waits. An error of the function and a function that is not done in time fail the hook,
// as in ECS; it may still run, so it is not called again.
func (h *Caller) callLambda(ctx context.Context, c Call) Reply {
	function := lambda.Function{Name: c.Target.Address, Qualifier: c.Target.Qualifier}
	returned, err := h.lambda.Invoke(ctx, function, []byte(c.Request))
	if err != nil {
		return c.lambdaFailed(ctx, err)
	}
	if returned.Error != "" {
		reply := c.unanswered(true, "the function failed: %s", returned.Error)
		reply.Response = clean(string(returned.Payload))
		return reply
	}
	return c.said(returned.Payload)
}

func (c Call) lambdaFailed(ctx context.Context, err error) Reply {
	refused, ok := errors.AsType[*lambda.Error](err)
	switch {
	case !ok:
		return c.failed(ctx, err, true)
	case errors.Is(ctx.Err(), context.DeadlineExceeded) && refused.Reached:
		return c.unanswered(true, "no answer within %s; the function may still run", c.Timeout).reached(true)
	case refused.Again:
		return c.failed(ctx, err, refused.Reached)
	default:
		return c.unanswered(true, "%s", refused)
	}
}
