package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

func TestSubscriptionsArePutListedAndDeleted(t *testing.T) {
	s := startNewEventful(t, nil)
	for _, name := range []string{"c", "a", "b"} {
		got := s.put(t, httpsTo(name, "https://hooks.example.com/"+name))
		if got.GetFormat() != hookspb.Subscription_FORMAT_EVENTBRIDGE || got.GetMaximumEventAge().AsDuration() != 24*time.Hour ||
			got.GetMaximumRetryAttempts() != 185 || got.GetCallTimeout().AsDuration() != 10*time.Second || got.GetEtag() == "" || got.GetCreateTime() == nil {
			t.Errorf("%v", got)
		}
	}
	var names []string
	for token := ""; ; {
		page, err := s.ListSubscriptions(t.Context(), &hookspb.ListSubscriptionsRequest{PageSize: 2, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, sub := range page.GetSubscriptions() {
			names = append(names, sub.GetName())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Errorf("listed %v", names)
	}
	for range 2 { // the same request_id is the same answer
		if _, err := s.DeleteSubscription(t.Context(), &hookspb.DeleteSubscriptionRequest{Name: "b", RequestId: "r-1"}); err != nil {
			t.Error(err)
		}
	}
	_, err := s.DeleteSubscription(t.Context(), &hookspb.DeleteSubscriptionRequest{Name: "b"})
	wantProblem(t, err, codes.NotFound, "SUBSCRIPTION_NOT_FOUND")
	_, err = s.GetSubscription(t.Context(), &hookspb.GetSubscriptionRequest{Name: "b"})
	wantProblem(t, err, codes.NotFound, "SUBSCRIPTION_NOT_FOUND")
	_, err = s.RedeliverEvents(t.Context(), &hookspb.RedeliverEventsRequest{Subscription: "b"})
	wantProblem(t, err, codes.NotFound, "SUBSCRIPTION_NOT_FOUND")
}

func TestAStaleEtagOfASubscriptionIsRefused(t *testing.T) {
	s := startNewEventful(t, nil)
	first := s.put(t, httpsTo("a", "https://hooks.example.com/"))
	changed := proto.CloneOf(first)
	changed.GetHttps().Url, changed.GetHttps().Secrets = "https://hooks.example.com/2", []string{eventSecret}
	second := s.put(t, changed)
	if second.GetEtag() == first.GetEtag() {
		t.Error("the etag stayed")
	}
	_, err := s.PutSubscription(t.Context(), &hookspb.PutSubscriptionRequest{Subscription: changed})
	wantProblem(t, err, codes.Aborted, "STALE_ETAG")
	unknown := httpsTo("z", "https://hooks.example.com/")
	unknown.Etag = "1"
	_, err = s.PutSubscription(t.Context(), &hookspb.PutSubscriptionRequest{Subscription: unknown})
	wantProblem(t, err, codes.NotFound, "SUBSCRIPTION_NOT_FOUND")
}

// Secrets go in and never come out; a definition that was read and is put again keeps them, one with another URL does not.
func TestSecretsGoInAndNeverComeOut(t *testing.T) {
	o := newOrchestrator(t)
	s := startNewEventful(t, o)
	to := newSubscriber(t, takes)
	put := s.put(t, httpsTo("a", to.url))
	got, err := s.GetSubscription(t.Context(), &hookspb.GetSubscriptionRequest{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	list, err := s.ListSubscriptions(t.Context(), &hookspb.ListSubscriptionsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, answer := range []proto.Message{put, got, list} {
		if strings.Contains(fmt.Sprint(answer), "MfKQ9r8") {
			t.Errorf("%v", answer)
		}
	}
	s.put(t, got.GetSubscription())
	o.say("d-1", "TRAFFIC_SHIFTED", "1", nil) // the subscriber checks the signature
	to.await(t, 1)
	moved := got.GetSubscription()
	moved.Etag = ""
	moved.GetHttps().Url = to.url + "/elsewhere"
	_, err = s.PutSubscription(t.Context(), &hookspb.PutSubscriptionRequest{Subscription: moved})
	wantField(t, "moved", err, "subscription.https.secrets")
	var kept string
	err = openDB(t, s.url).Pool.QueryRow(t.Context(), `SELECT coalesce(string_agg(encode(response, 'escape'), ''), '') FROM requests`).Scan(&kept)
	if err != nil || strings.Contains(kept, "MfKQ9r8") {
		t.Errorf("%s, %v", kept, err)
	}
}

func wantField(t *testing.T, what string, err error, field string) {
	t.Helper()
	wantProblem(t, err, codes.InvalidArgument, "INVALID_FIELD")
	if p := problem.As(err); p == nil || len(p.Violations) == 0 || p.Violations[0].Field != field || p.Violations[0].Rule == "" {
		t.Errorf("%s: %+v, want a violation of %s", what, p, field)
	}
}

func TestABadSubscriptionNamesTheFieldAndTheRule(t *testing.T) {
	s := startNewEventful(t, nil)
	retries := int32(186)
	for field, change := range map[string]func(*hookspb.Subscription){
		"subscription.name":                   func(s *hookspb.Subscription) { s.Name = "a b" },
		"subscription.target":                 func(s *hookspb.Subscription) { s.Target = nil },
		"subscription.https.url":              func(s *hookspb.Subscription) { s.GetHttps().Url = "http://hooks.example.com/" },
		"subscription.https.secrets":          func(s *hookspb.Subscription) { s.GetHttps().Secrets = nil },
		"subscription.https.secrets[0]":       func(s *hookspb.Subscription) { s.GetHttps().Secrets = []string{"hunter2"} },
		"subscription.maximum_event_age":      func(s *hookspb.Subscription) { s.MaximumEventAge = durationpb.New(time.Second) },
		"subscription.maximum_retry_attempts": func(s *hookspb.Subscription) { s.MaximumRetryAttempts = &retries },
		"subscription.call_timeout":           func(s *hookspb.Subscription) { s.CallTimeout = durationpb.New(time.Hour) },
		"subscription.event_pattern":          func(s *hookspb.Subscription) { s.EventPattern = `{"source":"aws.ecs"}` },
		"subscription.format": func(s *hookspb.Subscription) {
			s.Format, s.Target = hookspb.Subscription_FORMAT_CLOUDEVENTS, busTarget("")
		},
		"subscription.event_bridge.event_bus_name": func(s *hookspb.Subscription) { s.Target = busTarget("a b") },
	} {
		sub := httpsTo("a", "https://hooks.example.com/")
		change(sub)
		_, err := s.PutSubscription(t.Context(), &hookspb.PutSubscriptionRequest{Subscription: sub})
		wantField(t, field, err, field)
	}
	_, err := s.RedeliverEvents(t.Context(), &hookspb.RedeliverEventsRequest{})
	wantField(t, "redeliver everything", err, "subscription")
	_, err = s.ListDeliveries(t.Context(), &hookspb.ListDeliveriesRequest{PageToken: "nonsense"})
	wantField(t, "a page token", err, "page_token")
}

func busTarget(name string) *hookspb.Subscription_EventBridge {
	return &hookspb.Subscription_EventBridge{EventBridge: &hookspb.EventBridgeEventTarget{EventBusName: name}}
}

const validEvent = `{"id":"1","account":"123456789012","source":"aws.ecs","time":"2026-05-01T12:00:00Z","region":"local",` +
	`"detail-type":"ECS Deployment State Change","resources":[],"detail":{"eventType":"ERROR","n":300.0}}`

func TestTestEventPatternIsEventBridges(t *testing.T) {
	s := startNewEventful(t, nil)
	for pattern, want := range map[string]bool{
		`{"source":["aws.ecs"],"detail":{"eventType":["ERROR"]}}`:       true,
		`{"detail":{"eventType":[{"anything-but":"ERROR"}]}}`:           false,
		`{"detail":{"n":[300]}}`:                                        true,
		`{"detail-type":["ECS Service Deployment State Change"]}`:       false, // the alias is for subscriptions
		`{"detail-type":["ECS Service Action"]}`:                        false,
		`{"$or":[{"source":["x"]},{"detail":{"eventType":["ERROR"]}}]}`: true,
	} {
		got, err := s.TestEventPattern(t.Context(), &hookspb.TestEventPatternRequest{EventPattern: pattern, Event: validEvent})
		if err != nil || got.GetResult() != want {
			t.Errorf("%s: %v, %v; want %t", pattern, got, err, want)
		}
	}
	for name, tt := range map[string]struct{ pattern, event, field, message string }{
		"a pattern that is none": {`{"source":"aws.ecs"}`, validEvent, "event_pattern", `Event pattern is not valid. Reason: "source" must be an object or an array`},
		"no pattern":             {``, validEvent, "event_pattern", "Event pattern is not valid. Reason: "},
		"an event without id":    {`{"source":["x"]}`, `{"source":"x"}`, "event", "Parameter Event is not valid."},
		"an event that is none":  {`{"source":["x"]}`, `[]`, "event", "Parameter Event is not valid."},
	} {
		_, err := s.TestEventPattern(t.Context(), &hookspb.TestEventPatternRequest{EventPattern: tt.pattern, Event: tt.event})
		wantField(t, name, err, tt.field)
		if p := problem.As(err); p != nil && !strings.HasPrefix(p.Message, tt.message) {
			t.Errorf("%s: %q, want %q", name, p.Message, tt.message)
		}
	}
	got, err := s.TestEventPattern(t.Context(), &hookspb.TestEventPatternRequest{EventPattern: `{"a":[1]}`, Event: `{"a":1}`, AnyEvent: true})
	if err != nil || !got.GetResult() {
		t.Errorf("%v, %v", got, err)
	}
	_, err = s.TestEventPattern(t.Context(), &hookspb.TestEventPatternRequest{EventPattern: `{"a":[1]}`, Event: `null`, AnyEvent: true})
	wantField(t, "null", err, "event")
}

// Only what matches is delivered; the pattern sees EventBridge's envelope whatever the format.
func TestAPatternChoosesEvents(t *testing.T) {
	o := newOrchestrator(t)
	s := startNewEventful(t, o)
	to, other := newSubscriber(t, takes), newSubscriber(t, takes)
	failures := httpsTo("failures", to.url)
	failures.EventPattern = `{"detail-type":["ECS Service Deployment State Change"],"detail":{"eventName":["SERVICE_DEPLOYMENT_FAILED"]}}`
	failures.Format = hookspb.Subscription_FORMAT_CLOUDEVENTS
	s.put(t, failures)
	s.subscribe(t, "all", other.url)
	o.say("d-1", "SERVICE_DEPLOYMENT_IN_PROGRESS", "1", nil)
	o.say("d-1", "SERVICE_DEPLOYMENT_FAILED", "2", nil)
	o.say("d-1", "TASKS_STOPPED", "3", nil)
	o.say("d-1", "SERVICE_DEPLOYMENT_FAILED", "4", nil)
	s.awaitState(t, "all", hookspb.Delivery_STATE_DELIVERED, 4)
	chosen := s.awaitState(t, "failures", hookspb.Delivery_STATE_DELIVERED, 2)
	if !strings.Contains(chosen[0].GetEvent(), `"reason":"2"`) || !strings.Contains(chosen[1].GetEvent(), `"reason":"4"`) {
		t.Errorf("%v", chosen)
	}
	// Changed, it sees other events from then on.
	failures.EventPattern = `{"detail":{"eventName":["TASKS_STOPPED"]}}`
	s.put(t, failures)
	o.say("d-1", "SERVICE_DEPLOYMENT_FAILED", "5", nil)
	o.say("d-1", "TASKS_STOPPED", "6", nil)
	if chosen = s.awaitState(t, "failures", hookspb.Delivery_STATE_DELIVERED, 3); !strings.Contains(chosen[2].GetEvent(), `"reason":"6"`) {
		t.Errorf("%v", chosen[2])
	}
}
