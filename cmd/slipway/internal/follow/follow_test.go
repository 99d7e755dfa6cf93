package follow

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// fakeServer has a deployment with a number of events. Each stream sends those after the asked-for sequence, one for
// each answer, and breaks as the plan says.
type fakeServer struct {
	events int64
	plan   []stop // one for each stream; the last one holds on
	asked  []int64
}

// stop says after which event a stream breaks, and with what. at < 0 refuses the stream.
type stop struct {
	at  int64
	err error
}

func (f *fakeServer) WatchDeployment(ctx context.Context, in *orchestratorpb.WatchDeploymentRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[orchestratorpb.WatchDeploymentResponse], error) {
	f.asked = append(f.asked, in.GetAfterSequence())
	plan := f.plan[min(len(f.asked), len(f.plan))-1]
	if plan.at < 0 {
		return nil, plan.err
	}
	return &fakeStream{server: f, ctx: ctx, next: in.GetAfterSequence() + 1, stop: plan}, nil
}

type fakeStream struct {
	grpc.ClientStream
	server *fakeServer
	ctx    context.Context
	next   int64
	stop   stop
}

func (s *fakeStream) Recv() (*orchestratorpb.WatchDeploymentResponse, error) {
	if s.stop.at > 0 && s.next > s.stop.at {
		return nil, s.stop.err
	}
	if s.next > s.server.events {
		<-s.ctx.Done()
		return nil, s.ctx.Err()
	}
	d := &orchestratorpb.Deployment{State: orchestratorpb.Deployment_STATE_IN_PROGRESS, EventSequence: s.server.events}
	if s.next == s.server.events {
		d.State = orchestratorpb.Deployment_STATE_SUCCESSFUL
	}
	// The event before is sent again: a follower must not pass it on twice.
	events := []*orchestratorpb.Event{{Sequence: s.next - 1}, {Sequence: s.next}}
	s.next++
	return &orchestratorpb.WatchDeploymentResponse{Deployment: d, Events: events}, nil
}

// seen follows d-1 and returns the sequences passed on and how often the connection was lost.
func seen(ctx context.Context, f *fakeServer, patience time.Duration) (sequences []int64, lost int, err error) {
	err = Deployment(ctx, f, "d-1", patience, func(u Update) error {
		if u.Response == nil {
			lost++
		}
		for _, e := range u.Response.GetEvents() {
			sequences = append(sequences, e.GetSequence())
		}
		return nil
	})
	return sequences, lost, err
}

var down = problem.New(problem.Unavailable, "", "down")

func TestBrokenStreamsAreResumedWithoutGapOrRepeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fakeServer{events: 6, plan: []stop{{2, down}, {-1, down}, {-1, down}, {4, io.EOF}, {0, nil}}}
		got, lost, err := seen(t.Context(), f, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if want := []int64{1, 2, 3, 4, 5, 6}; !slices.Equal(got, want) {
			t.Errorf("passed on %v, want %v", got, want)
		}
		if want := []int64{0, 2, 2, 2, 4}; !slices.Equal(f.asked, want) || lost != 4 {
			t.Errorf("asked after %v with %d losses, want %v with 4", f.asked, lost, want)
		}
	})
}

func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		f := &fakeServer{plan: []stop{{-1, down}}}
		_, lost, err := seen(t.Context(), f, time.Minute)
		if !errors.Is(err, problem.Unavailable) {
			t.Errorf("got %v, want that it is unavailable", err)
		}
		if took := time.Since(start); took < time.Minute || took > 70*time.Second {
			t.Errorf("gave up after %s", took)
		}
		if lost < 10 || lost > 60 {
			t.Errorf("tried %d times in a minute", lost)
		}
	})
}

func TestSomeErrorsEndAtOnce(t *testing.T) {
	t.Parallel()
	f := &fakeServer{plan: []stop{{-1, problem.New(problem.NotFound, "DEPLOYMENT_NOT_FOUND", "no deployment d-1")}}}
	if _, lost, err := seen(t.Context(), f, time.Minute); !errors.Is(err, problem.NotFound) || lost != 0 {
		t.Errorf("got %v after %d losses", err, lost)
	}
	full := errors.New("disk full")
	f = &fakeServer{events: 3, plan: []stop{{0, nil}}}
	err := Deployment(t.Context(), f, "d-1", time.Minute, func(Update) error { return full })
	if !errors.Is(err, full) || len(f.asked) != 1 {
		t.Errorf("got %v after %d streams", err, len(f.asked))
	}
}

func TestLeavingEndsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		f := &fakeServer{plan: []stop{{-1, down}}}
		if _, _, err := seen(ctx, f, time.Hour); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while down: got %v", err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		f = &fakeServer{events: 2, plan: []stop{{1, down}}}
		err := Deployment(ctx, f, "d-1", time.Hour, func(Update) error { cancel(); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("while it goes on: got %v", err)
		}
	})
}
