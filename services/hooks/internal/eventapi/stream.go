package eventapi

import (
	"context"
	"time"

	"google.golang.org/grpc"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/page"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/hooks/internal/delivery"
	"github.com/slipway-deploy/slipway/services/hooks/internal/outbox"
	"github.com/slipway-deploy/slipway/services/hooks/internal/subscription"
)

const (
	defaultUnacknowledged = 100
	lookEvery             = 10 * time.Second // a lost notification would be found out
)

// eventToken is the place of an event in a subscription.
type eventToken struct {
	Subscription string
	Position     int64
}

func tokenFrom(token, name, field string) (int64, error) {
	var at eventToken
	if err := page.Decode(token, &at); err != nil || at.Subscription != name || at.Position < 1 {
		return 0, problem.Invalid(field, "must be a token of an event of subscription %s", name)
	}
	return at.Position, nil
}

// StreamEvents streams the events of a subscription.
func (s *Server) StreamEvents(req *hookspb.StreamEventsRequest, stream grpc.ServerStreamingServer[hookspb.StreamEventsResponse]) error {
	ctx := stream.Context()
	if req.GetResumeToken() != "" {
		if _, err := s.acknowledge(ctx, req.GetName(), req.GetResumeToken(), "resume_token"); err != nil {
			return err
		}
	}
	most := int(req.GetMaxUnacknowledged())
	if most == 0 {
		most = defaultUnacknowledged
	}
	var after int64 // the last position that was sent
	for {
		changed := s.cfg.Changed() // before it looks: what comes while it looks is not missed
		of, list, err := s.next(ctx, req.GetName(), after, most)
		if err != nil {
			return err
		}
		for _, one := range list {
			resp, err := streamed(of, one)
			if err != nil {
				return err
			}
			if err := stream.Send(resp); err != nil {
				return err
			}
			after = one.Position
		}
		if len(list) > 0 {
			continue
		}
		if err := s.wait(ctx, changed); err != nil {
			return err
		}
	}
}

func (s *Server) wait(ctx context.Context, changed <-chan struct{}) error {
	timer := time.NewTimer(lookEvery)
	defer timer.Stop()
	select {
	case <-changed:
		return nil
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Server) next(ctx context.Context, name string, after int64, most int) (subscription.Subscription, []outbox.Streamed, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	of, list, err := s.cfg.Store.StreamNext(ctx, name, after, most)
	if err == nil && of.Target.Kind != subscription.GRPCStream {
		err = problem.New(problem.FailedPrecondition, "NOT_A_STREAM", "subscription %s has no grpc_stream target", name).With("subscription", name)
	}
	return of, list, err
}

func streamed(of subscription.Subscription, one outbox.Streamed) (*hookspb.StreamEventsResponse, error) {
	m, err := delivery.Message(of.Format, one.EventID, "", one.Subject, []byte(one.Envelope), time.Time{})
	if err != nil {
		return nil, err
	}
	return &hookspb.StreamEventsResponse{
		EventId: one.EventID, Event: string(m.Body), Attempt: int32(one.Attempts),
		Token: page.Encode(eventToken{Subscription: of.Name, Position: one.Position}),
	}, nil
}

// AcknowledgeEvents says that an event, and all that came before it, are done with.
func (s *Server) AcknowledgeEvents(ctx context.Context, req *hookspb.AcknowledgeEventsRequest) (*hookspb.AcknowledgeEventsResponse, error) {
	n, err := s.acknowledge(ctx, req.GetName(), req.GetToken(), "token")
	if err != nil {
		return nil, err
	}
	return &hookspb.AcknowledgeEventsResponse{Count: n}, nil
}

func (s *Server) acknowledge(ctx context.Context, name, token, field string) (int64, error) {
	ctx, cancel := bounded(ctx)
	defer cancel()
	position, err := tokenFrom(token, name, field)
	if err != nil {
		return 0, err
	}
	return s.cfg.Store.StreamAck(ctx, name, position)
}
