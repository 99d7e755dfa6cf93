package grpcapi

import (
	"context"
	"time"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/page"
	"github.com/slipway-deploy/slipway/services/hooks/internal/store"
)

// InvokeHook begins an invocation, or returns the one that was begun with the same id.
func (s *Server) InvokeHook(ctx context.Context, req *hookspb.InvokeHookRequest) (*hookspb.InvokeHookResponse, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	spec, err := specFrom(req.GetInvocation())
	if err != nil {
		return nil, err
	}
	i, err := s.store.InvocationBegin(ctx, store.Begin{
		Generation: req.GetGeneration(), Spec: spec, Hook: req.GetInvocation().GetHook(),
	})
	if err != nil {
		return nil, invalid(err, "")
	}
	if !i.State.Terminal() {
		s.wake()
	}
	to, err := invocationTo(i)
	if err != nil {
		return nil, err
	}
	return &hookspb.InvokeHookResponse{Invocation: to}, nil
}

// GetInvocation returns an invocation with its attempts.
func (s *Server) GetInvocation(ctx context.Context, req *hookspb.GetInvocationRequest) (*hookspb.GetInvocationResponse, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	i, err := s.store.InvocationGet(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	attempts, err := s.store.AttemptList(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	to, err := invocationTo(i)
	if err != nil {
		return nil, err
	}
	resp := &hookspb.GetInvocationResponse{Invocation: to}
	for _, a := range attempts {
		resp.Attempts = append(resp.Attempts, attemptTo(a))
	}
	return resp, nil
}

// invocationsPage is where a page of invocations begins: after this one.
type invocationsPage struct {
	Time time.Time
	ID   string
}

// ListInvocations returns invocations, newest first.
func (s *Server) ListInvocations(ctx context.Context, req *hookspb.ListInvocationsRequest) (*hookspb.ListInvocationsResponse, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var from invocationsPage
	if err := page.Decode(req.GetPageToken(), &from); err != nil {
		return nil, err
	}
	size := int(page.Size(req.GetPageSize(), defaultPage, maxPage))
	found, err := s.store.InvocationList(ctx, store.Page{
		Deployment: req.GetDeployment(), Hook: req.GetHook(), Service: req.GetService(),
		BeforeTime: from.Time, BeforeID: from.ID, Limit: size + 1,
	})
	if err != nil {
		return nil, err
	}
	resp := &hookspb.ListInvocationsResponse{}
	for n, i := range found {
		if n == size {
			resp.NextPageToken = page.Encode(invocationsPage{Time: found[n-1].CreateTime, ID: found[n-1].ID})
			break
		}
		to, err := invocationTo(i)
		if err != nil {
			return nil, err
		}
		resp.Invocations = append(resp.Invocations, to)
	}
	return resp, nil
}

// CancelInvocation ends an invocation that no one waits for any more.
func (s *Server) CancelInvocation(ctx context.Context, req *hookspb.CancelInvocationRequest) (*hookspb.CancelInvocationResponse, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	i, err := s.store.InvocationCancel(ctx, req.GetId(), req.GetGeneration())
	if err != nil {
		return nil, err
	}
	to, err := invocationTo(i)
	if err != nil {
		return nil, err
	}
	return &hookspb.CancelInvocationResponse{Invocation: to}, nil
}
