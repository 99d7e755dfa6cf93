package handler

import (
	"context"
	"crypto/tls"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

// maxMessage is more than MaxAnswer, so that an answer that is too long can be told from a server that is busy.
const maxMessage = 1 << 20

func (h *Caller) callGRPC(ctx context.Context, c Call) Reply {
	req := &hookspb.HandleHookRequest{}
	// HandleHookRequest has the field names of the JSON object; the attempt is in it, a webhook has it in a header.
	if err := protojson.Unmarshal([]byte(c.Request), req); err != nil {
		return c.unanswered(true, "the request is not a HandleHookRequest: %s", err)
	}
	req.Attempt = int32(c.Attempt)
	creds := insecure.NewCredentials()
	if c.Target.TLS {
		creds = credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: h.rootCAs})
	}
	conn, err := grpc.NewClient("dns:///"+c.Target.Address,
		grpc.WithTransportCredentials(creds),
		grpc.WithDisableServiceConfig(), // no retries hidden in an attempt
		grpc.WithDisableRetry(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithUserAgent("slipway-hooks"))
	if err != nil {
		return c.unanswered(true, "%s", err)
	}
	defer func() { _ = conn.Close() }() // it fails only when closed already
	resp, err := hookspb.NewHookHandlerServiceClient(conn).HandleHook(ctx, req)
	if err != nil {
		return c.grpcFailed(err)
	}
	return c.grpcAnswered(resp)
}

func (c Call) grpcFailed(err error) Reply {
	s := status.Convert(err)
	if s.Code() == codes.DeadlineExceeded {
		return c.unanswered(false, "no answer within %s", c.Timeout)
	}
	return c.unanswered(!again(s.Code()), "%s: %s", s.Code(), s.Message())
}

// again tells the codes that say "not now" or "something broke" (HTTP's 5xx) from those that stay as they are until
// someone changes the hook or its handler.
func again(code codes.Code) bool {
	switch code {
	case codes.Unavailable, codes.ResourceExhausted, codes.Aborted, codes.Canceled, codes.Internal, codes.Unknown, codes.DataLoss:
		return true
	default:
		return false
	}
}

func (c Call) grpcAnswered(resp *hookspb.HandleHookResponse) Reply {
	if size := proto.Size(resp); size > MaxAnswer {
		return c.answered(invocation.Answer{Broken: fmt.Sprintf("answered %d bytes, more than %d", size, MaxAnswer)}, "")
	}
	a := invocation.Answer{Status: StatusName(resp.GetHookStatus()), Reason: cut(clean(resp.GetReason()), maxShown)}
	if a.Status == invocation.AnswerInProgress {
		a.Details = resp.GetHookDetails().AsMap()
		if d := resp.GetCallBackDelay(); d != nil {
			delay := d.AsDuration()
			a.Delay = &delay
		}
	}
	response, err := protojson.Marshal(resp)
	if err != nil { // text that is not UTF-8, a number that is not finite
		return c.answered(invocation.Answer{Broken: fmt.Sprintf("answered what is not JSON: %s", err)}, "")
	}
	return c.answered(a, string(response))
}

// StatusName is ECS's name of a status: "" for none, the number for one that is not known.
func StatusName(s hookspb.HookStatus) string {
	switch s {
	case hookspb.HookStatus_HOOK_STATUS_UNSPECIFIED:
		return ""
	case hookspb.HookStatus_HOOK_STATUS_SUCCEEDED:
		return invocation.AnswerSucceeded
	case hookspb.HookStatus_HOOK_STATUS_FAILED:
		return invocation.AnswerFailed
	case hookspb.HookStatus_HOOK_STATUS_IN_PROGRESS:
		return invocation.AnswerInProgress
	default:
		return fmt.Sprintf("%d", int32(s))
	}
}
