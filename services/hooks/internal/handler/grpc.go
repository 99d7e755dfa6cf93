package handler

import (
	"context"
	"crypto/tls"
	"fmt"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

// maxMessage is more than MaxAnswer, so that an answer that is too long can be told from a server that is busy.
const maxMessage = 1 << 20

func (h *Caller) callGRPC(ctx context.Context, c Call) Reply {
	req, err := c.grpcRequest()
	if err != nil {
		return c.unanswered(true, "the request is not a HandleHookRequest: %s", err)
	}
	sent := &sending{}
	creds := insecure.NewCredentials()
	if c.Target.TLS {
		creds = credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: h.rootCAs})
	}
	conn, err := grpc.NewClient("dns:///"+c.Target.Address,
		grpc.WithTransportCredentials(creds),
		grpc.WithDisableServiceConfig(), // no retries hidden in an attempt
		grpc.WithDisableRetry(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		grpc.WithStatsHandler(sent),
		grpc.WithUserAgent("slipway-hooks"))
	if err != nil {
		return c.unanswered(true, "%s", err)
	}
	defer func() { _ = conn.Close() }() // it fails only when closed already
	resp, err := hookspb.NewHookHandlerServiceClient(conn).HandleHook(ctx, req)
	if err != nil {
		return c.grpcFailed(err).reached(sent.begun())
	}
	return c.grpcAnswered(resp)
}

// grpcRequest is the attempt as a message. It has the field names of ECS's JSON object; what a webhook has in headers is in
// it. CodeDeploy's object has other names.
func (c Call) grpcRequest() (*hookspb.HandleHookRequest, error) {
	req := &hookspb.HandleHookRequest{}
	if c.Contract == invocation.CodeDeploy {
		req.ExecutionId, req.LifecycleStage, req.Contract = c.Invocation, c.Stage, hookspb.Contract_CONTRACT_CODEDEPLOY
	} else {
		if err := protojson.Unmarshal([]byte(c.Request), req); err != nil {
			return nil, err
		}
		req.Contract = hookspb.Contract_CONTRACT_ECS
	}
	req.Attempt, req.DeploymentId = int32(c.Attempt), c.Deployment
	return req, nil
}

// sending notes how far a call came.
type sending struct{ sent, answered atomic.Bool }

var _ stats.Handler = (*sending)(nil)

// begun reports whether the handler got the request and then did not say what became of it.
func (s *sending) begun() bool { return s.sent.Load() && !s.answered.Load() }

func (s *sending) HandleRPC(_ context.Context, e stats.RPCStats) {
	switch e.(type) {
	case *stats.OutPayload:
		s.sent.Store(true)
	case *stats.InHeader, *stats.InTrailer:
		s.answered.Store(true)
	}
}

func (s *sending) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (s *sending) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (s *sending) HandleConn(context.Context, stats.ConnStats)                       {}

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
	if resp.GetHookDetails() != nil {
		a.Details = resp.GetHookDetails().AsMap()
	}
	if a.Status == invocation.AnswerInProgress {
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
