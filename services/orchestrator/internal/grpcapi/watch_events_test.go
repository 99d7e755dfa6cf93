package grpcapi_test

import (
	"fmt"
	"slices"
	"testing"

	"google.golang.org/grpc"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// label is what an event is known by in these tests.
func label(e *orchestratorpb.Event) string {
	return fmt.Sprintf("%s/%s/%d", e.GetService(), e.GetName(), e.GetSequence())
}

// readable waits until every event up to now can be read: then they are before those "from now on".
func (e *env) readable(want int) {
	e.t.Helper()
	eventually(e.t, "every event can be read", func() bool {
		resp, err := e.Events.ListEvents(e.t.Context(), &orchestratorpb.ListEventsRequest{PageSize: 1000})
		return err == nil && len(resp.GetEvents()) == want
	})
}

func (e *env) events(req *orchestratorpb.WatchEventsRequest) grpc.ServerStreamingClient[orchestratorpb.WatchEventsResponse] {
	e.t.Helper()
	stream, err := e.Events.WatchEvents(e.ctx(), req)
	if err != nil {
		e.t.Fatal(err)
	}
	return stream
}

// beginning returns the resume_token that a stream has in its header, which comes at once: from there on nothing is missed.
func beginning(t *testing.T, stream grpc.ServerStreamingClient[orchestratorpb.WatchEventsResponse]) string {
	t.Helper()
	header, err := stream.Header()
	if err != nil || len(header.Get("slipway-resume-token")) != 1 {
		t.Fatalf("header %v: %v", header, err)
	}
	return header.Get("slipway-resume-token")[0]
}

// Without a token a watch tells what happens from now on; with one what happened after it, exactly once.
func TestWatchEventsBeginsNowAndResumes(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.register("web")
	e.plain("web")
	e.plain("shop")
	e.say("web", "OLD")
	e.readable(1)
	stream := e.events(&orchestratorpb.WatchEventsRequest{})
	begin := beginning(t, stream)
	e.say("web", "A")
	e.say("shop", "B", "C")
	e.say("web", "D")
	want := []string{"web/A/2", "shop/B/1", "shop/C/2", "web/D/3"}
	var got, tokens []string
	for range want {
		m := recv(t, stream)
		got, tokens = append(got, label(m.GetEvent())), append(tokens, m.GetResumeToken())
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
	want, tokens = append([]string{""}, want...), append([]string{begin}, tokens...)
	for i, token := range tokens {
		again := e.events(&orchestratorpb.WatchEventsRequest{ResumeToken: token})
		var rest []string
		for range want[i+1:] {
			rest = append(rest, label(recv(t, again).GetEvent()))
		}
		if !slices.Equal(rest, want[i+1:]) {
			t.Errorf("after %q: %q, want %q", want[i], rest, want[i+1:])
		}
	}
	last := e.events(&orchestratorpb.WatchEventsRequest{ResumeToken: tokens[len(tokens)-1]})
	e.say("shop", "E")
	if m := recv(t, last); label(m.GetEvent()) != "shop/E/3" {
		t.Errorf("after the last: %v", m)
	}
}

func TestWatchEventsSelects(t *testing.T) {
	t.Parallel()
	e := serve(t)
	e.register("web")
	web := e.plain("web").GetDeployment().GetId()
	e.plain("shop")
	e.say("web", "ZERO")
	e.readable(1)
	begin := beginning(t, e.events(&orchestratorpb.WatchEventsRequest{}))
	e.say("web", "B")
	e.say("shop", "C")
	e.save("web", func(s *rollout.State) []rollout.Event { // of the service alone
		s.Service.EventSequence++
		return []rollout.Event{{Sequence: s.Service.EventSequence, Type: rollout.Warn, Name: "D", Detail: map[string]string{"k": "v"}, Time: epoch}}
	})
	_, err := e.db.Pool.Exec(t.Context(), `INSERT INTO events (cluster, service, deployment, sequence, type, name, reason, detail, time)
		VALUES ('other', 'web', '', 1, 'INFO', 'F', '', '{}', now())`)
	if err != nil {
		t.Fatal(err)
	}
	e.say("shop", "END")
	e.say("web", "END")
	for _, c := range []struct {
		req  *orchestratorpb.WatchEventsRequest
		want []string
	}{
		{&orchestratorpb.WatchEventsRequest{}, []string{"web/B/2", "shop/C/1", "web/D/1", "web/F/1", "shop/END/2", "web/END/3"}},
		{&orchestratorpb.WatchEventsRequest{Cluster: "default"}, []string{"web/B/2", "shop/C/1", "web/D/1", "shop/END/2", "web/END/3"}},
		{&orchestratorpb.WatchEventsRequest{Cluster: "other"}, []string{"web/F/1"}},
		{&orchestratorpb.WatchEventsRequest{Service: "web", Cluster: "default"}, []string{"web/B/2", "web/D/1", "web/END/3"}},
		{&orchestratorpb.WatchEventsRequest{Service: "shop"}, []string{"shop/C/1", "shop/END/2"}},
		{&orchestratorpb.WatchEventsRequest{Deployment: web}, []string{"web/B/2", "web/END/3"}},
	} {
		c.req.ResumeToken = begin
		stream := e.events(c.req)
		for i, want := range c.want {
			if got := recv(t, stream).GetEvent(); label(got) != want {
				t.Errorf("%v: event %d is %s, want %s", c.req, i, label(got), want)
			}
		}
	}
	// Of a list with a name the filter is the same.
	list := must[*orchestratorpb.ListEventsResponse](t)(e.Events.ListEvents(e.ctx(), &orchestratorpb.ListEventsRequest{Names: []string{"D", "C"}, Service: "web", Cluster: "default"}))
	if len(list.GetEvents()) != 1 || list.GetEvents()[0].GetDetail()["k"] != "v" || list.GetEvents()[0].GetType() != orchestratorpb.Event_TYPE_WARN {
		t.Errorf("%v", list)
	}
	for _, token := range []string{"nonsense!", "eyJPdGhlciI6MX0"} {
		_, err := e.events(&orchestratorpb.WatchEventsRequest{ResumeToken: token}).Recv()
		names(t, "WatchEvents", err, "resume_token", "earlier answer")
	}
}
