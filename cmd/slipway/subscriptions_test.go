package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/grpcserver"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// fakeSubscriptions keeps what it is told.
type fakeSubscriptions struct {
	hookspb.UnimplementedSubscriptionServiceServer
	mu       sync.Mutex
	puts     []*hookspb.Subscription
	listed   *hookspb.ListDeliveriesRequest
	redo     *hookspb.RedeliverEventsRequest
	patterns *hookspb.TestEventPatternRequest
}

func startSubscriptions(t *testing.T) (*fakeSubscriptions, string) {
	t.Helper()
	f := &fakeSubscriptions{}
	server, err := grpcserver.New(nil, grpcserver.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	hookspb.RegisterSubscriptionServiceServer(server, f)
	server.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		server.Stop(ctx)
	})
	return f, server.Addr()
}

func (f *fakeSubscriptions) PutSubscription(_ context.Context, r *hookspb.PutSubscriptionRequest) (*hookspb.PutSubscriptionResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.puts = append(f.puts, r.GetSubscription())
	shown := proto.CloneOf(r.GetSubscription())
	if to := shown.GetHttps(); to != nil {
		to.Secrets = nil
	}
	return &hookspb.PutSubscriptionResponse{Subscription: shown}, nil
}

func (f *fakeSubscriptions) last() *hookspb.Subscription {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.puts[len(f.puts)-1]
}

func (f *fakeSubscriptions) ListSubscriptions(context.Context, *hookspb.ListSubscriptionsRequest) (*hookspb.ListSubscriptionsResponse, error) {
	return &hookspb.ListSubscriptionsResponse{Subscriptions: []*hookspb.Subscription{{Name: "failures"}}}, nil
}

func (f *fakeSubscriptions) GetSubscription(_ context.Context, r *hookspb.GetSubscriptionRequest) (*hookspb.GetSubscriptionResponse, error) {
	return &hookspb.GetSubscriptionResponse{Subscription: &hookspb.Subscription{
		Name: r.GetName(), EventPattern: `{"source":["aws.ecs"]}`, Format: hookspb.Subscription_FORMAT_CLOUDEVENTS, PendingCount: 3, DeadLetterCount: 2,
		Target: &hookspb.Subscription_Https{Https: &hookspb.HttpsEventTarget{Url: "https://hooks.example.com/"}},
	}}, nil
}

func (f *fakeSubscriptions) DeleteSubscription(_ context.Context, r *hookspb.DeleteSubscriptionRequest) (*hookspb.DeleteSubscriptionResponse, error) {
	if r.GetName() != "failures" {
		return nil, problem.New(problem.NotFound, "SUBSCRIPTION_NOT_FOUND", "there is no subscription %s", r.GetName())
	}
	return &hookspb.DeleteSubscriptionResponse{}, nil
}

func (f *fakeSubscriptions) ListDeliveries(_ context.Context, r *hookspb.ListDeliveriesRequest) (*hookspb.ListDeliveriesResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listed = r
	return &hookspb.ListDeliveriesResponse{Deliveries: []*hookspb.Delivery{{
		Subscription: "failures", EventId: "e-1", DetailType: "ECS Service Action", OrderKey: "d-7", EventTime: at(0),
		State: hookspb.Delivery_STATE_DEAD_LETTER, Attempts: 4, Reason: "given up",
	}}}, nil
}

func (f *fakeSubscriptions) RedeliverEvents(_ context.Context, r *hookspb.RedeliverEventsRequest) (*hookspb.RedeliverEventsResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.redo = r
	return &hookspb.RedeliverEventsResponse{Count: 7}, nil
}

func (f *fakeSubscriptions) TestEventPattern(_ context.Context, r *hookspb.TestEventPatternRequest) (*hookspb.TestEventPatternResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.patterns = r
	if strings.Contains(r.GetEventPattern(), "bad") {
		return nil, problem.Invalid("event_pattern", "Event pattern is not valid. Reason: bad")
	}
	return &hookspb.TestEventPatternResponse{Result: r.GetEvent() == `{"a":1}`}, nil
}

