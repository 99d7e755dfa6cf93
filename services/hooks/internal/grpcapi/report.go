package grpcapi

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/encoding/protojson"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/once"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/hooks/internal/handler"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
	"github.com/slipway-deploy/slipway/services/hooks/internal/store"
)

// ReasonAttemptNotCurrent is the reason of a report that changes nothing.
const ReasonAttemptNotCurrent = "ATTEMPT_NOT_CURRENT"

// ReportHookResult takes the result of an attempt from outside.
func (s *Server) ReportHookResult(ctx context.Context, req *hookspb.ReportHookResultRequest) (*hookspb.ReportHookResultResponse, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	answer, reply, err := reportFrom(req)
	if err != nil {
		return nil, err
	}
	event := invocation.Reported{Attempt: int(req.GetAttempt()), Answer: answer}
	var resp *hookspb.ReportHookResultResponse
	var ignored string
	err = s.store.InTx(ctx, func(tx pgx.Tx) error {
		resp, err = once.Do(ctx, tx, "ReportHookResult", req.GetRequestId(), req, func() (*hookspb.ReportHookResultResponse, error) {
			d, err := s.store.InvocationApply(ctx, tx, req.GetId(), event, event.Attempt, reply)
			if err != nil {
				return nil, err
			}
			if ignored = d.Ignored; ignored != "" {
				return nil, notCurrent(req, d)
			}
			to, err := invocationTo(d.Next)
			return &hookspb.ReportHookResultResponse{Invocation: to}, err
		})
		return err
	})
	if ignored != "" {
		// The refusal rolled the transaction back, and what it would have recorded with it.
		if err := s.store.AnswerIgnored(ctx, req.GetId(), event.Attempt, ignored, reply); err != nil {
			s.log.Warn("an ignored report was not recorded", "invocation", req.GetId(), "attempt", event.Attempt, "error", err)
		}
	}
	if err == nil {
		s.wake()
	}
	return resp, err
}

func notCurrent(req *hookspb.ReportHookResultRequest, d invocation.Decision) error {
	if d.Next.Contract == invocation.CodeDeploy {
		return otherContract(d)
	}
	return problem.New(problem.FailedPrecondition, ReasonAttemptNotCurrent, "the result changed nothing: %s", d.Ignored).
		With("invocation", req.GetId()).With("state", string(d.Next.State))
}

func reportFrom(req *hookspb.ReportHookResultRequest) (invocation.Answer, store.Reply, error) {
	answer := invocation.Answer{
		Status: handler.StatusName(req.GetHookStatus()),
		Reason: strings.ReplaceAll(req.GetReason(), "\x00", "\uFFFD"), // which Postgres cannot store
	}
	if req.GetHookDetails() != nil {
		details, err := detailsFrom(req.GetHookDetails(), "hook_details")
		if err != nil {
			return answer, store.Reply{}, err
		}
		answer.Details = details
	}
	if answer.Status == invocation.AnswerInProgress {
		if d := req.GetCallBackDelay(); d != nil {
			if d.CheckValid() != nil || d.AsDuration() < 0 {
				return answer, store.Reply{}, problem.Invalid("call_back_delay", "must be a duration that is not negative")
			}
			delay := d.AsDuration()
			answer.Delay = &delay
		}
	}
	said, err := protojson.Marshal(&hookspb.HandleHookResponse{
		HookStatus: req.GetHookStatus(), CallBackDelay: req.GetCallBackDelay(), HookDetails: req.GetHookDetails(), Reason: answer.Reason,
	})
	if err != nil {
		return answer, store.Reply{}, problem.Invalid("hook_details", "must be a JSON object").Wrap(err)
	}
	return answer, store.Reply{Response: string(said), HookStatus: answer.Status}, nil
}
