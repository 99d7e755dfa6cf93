package requestmetrics

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/slipway-deploy/slipway/platform/problem"
)

// sink keeps what was pushed, or fails while err is set, or hangs.
type sink struct {
	mu    sync.Mutex
	err   error
	hang  bool
	calls int
	data  []Datum
	ids   map[string]bool
}

func (s *sink) PutMetricData(ctx context.Context, id, namespace string, data []Datum) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if s.err != nil {
		return s.err
	}
	if namespace != Namespace || s.ids[id] {
		return problem.New(problem.InvalidArgument, "", "namespace %q, id seen: %v", namespace, s.ids[id])
	}
	s.ids[id] = true
	s.data = append(s.data, data...)
	return nil
}

func (s *sink) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// sum adds up a metric of the service by the second.
func (s *sink) sum(name string) (total float64, at map[time.Time]float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at = make(map[time.Time]float64)
	for _, d := range s.data {
		if d.Name == name && len(d.Dimensions) == 2 {
			for i := range d.Values {
				total += d.Values[i] * d.Counts[i]
				at[d.Time] += d.Values[i] * d.Counts[i]
			}
		}
	}
	return total, at
}

func start(t *testing.T, s *sink) (*Group, context.CancelFunc, <-chan struct{}) {
	t.Helper()
	s.ids = make(map[string]bool)
	r := NewRegistry()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		NewPusher(r, s, time.Second, slog.New(slog.DiscardHandler)).Run(ctx)
	}()
	return r.Group("shop/web", "blue"), cancel, done
}

func TestEachPeriodIsPushedWithItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		g, stop, done := start(t, s)
		begin := time.Now().Truncate(time.Second)
		pass(300 * time.Millisecond)
		g.Request()
		pass(time.Second)
		g.Request()
		g.Request()
		pass(time.Second)
		synctest.Wait()
		if _, at := s.sum("RequestCount"); at[begin] != 1 || at[begin.Add(time.Second)] != 2 {
			t.Errorf("requests by second: %v", at)
		}
		g.Request()
		stop()
		<-done
		if total, _ := s.sum("RequestCount"); total != 4 {
			t.Errorf("%v requests after the end, want 4", total)
		}
	})
}

func TestNothingIsLostWhileTheSinkIsShortlyAwayAndTheOldestGoLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		g, stop, done := start(t, s)
		s.set(errors.New("away"))
		for range 30 {
			g.Request()
			pass(time.Second)
		}
		s.set(nil)
		pass(2 * longestPause)
		if total, _ := s.sum("RequestCount"); total != 30 {
			t.Errorf("%v requests after 30 s away, want 30", total)
		}
		s.set(errors.New("away"))
		for range 10 * maxQueued {
			g.Request()
			pass(time.Second)
		}
		s.set(nil)
		pass(2 * longestPause)
		synctest.Wait()
		if total, _ := s.sum("RequestCount"); total < 30+maxQueued-10 || total > 30+maxQueued+10 {
			t.Errorf("%v requests after a long time away, want about %d", total, 30+maxQueued)
		}
		stop()
		<-done
	})
}

func TestARefusedPushDoesNotHoldUpTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		g, stop, done := start(t, s)
		s.set(problem.Invalid("metric_data", "is bad"))
		g.Request()
		pass(1500 * time.Millisecond)
		s.set(nil)
		g.Request()
		pass(time.Second)
		synctest.Wait()
		if total, _ := s.sum("RequestCount"); total != 1 {
			t.Errorf("%v requests arrived, want the later one", total)
		}
		stop()
		<-done
	})
}

func TestASinkThatHangsHoldsUpNeitherCountingNorTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{hang: true}
		g, stop, done := start(t, s)
		for range 100 {
			g.Request()
		}
		pass(time.Minute)
		begin := time.Now()
		stop()
		<-done
		if took := time.Since(begin); took > pushTimeout+time.Second {
			t.Errorf("the end took %v", took)
		}
	})
}

// pass lets synctest's clock go on.
func pass(d time.Duration) { <-time.After(d) }