func TestSubscribing(t *testing.T) {
	t.Parallel()
	f, address := startSubscriptions(t)
	answer := slipway(t, address, "subscriptions", "put", "a", "--https", "https://hooks.example.com/", "--new-secret", "--format", "cloudevents",
		"--max-age", "1h", "--max-retries", "5", "--pattern", `{"source":["aws.ecs"]}`)
	answer.want(t, 0, "subscription a sends events to https://hooks.example.com/", "they are signed with whsec_", "it is not shown again")
	got := f.last()
	if got.GetFormat() != hookspb.Subscription_FORMAT_CLOUDEVENTS || got.GetMaximumEventAge().AsDuration() != time.Hour || got.GetMaximumRetryAttempts() != 5 ||
		got.GetEventPattern() != `{"source":["aws.ecs"]}` || len(got.GetHttps().GetSecrets()) != 1 || !strings.Contains(answer.out, got.GetHttps().GetSecrets()[0]) {
		t.Errorf("%v", got)
	}
	file := filepath.Join(t.TempDir(), "pattern.json")
	if err := os.WriteFile(file, []byte(`{"detail":{}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	terminal{stdin: "whsec_one\nwhsec_two\n"}.slipway(t.Context(), address, "subscriptions", "put", "a", "--https", "https://a/", "--secret-file", "-", "--pattern", "@"+file).
		want(t, 0, "subscription a sends events to https://a/")
	if got := f.last(); len(got.GetHttps().GetSecrets()) != 2 || got.GetHttps().GetSecrets()[1] != "whsec_two" || got.GetEventPattern() != `{"detail":{}}` {
		t.Errorf("%v", got)
	}
	slipway(t, address, "subscriptions", "put", "a", "--grpc-stream").want(t, 0, "subscription a sends events to gRPC stream")
	slipway(t, address, "subscriptions", "put", "a", "--sns", "arn:aws:sns:eu-north-1:123456789012:t", "--region", "r", "--endpoint-url", "http://127.0.0.1:1").want(t, 0, "sns:eu-north-1:123456789012:t")
	if to := f.last().GetSns(); to.GetRegion() != "r" || to.GetEndpointUrl() != "http://127.0.0.1:1" {
		t.Errorf("%v", to)
	}
	slipway(t, address, "subscriptions", "put", "a", "--event-bus", "b", "--keep-source").want(t, 0, "event bus b")
	if to := f.last().GetEventBridge(); !to.GetKeepSource() {
		t.Errorf("%v", to)
	}
	slipway(t, address, "subscriptions", "put", "a").want(t, 2, "one of --https, --grpc-stream, --sns and --event-bus is needed")
	slipway(t, address, "subscriptions", "put", "a", "--sns", "x", "--new-secret").want(t, 2, "goes with --https")
	slipway(t, address, "subscriptions", "put", "a", "--grpc-stream", "--format", "xml").want(t, 2, `--format is eventbridge or cloudevents, not "xml"`)
}

func TestSubscriptionsAreShown(t *testing.T) {
	t.Parallel()
	f, address := startSubscriptions(t)
	slipway(t, address, "subscriptions").want(t, 0, "failures", "https://hooks.example.com/", "CLOUDEVENTS", "3", "2", `{"source":["aws.ecs"]}`)
	slipway(t, address, "subscriptions", "delete", "failures").want(t, 0, "subscription failures is deleted")
	slipway(t, address, "subscriptions", "delete", "x").want(t, 2, "there is no subscription x")
	slipway(t, address, "subscriptions", "deliveries", "failures", "--state", "dead-letter", "--event", "e-1").
		want(t, 0, "2026-01-31 12:00:00  failures      DEAD_LETTER  4", "e-1", "ECS Service Action", "d-7", "given up")
	if f.listed.GetState() != hookspb.Delivery_STATE_DEAD_LETTER || f.listed.GetSubscription() != "failures" || f.listed.GetEventId() != "e-1" {
		t.Errorf("%v", f.listed)
	}
	slipway(t, address, "subscriptions", "deliveries", "--state", "lost").want(t, 2, `--state is pending, delivered or dead-letter, not "lost"`)
}

func TestEventsAreRedelivered(t *testing.T) {
	t.Parallel()
	f, address := startSubscriptions(t)
	slipway(t, address, "events", "redeliver", "failures", "--event", "e-1", "--event", "e-2", "--since", "2026-01-31T12:00:00Z", "--until", "1h").
		want(t, 0, "7 to be sent again")
	if r := f.redo; r.GetSubscription() != "failures" || len(r.GetEventIds()) != 2 || !r.GetStartTime().AsTime().Equal(epoch) ||
		time.Since(r.GetEndTime().AsTime()) < time.Hour || r.GetIncludeDelivered() || r.GetRequestId() == "" {
		t.Errorf("%v", r)
	}
	slipway(t, address, "events", "redeliver").want(t, 2, "SUBSCRIPTION, --event, --since or --until is needed")
	slipway(t, address, "events", "redeliver", "--since", "lately").want(t, 2, `--since is a time as 2026-01-31T12:00:00Z or a span as 2h, not "lately"`)
}

func TestPatternsAreTested(t *testing.T) {
	t.Parallel()
	f, address := startSubscriptions(t)
	slipway(t, address, "events", "test-pattern", "--pattern", `{"a":[1]}`, "--event", `{"a":1}`, "--any-event").want(t, 0, "the event matches")
	if !f.patterns.GetAnyEvent() || f.patterns.GetEventPattern() != `{"a":[1]}` {
		t.Errorf("%v", f.patterns)
	}
	slipway(t, address, "events", "test-pattern", "--pattern", `{"a":[1]}`, "--event", `{"a":2}`).want(t, 1, "the event does not match")
	slipway(t, address, "events", "test-pattern", "--pattern", "bad", "--event", "{}").want(t, 2, "Event pattern is not valid. Reason: bad")
	slipway(t, address, "events", "test-pattern", "--pattern", "x").want(t, 2, "--pattern and --event are needed")
}
