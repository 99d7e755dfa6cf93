package eventapi

import (
	"context"

	"github.com/jackc/pgx/v5"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/once"
	"github.com/slipway-deploy/slipway/platform/page"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/hooks/internal/outbox"
	"github.com/slipway-deploy/slipway/services/hooks/internal/subscription"
)

// PutSubscription creates a subscription or replaces its definition.
func (s *Server) PutSubscription(ctx context.Context, req *hookspb.PutSubscriptionRequest) (*hookspb.PutSubscriptionResponse, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	asked, err := s.checked(req.GetSubscription())
	if err != nil {
		return nil, err
	}
	var resp *hookspb.PutSubscriptionResponse
	err = s.cfg.Store.InTx(ctx, func(tx pgx.Tx) error {
		resp, err = once.Do(ctx, tx, "PutSubscription", req.GetRequestId(), req, func() (*hookspb.PutSubscriptionResponse, error) {
			put, err := s.cfg.Store.SubscriptionPut(ctx, tx, asked.Name, req.GetSubscription().GetEtag(),
				func(before *outbox.Subscription) (subscription.Subscription, error) {
					return withSecrets(asked, before)
				})
			return &hookspb.PutSubscriptionResponse{Subscription: subscriptionTo(put)}, err
		})
		return err
	})
	return resp, err
}

// checked is what is asked for, with its defaults, when nothing is wrong with it.
func (s *Server) checked(of *hookspb.Subscription) (subscription.Subscription, error) {
	asked, err := subscriptionFrom(of)
	if err != nil {
		return asked, err
	}
	asked, broken := subscription.New(asked, s.cfg.AllowHTTP)
	violations := make([]problem.Violation, len(broken), len(broken)+1)
	for n, v := range broken {
		violations[n] = problem.Violation{Field: "subscription." + v.Field, Rule: v.Rule}
	}
	if _, err := subscription.NewFilter(asked.Pattern, s.cfg.Compile); err != nil {
		violations = append(violations, problem.Violation{Field: "subscription.event_pattern", Rule: err.Error()})
	}
	if len(violations) > 0 {
		return asked, problem.Violated(violations...)
	}
	return asked, nil
}

// withSecrets keeps the secrets of an endpoint that stays the same: they are never shown, so a definition that was read
// and is put again does not have them.
func withSecrets(asked subscription.Subscription, before *outbox.Subscription) (subscription.Subscription, error) {
	if asked.Target.Kind != subscription.HTTPS || len(asked.Target.Secrets) > 0 {
		return asked, nil
	}
	if before == nil || before.Target.Kind != subscription.HTTPS || before.Target.Address != asked.Target.Address {
		return asked, problem.Invalid("subscription.https.secrets", "must have a secret to sign with: whsec_ and 24 to 64 bytes in base64")
	}
	asked.Target.Secrets = before.Target.Secrets
	return asked, nil
}

// GetSubscription returns one subscription.
func (s *Server) GetSubscription(ctx context.Context, req *hookspb.GetSubscriptionRequest) (*hookspb.GetSubscriptionResponse, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	found, err := s.cfg.Store.SubscriptionGet(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return &hookspb.GetSubscriptionResponse{Subscription: subscriptionTo(found)}, nil
}

// subscriptionsPage is where a page of subscriptions begins.
type subscriptionsPage struct{ After string }

// ListSubscriptions returns subscriptions by name.
func (s *Server) ListSubscriptions(ctx context.Context, req *hookspb.ListSubscriptionsRequest) (*hookspb.ListSubscriptionsResponse, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var from subscriptionsPage
	if err := page.Decode(req.GetPageToken(), &from); err != nil {
		return nil, err
	}
	size := int(page.Size(req.GetPageSize(), defaultPage, maxPage))
	found, err := s.cfg.Store.SubscriptionList(ctx, from.After, size+1)
	if err != nil {
		return nil, err
	}
	resp := &hookspb.ListSubscriptionsResponse{}
	for n, one := range found {
		if n == size {
			resp.NextPageToken = page.Encode(subscriptionsPage{After: found[n-1].Name})
			break
		}
		resp.Subscriptions = append(resp.Subscriptions, subscriptionTo(one))
	}
	return resp, nil
}

// DeleteSubscription deletes a subscription with its deliveries.
func (s *Server) DeleteSubscription(ctx context.Context, req *hookspb.DeleteSubscriptionRequest) (*hookspb.DeleteSubscriptionResponse, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	var resp *hookspb.DeleteSubscriptionResponse
	err := s.cfg.Store.InTx(ctx, func(tx pgx.Tx) (err error) {
		resp, err = once.Do(ctx, tx, "DeleteSubscription", req.GetRequestId(), req, func() (*hookspb.DeleteSubscriptionResponse, error) {
			return &hookspb.DeleteSubscriptionResponse{}, s.cfg.Store.SubscriptionDelete(ctx, tx, req.GetName())
		})
		return err
	})
	return resp, err
}
