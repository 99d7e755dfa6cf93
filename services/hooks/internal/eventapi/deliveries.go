package eventapi

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/types/known/timestamppb"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/once"
	"github.com/slipway-deploy/slipway/platform/page"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/hooks/internal/outbox"
	"github.com/slipway-deploy/slipway/services/hooks/internal/subscription"
)

// deliveriesPage is where a page of deliveries begins.
type deliveriesPage struct{ Before int64 }

// ListDeliveries returns deliveries, newest first.
func (s *Server) ListDeliveries(ctx context.Context, req *hookspb.ListDeliveriesRequest) (*hookspb.ListDeliveriesResponse, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	from := deliveriesPage{Before: math.MaxInt64}
	if err := page.Decode(req.GetPageToken(), &from); err != nil {
		return nil, err
	}
	filter := outbox.DeliveryFilter{Subscription: req.GetSubscription(), EventID: req.GetEventId()}
	if req.GetState() != hookspb.Delivery_STATE_UNSPECIFIED {
		filter.State = subscription.State(strings.TrimPrefix(req.GetState().String(), "STATE_"))
	}
	size := int(page.Size(req.GetPageSize(), defaultPage, maxPage))
	found, err := s.cfg.Store.DeliveryList(ctx, filter, from.Before, size+1)
	if err != nil {
		return nil, err
	}
	resp := &hookspb.ListDeliveriesResponse{}
	for n, one := range found {
		if n == size {
			resp.NextPageToken = page.Encode(deliveriesPage{Before: found[n-1].Position})
			break
		}
		resp.Deliveries = append(resp.Deliveries, deliveryTo(one))
	}
	return resp, nil
}

// RedeliverEvents sends dead letters again.
func (s *Server) RedeliverEvents(ctx context.Context, req *hookspb.RedeliverEventsRequest) (*hookspb.RedeliverEventsResponse, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	if req.GetSubscription() == "" && len(req.GetEventIds()) == 0 && req.GetStartTime() == nil && req.GetEndTime() == nil {
		return nil, problem.Invalid("subscription", "must be set, or event_ids, start_time or end_time: not everything is sent again by accident")
	}
	from, err := timeFrom(req.GetStartTime(), "start_time")
	if err != nil {
		return nil, err
	}
	before, err := timeFrom(req.GetEndTime(), "end_time")
	if err != nil {
		return nil, err
	}
	if req.GetSubscription() != "" {
		if _, err := s.cfg.Store.SubscriptionGet(ctx, req.GetSubscription()); err != nil {
			return nil, err
		}
	}
	var resp *hookspb.RedeliverEventsResponse
	err = s.cfg.Store.InTx(ctx, func(tx pgx.Tx) (err error) {
		resp, err = once.Do(ctx, tx, "RedeliverEvents", req.GetRequestId(), req, func() (*hookspb.RedeliverEventsResponse, error) {
			n, err := s.cfg.Store.Redeliver(ctx, tx, outbox.Redelivery{
				Subscription: req.GetSubscription(), EventIDs: req.GetEventIds(), From: from, Before: before, Delivered: req.GetIncludeDelivered(),
			})
			return &hookspb.RedeliverEventsResponse{Count: n}, err
		})
		return err
	})
	return resp, err
}

func timeFrom(t *timestamppb.Timestamp, field string) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if err := t.CheckValid(); err != nil {
		return time.Time{}, problem.Invalid(field, "must be a time").Wrap(err)
	}
	return t.AsTime(), nil
}
