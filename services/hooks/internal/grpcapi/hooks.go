package grpcapi

import (
	"context"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/once"
	"github.com/slipway-deploy/slipway/platform/page"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
	"github.com/slipway-deploy/slipway/services/hooks/internal/store"
)

// RegisterHook creates a hook or replaces its definition.
func (s *Server) RegisterHook(ctx context.Context, req *hookspb.RegisterHookRequest) (*hookspb.RegisterHookResponse, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	asked, err := hookFrom(req.GetHook())
	if err != nil {
		return nil, err
	}
	hook, err := invocation.NewHook(asked, s.rules)
	if err != nil {
		return nil, invalid(err, "hook.")
	}
	keepSecrets := len(asked.Target.Secrets) == 0 && !req.GetHook().GetWebhook().GetUnsigned()
	var resp *hookspb.RegisterHookResponse
	err = s.store.InTx(ctx, func(tx pgx.Tx) error {
		resp, err = once.Do(ctx, tx, "RegisterHook", req.GetRequestId(), req, func() (*hookspb.RegisterHookResponse, error) {
			put, err := s.store.HookPut(ctx, tx, hook, req.GetHook().GetEtag(), keepSecrets)
			return &hookspb.RegisterHookResponse{Hook: hookTo(put)}, err
		})
		return err
	})
	return resp, err
}

// GetHook returns one hook.
func (s *Server) GetHook(ctx context.Context, req *hookspb.GetHookRequest) (*hookspb.GetHookResponse, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	hook, err := s.store.HookGet(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return &hookspb.GetHookResponse{Hook: hookTo(hook)}, nil
}

// hooksPage is where a page of hooks begins.
type hooksPage struct{ After string }

// ListHooks returns hooks by name.
func (s *Server) ListHooks(ctx context.Context, req *hookspb.ListHooksRequest) (*hookspb.ListHooksResponse, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var from hooksPage
	if err := page.Decode(req.GetPageToken(), &from); err != nil {
		return nil, err
	}
	size := int(page.Size(req.GetPageSize(), defaultPage, maxPage))
	found, err := s.store.HookList(ctx, from.After, size+1)
	if err != nil {
		return nil, err
	}
	resp := &hookspb.ListHooksResponse{}
	for n, hook := range found {
		if n == size {
			resp.NextPageToken = page.Encode(hooksPage{After: found[n-1].Name})
			break
		}
		resp.Hooks = append(resp.Hooks, hookTo(hook))
	}
	return resp, nil
}

// DeleteHook deletes a hook.
func (s *Server) DeleteHook(ctx context.Context, req *hookspb.DeleteHookRequest) (*hookspb.DeleteHookResponse, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var resp *hookspb.DeleteHookResponse
	err := s.store.InTx(ctx, func(tx pgx.Tx) (err error) {
		resp, err = once.Do(ctx, tx, "DeleteHook", req.GetRequestId(), req, func() (*hookspb.DeleteHookResponse, error) {
			return &hookspb.DeleteHookResponse{}, s.store.HookDelete(ctx, tx, req.GetName())
		})
		return err
	})
	return resp, err
}

func hookFrom(h *hookspb.Hook) (invocation.Hook, error) {
	hook := invocation.Hook{Name: h.GetName(), MaxAttempts: int(h.GetMaxAttempts())}
	if d := h.GetCallTimeout(); d != nil {
		if err := d.CheckValid(); err != nil {
			return hook, problem.Invalid("hook.call_timeout", "must be a duration").Wrap(err)
		}
		hook.CallTimeout = d.AsDuration()
	}
	if h.GetWebhook().GetUnsigned() && len(h.GetWebhook().GetSecrets()) > 0 {
		return hook, problem.Invalid("hook.webhook.unsigned", "must not be set together with secrets")
	}
	hook.Target = targetFrom(h)
	return hook, nil
}

func targetFrom(h *hookspb.Hook) invocation.Target {
	switch target := h.GetTarget().(type) {
	case *hookspb.Hook_Grpc:
		return invocation.Target{Kind: invocation.GRPC, Address: target.Grpc.GetAddress(), TLS: target.Grpc.GetTls()}
	case *hookspb.Hook_Webhook:
		return invocation.Target{Kind: invocation.Webhook, Address: target.Webhook.GetUrl(), Secrets: target.Webhook.GetSecrets()}
	case *hookspb.Hook_Lambda:
		return invocation.Target{Kind: invocation.Lambda, Address: target.Lambda.GetFunction(), Qualifier: target.Lambda.GetQualifier()}
	case *hookspb.Hook_Exec:
		return invocation.Target{Kind: invocation.Exec, Address: target.Exec.GetCommand(), Args: target.Exec.GetArgs()}
	default:
		return invocation.Target{}
	}
}

// hookTo has no secrets: they are for signing only.
func hookTo(h store.Hook) *hookspb.Hook {
	to := &hookspb.Hook{
		Name:        h.Name,
		CallTimeout: durationpb.New(h.CallTimeout),
		MaxAttempts: int32(h.MaxAttempts),
		CreateTime:  timestamppb.New(h.CreateTime),
		Etag:        h.Etag,
	}
	switch t := h.Target; t.Kind {
	case invocation.GRPC:
		to.Target = &hookspb.Hook_Grpc{Grpc: &hookspb.GrpcTarget{Address: t.Address, Tls: t.TLS}}
	case invocation.Webhook:
		to.Target = &hookspb.Hook_Webhook{Webhook: &hookspb.WebhookTarget{Url: t.Address, SecretCount: int32(len(t.Secrets))}}
	case invocation.Lambda:
		to.Target = &hookspb.Hook_Lambda{Lambda: &hookspb.LambdaTarget{Function: t.Address, Qualifier: t.Qualifier}}
	case invocation.Exec:
		to.Target = &hookspb.Hook_Exec{Exec: &hookspb.ExecTarget{Command: t.Address, Args: t.Args}}
	}
	return to
}
