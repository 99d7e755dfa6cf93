package engine

import (
	"context"
	"slices"
	"testing"
	"time"
)

// turns moves the wheel on until the entry comes and returns how many ticks that took.
func turns(t *testing.T, w *wheel, p *probed, limit int) int {
	t.Helper()
	for n := 1; n <= limit; n++ {
		if slices.Contains(w.turn(), p) {
			return n
		}
	}
	return 0
}

func TestTheWheelFiresOnceAfterTheDelay(t *testing.T) {
	t.Parallel()
	for delay, want := range map[time.Duration]int{
		-time.Second: 1, 0: 1, 1: 1, wheelTick: 1, wheelTick + 1: 2, 7 * wheelTick: 7,
		(wheelSlots - 1) * wheelTick: wheelSlots - 1, wheelSlots * wheelTick: wheelSlots, (wheelSlots + 1) * wheelTick: wheelSlots + 1,
		5 * time.Minute: 30_000,
	} {
		for _, offset := range []int{0, 1, wheelSlots - 1} {
			w, p := newWheel(), &probed{}
			for range offset {
				w.turn()
			}
			w.add(p, delay)
			if got := turns(t, w, p, 40_000); got != want {
				t.Errorf("%s from tick %d: after %d ticks, want %d", delay, offset, got, want)
			}
			if again := turns(t, w, p, 2*wheelSlots); again != 0 {
				t.Errorf("%s: fired twice", delay)
			}
		}
	}
}

func TestAnEntryOfTheWheelIsMovedAndRemoved(t *testing.T) {
	t.Parallel()
	w, p := newWheel(), &probed{}
	w.add(p, 2000*wheelTick)
	w.add(p, 3*wheelTick)
	if got := turns(t, w, p, 4*wheelSlots); got != 3 {
		t.Errorf("moved: after %d ticks, want 3", got)
	}
	if again := turns(t, w, p, 4*wheelSlots); again != 0 {
		t.Errorf("fired at its old place too, after %d ticks", again)
	}
	w.add(p, 3*wheelTick)
	w.remove(p)
	w.remove(p)
	if got := turns(t, w, p, 4*wheelSlots); got != 0 {
		t.Errorf("removed, and fired after %d ticks", got)
	}
	if len(w.where) != 0 {
		t.Errorf("%d entries are left", len(w.where))
	}
}

func TestTheQueueStartsNoMoreWorkersThanAllowedAndKeepsTheOrder(t *testing.T) {
	t.Parallel()
	q := &queue{limit: 3}
	due := []*probed{{}, {}, {}, {}}
	if n := q.put(due[:2]); n != 2 {
		t.Errorf("started %d workers for 2 targets", n)
	}
	if n := q.put(due[2:]); n != 1 {
		t.Errorf("started %d more workers where 1 is allowed", n)
	}
	worker := make(chan *probed, 1)
	for i, want := range due {
		if got := q.take(t.Context(), worker); got != want {
			t.Errorf("target %d comes out of order", i)
		}
	}
	handed := make(chan *probed)
	go func() { handed <- q.take(t.Context(), worker) }()
	eventually(t, "a worker to wait", func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return len(q.idle) == 1
	})
	if n := q.put(due[:1]); n != 0 {
		t.Errorf("started %d workers where one waits", n)
	}
	if <-handed != due[0] {
		t.Error("the worker that waited got another target")
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if q.take(ended, worker) != nil {
		t.Error("an empty queue gives a target")
	}
}

func TestWorkersEndThatNobodyNeeds(t *testing.T) {
	t.Parallel()
	q := &queue{limit: 1000}
	due := make([]*probed, maxIdleWorkers+1)
	if n := q.put(due); n != len(due) {
		t.Fatalf("started %d workers", n)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for range due {
		q.take(ended, make(chan *probed, 1))
	}
	for n := range due {
		q.take(ended, make(chan *probed, 1))
		if want := max(n+1-maxIdleWorkers, 0); q.running != len(due)-want {
			t.Fatalf("%d workers run after %d had nothing to do", q.running, n+1)
		}
	}
}
