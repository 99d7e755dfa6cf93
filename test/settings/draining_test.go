package settings

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/runtime"
	"github.com/slipway-deploy/slipway/drivers/runtime/fake"
	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
)

// slow is what tasks do that begin their answer at once and end it when they are told to.
func (v *service) slow(end <-chan struct{}) *fake.Behavior {
	b := v.good()
	b.Endpoints = func(task string) []runtime.Endpoint {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, task)
			_ = http.NewResponseController(w).Flush()
			select {
			case <-end:
			case <-r.Context().Done():
			}
		}))
		v.t.Cleanup(server.Close)
		return []runtime.Endpoint{{Container: "web", ContainerPort: 80, Address: server.Listener.Addr().String()}}
	}
	return b
}

// inFlight sends a request, returns when its answer has begun, and tells how it ended.
func (v *service) inFlight() <-chan error {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+v.balance.GetProductionListener(), nil)
	if err != nil {
		v.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		_, err := io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		ended <- err
	}()
	return ended
}

// deregistration_delay: a request in flight may end within it, and is cut after it; its task is stopped then, and not before.
func TestDeregistrationDelay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		delay float64
		cut   bool
	}{"ends within it": {3600, false}, "is cut after it": {0.5, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, end := begin(t, setup{desired: 1, balanced: true}), make(chan struct{})
			if err := s.attributes(func(lb *orchestratorpb.LoadBalancer) { lb.DeregistrationDelay = seconds(c.delay) }); err != nil {
				t.Fatal(err)
			}
			s.ends(s.deploy(s.slow(end), &config{}), successful)
			ended := s.inFlight()
			began := time.Now()
			id := s.deploy(s.good(), &config{})
			if !c.cut {
				s.stands(id, orchestratorpb.Condition_TYPE_DRAIN)
				if len(s.runs(2, 1)) != 1 {
					t.Error("the task was stopped while a request was in flight")
				}
				close(end)
			}
			s.ends(id, successful)
			s.runs(2, 0)
			if err := <-ended; (err != nil) != c.cut {
				t.Errorf("the request ended with %v", err)
			}
			if took := time.Since(began); c.cut && took < 500*time.Millisecond {
				t.Errorf("cut after %s", took)
			}
		})
	}
}

// slow_start: a new target beside one that serves already begins with next to no requests, and ends with its share.
func TestSlowStart(t *testing.T) {
	t.Parallel()
	s := begin(t, setup{desired: 1, balanced: true})
	err := s.attributes(func(lb *orchestratorpb.LoadBalancer) {
		lb.SlowStart, lb.Algorithm = seconds(5), orchestratorpb.LoadBalancer_ALGORITHM_ROUND_ROBIN
	})
	if err != nil {
		t.Fatal(err)
	}
	s.ends(s.deploy(s.served(), &config{}), successful)
	old := s.runs(2, 1)[0]
	eventually(t, "the first task to have left its slow start", func() (bool, any) { return s.ask() == old, nil })
	share := func() (percent int) {
		const requests = 100
		for range requests {
			if s.ask() != old {
				percent++
			}
		}
		return percent
	}
	s.scale(2)
	s.runs(2, 2)
	first := 0
	eventually(t, "the new task to answer", func() (bool, any) { first = share(); return first > 0, first })
	if first > 35 { // of 50 at the end; a machine that is slow may be a second late
		t.Errorf("begins with %d %% of the requests", first)
	}
	eventually(t, "the new task to have its share", func() (bool, any) { got := share(); return got >= 45 && got <= 55, got })
}
