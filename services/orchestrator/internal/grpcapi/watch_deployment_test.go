package grpcapi_test

import (
	"errors"
	"io"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

func (e *env) watch(id string, after int64) grpc.ServerStreamingClient[orchestratorpb.WatchDeploymentResponse] {
	e.t.Helper()
	stream, err := e.Deployments.WatchDeployment(e.ctx(), &orchestratorpb.WatchDeploymentRequest{Deployment: id, AfterSequence: after})
	if err != nil {
		e.t.Fatal(err)
	}
	return stream
}

func recv[T any](t *testing.T, stream grpc.ServerStreamingClient[T]) *T {
	t.Helper()
	m, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func sequences(events []*orchestratorpb.Event) []int64 {
	var list []int64
	for _, e := range events {
		list = append(list, e.GetSequence())
	}
	return list
}

// say saves events of a deployment.
func (e *env) say(name string, events ...string) rollout.State {
	return e.save(name, func(s *rollout.State) []rollout.Event {
		var list []rollout.Event
		for _, event := range events {
			list = append(list, said(s, event))
		}
		return list
	})
}

// A watch begins with what is, follows each change, leaves no event out and repeats none, and ends with the deployment.
func TestAWatchedDeploymentIsToldToItsEnd(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.register("web")
	id := e.plain("web").GetDeployment().GetId()
	e.say("web", "ONE", "TWO")
	stream := e.watch(id, 0)
	first := recv(t, stream)
	if !proto.Equal(first.GetDeployment(), e.deployment(id)) || !slices.Equal(sequences(first.GetEvents()), []int64{1, 2}) {
		t.Fatalf("first %v, want the deployment as it stands and events 1, 2", first)
	}
	e.save("web", func(s *rollout.State) []rollout.Event { // a change without an event
		s.Deployment.State, s.Deployment.StartTime = rollout.InProgress, epoch
		return nil
	})
	second := recv(t, stream)
	if !proto.Equal(second.GetDeployment(), e.deployment(id)) || len(second.GetEvents()) != 0 {
		t.Errorf("then %v", second)
	}
	e.say("web", "THREE")
	third := recv(t, stream)
	if !slices.Equal(sequences(third.GetEvents()), []int64{3}) || third.GetEvents()[0].GetName() != "THREE" || third.GetDeployment().GetEventSequence() != 3 {
		t.Errorf("then %v", third)
	}
	e.finish("web")
	last := recv(t, stream)
	if last.GetDeployment().GetState() != orchestratorpb.Deployment_STATE_SUCCESSFUL || !slices.Equal(sequences(last.GetEvents()), []int64{4}) {
		t.Errorf("last %v", last)
	}
	if m, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v, %v", m, err)
	}
}

// Whatever happened while nobody listened comes first, once.
func TestAWatchResumesAfterASequence(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.register("web")
	id := e.plain("web").GetDeployment().GetId()
	e.say("web", "ONE", "TWO", "THREE")
	for after := range int64(4) {
		var want []int64
		for n := after + 1; n <= 3; n++ {
			want = append(want, n)
		}
		if got := recv(t, e.watch(id, after)); !slices.Equal(sequences(got.GetEvents()), want) {
			t.Errorf("after %d: %v, want %v", after, sequences(got.GetEvents()), want)
		}
	}
	e.finish("web")
	ended := e.watch(id, 3)
	if got := recv(t, ended); !slices.Equal(sequences(got.GetEvents()), []int64{4}) {
		t.Errorf("of an ended deployment: %v", got)
	}
	if m, err := ended.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v, %v", m, err)
	}
	again := e.watch(id, 4)
	if got := recv(t, again); len(got.GetEvents()) != 0 || got.GetDeployment().GetFinishTime() == nil {
		t.Errorf("with nothing missed: %v", got)
	}
	if m, err := again.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v, %v", m, err)
	}
}

// More events than one answer holds, saved while somebody listens, arrive all and in order.
func TestAWatchTellsManyEventsInOrder(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.register("web")
	id := e.plain("web").GetDeployment().GetId()
	many := slices.Repeat([]string{"X"}, 1234)
	e.say("web", many...)
	stream := e.watch(id, 0)
	var got []int64
	for len(got) < len(many) {
		got = append(got, sequences(recv(t, stream).GetEvents())...)
	}
	const more = 100
	for range more {
		e.say("web", "Y")
	}
	e.finish("web")
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, sequences(m.GetEvents())...)
		if len(m.GetEvents()) > 0 && m.GetDeployment().GetEventSequence() != got[len(got)-1] {
			t.Errorf("the deployment as of event %d comes with events up to %d", m.GetDeployment().GetEventSequence(), got[len(got)-1])
		}
	}
	for i, n := range got {
		if n != int64(i)+1 {
			t.Fatalf("event %d follows %d events", n, i)
		}
	}
	if len(got) != len(many)+more+1 {
		t.Errorf("%d events, want %d", len(got), len(many)+more+1)
	}
}

// A deployment that another one supersedes ends for its watchers too.
func TestAWatchEndsWhenTheDeploymentIsSuperseded(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.register("web")
	stream := e.watch(e.plain("web").GetDeployment().GetId(), 0)
	recv(t, stream)
	next := must[*orchestratorpb.CreateDeploymentResponse](t)(e.Deployments.CreateDeployment(e.ctx(),
		&orchestratorpb.CreateDeploymentRequest{Service: "web", Supersede: true})).GetDeployment().GetId()
	last := recv(t, stream)
	if last.GetDeployment().GetSupersededBy() != next || len(last.GetEvents()) != 1 {
		t.Errorf("last %v", last)
	}
	if m, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v, %v", m, err)
	}
}
