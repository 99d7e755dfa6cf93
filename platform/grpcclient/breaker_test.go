package grpcclient_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	trafficpb "github.com/slipway-deploy/slipway/gen/go/slipway/traffic/v1"
	"github.com/slipway-deploy/slipway/platform/problem"
)

var (
	errUnavailable = problem.New(problem.Unavailable, "DATABASE_UNAVAILABLE", "the database cannot be reached")
	errNotFound    = problem.New(problem.NotFound, "TASK_NOT_FOUND", "no task")
	errDeadline    = problem.New(problem.DeadlineExceeded, "", "too slow")
)

// heldBack reports whether err is the breaker's.
func heldBack(err error) bool {
	return errors.Is(err, problem.Unavailable) && strings.Contains(err.Error(), "calls are held back")
}

func TestOnlyUnavailableIsRetried(t *testing.T) {
	t.Run("unavailable, then fine", func(t *testing.T) {
		impl := &traffic{}
		impl.apply = func(context.Context) (*trafficpb.ApplyRoutesResponse, error) {
			if impl.calls.Load() < 3 {
				return nil, errUnavailable
			}
			return &trafficpb.ApplyRoutesResponse{}, nil
		}
		if err := connect(t, impl).apply(t.Context()); err != nil || impl.calls.Load() != 3 {
			t.Errorf("%v after %d calls, want success after 3", err, impl.calls.Load())
		}
	})
	for name, c := range map[string]struct {
		err   error
		calls int64
	}{
		"unavailable for ever": {errUnavailable, 4},
		"not found":            {errNotFound, 1},
		"aborted":              {problem.New(problem.Aborted, "STALE_ETAG", "stale"), 1},
		"deadline":             {errDeadline, 1},
		"internal":             {errors.New("defect"), 1},
	} {
		t.Run(name, func(t *testing.T) {
			impl := failing(c.err)
			if err := connect(t, impl).apply(t.Context()); err == nil || impl.calls.Load() != c.calls {
				t.Errorf("%v after %d calls, want a failure after %d", err, impl.calls.Load(), c.calls)
			}
		})
	}
}

func TestTheBreakerOpensAndClosesAgain(t *testing.T) {
	impl := failing(errDeadline) // not retried, so that each call is one
	c := connect(t, impl)
	for range 5 {
		if err := c.apply(t.Context()); heldBack(err) {
			t.Fatalf("held back too early: %v", err)
		}
	}
	reached := impl.calls.Load()
	err := c.apply(t.Context())
	p := problem.As(err)
	if !heldBack(err) || p.Reason != "SERVICE_UNAVAILABLE" || p.Metadata["service"] != "proxy" {
		t.Fatalf("the sixth call: %+v, want the breaker's problem", p)
	}
	if err := c.watchOnce(t.Context()); !heldBack(err) {
		t.Errorf("a stream: %v, want the breaker's problem", err)
	}
	if got := impl.calls.Load(); got != reached {
		t.Errorf("%d calls reached the service while the breaker was open", got-reached)
	}

	impl.apply = nil // the service is well again; read by no call now
	var closed error
	eventually(t, "the breaker lets calls through", func() bool {
		closed = c.apply(t.Context())
		return !heldBack(closed)
	})
	if closed != nil {
		t.Errorf("the first call that is let through: %v", closed)
	}
	if err := c.watchOnce(t.Context()); heldBack(err) {
		t.Errorf("a stream afterwards: %v", err)
	}
}

func TestAProbeThatFailsOpensTheBreakerAgain(t *testing.T) {
	impl := failing(errDeadline)
	c := connect(t, impl)
	for range 5 {
		_ = c.apply(t.Context())
	}
	eventually(t, "a probe gets through", func() bool { return !heldBack(c.apply(t.Context())) })
	if err := c.apply(t.Context()); !heldBack(err) {
		t.Errorf("after a failed probe: %v, want held back", err)
	}
}

func TestAnswersAndCancelsDoNotOpenTheBreaker(t *testing.T) {
	c := connect(t, failing(errNotFound))
	for range 20 {
		if err := c.apply(t.Context()); !errors.Is(err, problem.NotFound) {
			t.Fatalf("got %v", err)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		if err := c.apply(canceled); !errors.Is(err, problem.Canceled) {
			t.Fatalf("got %v", err)
		}
	}
	if err := c.apply(t.Context()); heldBack(err) {
		t.Error("the breaker is open")
	}
}

func TestStreamsThatBeganDoNotOpenTheBreaker(t *testing.T) {
	end := make(chan struct{})
	impl := &traffic{watch: func(s grpc.ServerStreamingServer[trafficpb.WatchRoutesResponse]) error {
		if err := s.Send(&trafficpb.WatchRoutesResponse{Snapshot: true}); err != nil {
			return err
		}
		<-end
		return errUnavailable
	}}
	c := connect(t, impl)
	streams := make([]grpc.ServerStreamingClient[trafficpb.WatchRoutesResponse], 20)
	for i := range streams {
		var err error
		if streams[i], err = c.WatchRoutes(t.Context(), &trafficpb.WatchRoutesRequest{}); err != nil {
			t.Fatal(err)
		}
		if _, err := streams[i].Recv(); err != nil {
			t.Fatal(err)
		}
	}
	close(end) // all fail, and no success is between
	for _, stream := range streams {
		if _, err := stream.Recv(); !errors.Is(err, problem.Unavailable) || heldBack(err) {
			t.Fatalf("the end is %v", err)
		}
	}
	if err := c.apply(t.Context()); err != nil {
		t.Errorf("a unary call afterwards: %v", err)
	}
}

func TestStreamsThatDoNotBeginOpenTheBreaker(t *testing.T) {
	c := connect(t, failing(errDeadline))
	for range 5 {
		if err := c.watchOnce(t.Context()); heldBack(err) {
			t.Fatalf("held back too early: %v", err)
		}
	}
	if err := c.watchOnce(t.Context()); !heldBack(err) {
		t.Errorf("the sixth stream: %v, want held back", err)
	}
}

func TestBreakersOfTwoConnectionsAreTwo(t *testing.T) {
	broken, fine := connect(t, failing(errDeadline)), connect(t, &traffic{})
	for range 6 {
		_ = broken.apply(t.Context())
	}
	if err := fine.apply(t.Context()); err != nil {
		t.Error(err)
	}
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		}
	}
}
