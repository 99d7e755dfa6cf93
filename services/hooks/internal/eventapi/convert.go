package eventapi

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/hooks/internal/outbox"
	"github.com/slipway-deploy/slipway/services/hooks/internal/subscription"
)

func subscriptionFrom(s *hookspb.Subscription) (subscription.Subscription, error) {
	to := subscription.Subscription{Name: s.GetName(), Pattern: s.GetEventPattern(), MaximumRetries: subscription.MaximumRetries}
	if s.MaximumRetryAttempts != nil {
		to.MaximumRetries = int(s.GetMaximumRetryAttempts())
	}
	if s.GetFormat() == hookspb.Subscription_FORMAT_CLOUDEVENTS {
		to.Format = subscription.CloudEventsFormat
	}
	var err error
	if to.MaximumAge, err = duration(s.GetMaximumEventAge(), "subscription.maximum_event_age"); err != nil {
		return to, err
	}
	if to.CallTimeout, err = duration(s.GetCallTimeout(), "subscription.call_timeout"); err != nil {
		return to, err
	}
	to.Target = targetFrom(s)
	return to, nil
}

func targetFrom(s *hookspb.Subscription) subscription.Target {
	switch of := s.GetTarget().(type) {
	case *hookspb.Subscription_Https:
		return subscription.Target{Kind: subscription.HTTPS, Address: of.Https.GetUrl(), Secrets: of.Https.GetSecrets()}
	case *hookspb.Subscription_GrpcStream:
		return subscription.Target{Kind: subscription.GRPCStream}
	case *hookspb.Subscription_Sns:
		return subscription.Target{
			Kind: subscription.SNS, Address: of.Sns.GetTopicArn(), Region: of.Sns.GetRegion(), Endpoint: of.Sns.GetEndpointUrl(),
		}
	case *hookspb.Subscription_EventBridge:
		return subscription.Target{
			Kind: subscription.EventBridge, Address: of.EventBridge.GetEventBusName(), Region: of.EventBridge.GetRegion(),
			Endpoint: of.EventBridge.GetEndpointUrl(), KeepSource: of.EventBridge.GetKeepSource(),
		}
	}
	return subscription.Target{}
}

// duration is 0 for one that is absent; one that is there and 0 is refused, as nobody means the default by it.
func duration(d *durationpb.Duration, field string) (time.Duration, error) {
	if d == nil {
		return 0, nil
	}
	if err := d.CheckValid(); err != nil {
		return 0, problem.Invalid(field, "must be a duration").Wrap(err)
	}
	if d.AsDuration() == 0 {
		return 0, problem.Invalid(field, "must not be 0; leave it out for the default")
	}
	return d.AsDuration(), nil
}

// subscriptionTo has no secrets: they are for signing only.
func subscriptionTo(s outbox.Subscription) *hookspb.Subscription {
	retries := int32(s.MaximumRetries)
	to := &hookspb.Subscription{
		Name: s.Name, EventPattern: s.Pattern, Format: hookspb.Subscription_FORMAT_EVENTBRIDGE,
		MaximumEventAge: durationpb.New(s.MaximumAge), MaximumRetryAttempts: &retries, CallTimeout: durationpb.New(s.CallTimeout),
		CreateTime: timestamppb.New(s.CreateTime), Etag: s.Etag, PendingCount: s.Pending, DeadLetterCount: s.DeadLetters,
	}
	if s.Format == subscription.CloudEventsFormat {
		to.Format = hookspb.Subscription_FORMAT_CLOUDEVENTS
	}
	switch t := s.Target; t.Kind {
	case subscription.HTTPS:
		to.Target = &hookspb.Subscription_Https{Https: &hookspb.HttpsEventTarget{Url: t.Address}}
	case subscription.GRPCStream:
		to.Target = &hookspb.Subscription_GrpcStream{GrpcStream: &hookspb.GrpcStreamEventTarget{}}
	case subscription.SNS:
		to.Target = &hookspb.Subscription_Sns{Sns: &hookspb.SnsEventTarget{TopicArn: t.Address, Region: t.Region, EndpointUrl: t.Endpoint}}
	case subscription.EventBridge:
		to.Target = &hookspb.Subscription_EventBridge{EventBridge: &hookspb.EventBridgeEventTarget{
			EventBusName: t.Address, Region: t.Region, EndpointUrl: t.Endpoint, KeepSource: t.KeepSource,
		}}
	}
	return to
}

func deliveryTo(d outbox.Delivery) *hookspb.Delivery {
	return &hookspb.Delivery{
		Subscription: d.Subscription, EventId: d.EventID, DetailType: d.DetailType, Source: d.Source,
		EventTime: timestamppb.New(d.EventTime), OrderKey: d.OrderKey,
		State:    hookspb.Delivery_State(hookspb.Delivery_State_value["STATE_"+d.State]),
		Attempts: int32(d.Attempts), Reason: d.Reason, CreateTime: timestamppb.New(d.CreateTime), NextAttemptTime: timeTo(d.NextTime),
		ExpireTime: timestamppb.New(d.ExpireTime), EndTime: timeTo(d.EndTime), Event: d.Envelope,
	}
}

// timeTo leaves out a time that is not set: absent means absent.
func timeTo(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}
