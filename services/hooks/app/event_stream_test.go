package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	hookspb "github.com/slipway-deploy/slipway/gen/go/slipway/hooks/v1"
)

func (s *eventful) stream(t *testing.T, req *hookspb.StreamEventsRequest) (grpc.ServerStreamingClient[hookspb.StreamEventsResponse], context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	req.Name = "watch"
	stream, err := s.StreamEvents(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	return stream, cancel
}

func next(t *testing.T, stream grpc.ServerStreamingClient[hookspb.StreamEventsResponse], label string, attempt int32) *hookspb.StreamEventsResponse {
	t.Helper()
	resp, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var h happened
	if err := json.Unmarshal([]byte(resp.GetEvent()), &h); err != nil || h.ID != resp.GetEventId() || h.label() != label || resp.GetAttempt() != attempt {
		t.Errorf("%v: %v; want %s, attempt %d", resp, err, label, attempt)
	}
	return resp
}

func (s *eventful) acknowledge(t *testing.T, token string, want int64) {
	t.Helper()
	resp, err := s.AcknowledgeEvents(t.Context(), &hookspb.AcknowledgeEventsRequest{Name: "watch", Token: token})
	if err != nil || resp.GetCount() != want {
		t.Errorf("acknowledged %v, %v; want %d", resp, err, want)
	}
}

func streamTo() *hookspb.Subscription {
	return &hookspb.Subscription{Name: "watch", Target: &hookspb.Subscription_GrpcStream{GrpcStream: &hookspb.GrpcStreamEventTarget{}}}
}

func TestAStreamBringsWhatIsNotAcknowledged(t *testing.T) {
	o := newOrchestrator(t)
	s := startNewEventful(t, o)
	s.put(t, streamTo())
	o.say("d-1", "TRAFFIC_SHIFTED", "1", nil) // before anyone streams
	s.awaitState(t, "watch", hookspb.Delivery_STATE_PENDING, 1)
	stream, leave := s.stream(t, &hookspb.StreamEventsRequest{})
	first := next(t, stream, "d-1 1", 1)
	o.say("d-2", "TRAFFIC_SHIFTED", "2", nil)
	o.say("d-1", "TRAFFIC_SHIFTED", "3", nil)
	next(t, stream, "d-2 2", 1)
	third := next(t, stream, "d-1 3", 1)
	s.acknowledge(t, first.GetToken(), 1)
	s.acknowledge(t, first.GetToken(), 0)
	leave()
	again, leave := s.stream(t, &hookspb.StreamEventsRequest{})
	next(t, again, "d-2 2", 2)
	next(t, again, "d-1 3", 2)
	leave()
	o.say("d-1", "TRAFFIC_SHIFTED", "4", nil)
	resumed, _ := s.stream(t, &hookspb.StreamEventsRequest{ResumeToken: third.GetToken()})
	next(t, resumed, "d-1 4", 1)
	s.awaitState(t, "watch", hookspb.Delivery_STATE_DELIVERED, 3)
	s.awaitState(t, "watch", hookspb.Delivery_STATE_PENDING, 1)
}

func TestAStreamWaitsForAcknowledgements(t *testing.T) {
	o := newOrchestrator(t)
	s := startNewEventful(t, o)
	s.put(t, streamTo())
	for n := range 5 {
		o.say("d-1", "TRAFFIC_SHIFTED", fmt.Sprint(n), nil)
	}
	s.awaitState(t, "watch", hookspb.Delivery_STATE_PENDING, 5)
	stream, _ := s.stream(t, &hookspb.StreamEventsRequest{MaxUnacknowledged: 2})
	first := next(t, stream, "d-1 0", 1)
	next(t, stream, "d-1 1", 1)
	got := s.deliveries(t, &hookspb.ListDeliveriesRequest{Subscription: "watch"})
	if got[2].GetAttempts() != 0 { // the third, as the newest is first
		t.Errorf("more were sent than may be: %v", got)
	}
	s.acknowledge(t, first.GetToken(), 1)
	third := next(t, stream, "d-1 2", 1)
	s.acknowledge(t, third.GetToken(), 2)
	next(t, stream, "d-1 3", 1)
	next(t, stream, "d-1 4", 1)
}

func TestWhatNobodyTakesBecomesADeadLetter(t *testing.T) {
	o := newOrchestrator(t)
	s := startNewEventful(t, o)
	s.put(t, streamTo())
	o.say("d-1", "TRAFFIC_SHIFTED", "1", nil)
	s.awaitState(t, "watch", hookspb.Delivery_STATE_PENDING, 1)
	if _, err := openDB(t, s.url).Pool.Exec(t.Context(), `UPDATE deliveries SET expire_time = now()`); err != nil {
		t.Fatal(err)
	}
	dead := s.awaitState(t, "watch", hookspb.Delivery_STATE_DEAD_LETTER, 1)
	if dead[0].GetReason() != "nobody took it from the stream in time" {
		t.Errorf("%v", dead)
	}
	if r, err := s.RedeliverEvents(t.Context(), &hookspb.RedeliverEventsRequest{Subscription: "watch"}); err != nil || r.GetCount() != 1 {
		t.Errorf("%v, %v", r, err)
	}
	stream, _ := s.stream(t, &hookspb.StreamEventsRequest{})
	next(t, stream, "d-1 1", 1)
}

// A subscription may change from a stream to calls and back: what waits goes the new way.
func TestWhatWaitsGoesTheNewWay(t *testing.T) {
	o := newOrchestrator(t)
	s := startNewEventful(t, o)
	s.put(t, streamTo())
	o.say("d-1", "TRAFFIC_SHIFTED", "1", nil)
	s.awaitState(t, "watch", hookspb.Delivery_STATE_PENDING, 1)
	down := newSubscriber(t, fails)
	s.subscribe(t, "watch", down.url)
	down.await(t, 1)
	_, err := s.AcknowledgeEvents(t.Context(), &hookspb.AcknowledgeEventsRequest{Name: "watch", Token: "x"})
	wantProblem(t, err, codes.InvalidArgument, "INVALID_FIELD")
	refused, _ := s.stream(t, &hookspb.StreamEventsRequest{})
	_, err = refused.Recv()
	wantProblem(t, err, codes.FailedPrecondition, "NOT_A_STREAM")
	s.put(t, streamTo())
	stream, _ := s.stream(t, &hookspb.StreamEventsRequest{})
	resp, err := stream.Recv()
	if err != nil || resp.GetAttempt() < 2 {
		t.Errorf("%v, %v", resp, err)
	}
}

func TestAStreamOfADeletedSubscriptionEnds(t *testing.T) {
	s := startNewEventful(t, nil)
	s.put(t, streamTo())
	stream, _ := s.stream(t, &hookspb.StreamEventsRequest{})
	if _, err := s.DeleteSubscription(t.Context(), &hookspb.DeleteSubscriptionRequest{Name: "watch"}); err != nil {
		t.Fatal(err)
	}
	_, err := stream.Recv()
	wantProblem(t, err, codes.NotFound, "SUBSCRIPTION_NOT_FOUND")
}
