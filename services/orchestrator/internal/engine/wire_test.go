package engine_test

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/slipway-deploy/slipway/platform/problem"
)

var errUnreachable = problem.New(problem.Unavailable, "SERVICE_UNAVAILABLE", "connection refused")

// wire is the way to a service or driver. It is whole until a test breaks it, keeps what arrived, and fails the test when
// a write arrives whose generation is not saved yet.
type wire struct {
	world *world

	mu      sync.Mutex
	arrived []arrival
	fail    error                                  // of every write
	hung    map[string]chan struct{}               // writes of a service wait until its channel is closed, or until they give up
	deaf    bool                                   // what hangs does not give up
	lost    int                                    // writes that are carried out and whose answer does not arrive
	once    func(service string, generation int64) // called at the next write, before it is carried out
	highest map[string]int64                       // generation by service, of what is fenced
	down    error                                  // of watches
	opened  []time.Time                            // tries to watch
}

type arrival struct {
	service    string
	generation int64
	at         time.Time
}

func newWire(w *world) *wire {
	return &wire{world: w, hung: map[string]chan struct{}{}, highest: map[string]int64{}}
}

// arrive is the beginning of a write.
func (w *wire) arrive(ctx context.Context, service string, generation int64) error {
	if saved := w.world.saved(service); generation > saved {
		w.world.t.Errorf("generation %d of %s was written to the outside while %d was saved", generation, service, saved)
	}
	w.mu.Lock()
	w.arrived = append(w.arrived, arrival{service, generation, time.Now()})
	hung, fail, once := w.hung[service], w.fail, w.once
	if w.deaf {
		ctx = context.WithoutCancel(ctx)
	}
	w.once = nil
	w.mu.Unlock()
	if once != nil {
		once(service, generation)
	}
	if hung != nil {
		select {
		case <-hung:
		case <-ctx.Done():
			return problem.New(problem.DeadlineExceeded, "", "no answer in time").Wrap(ctx.Err())
		}
	}
	return fail
}

// fenced is arrive at a service that refuses older generations.
func (w *wire) fenced(ctx context.Context, service string, generation int64) error {
	if err := w.arrive(ctx, service, generation); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if generation < w.highest[service] {
		return problem.New(problem.Aborted, "STALE_GENERATION", "a newer generation of service %s has been seen", service)
	}
	w.highest[service] = generation
	return nil
}

// answer is the end of a write that was carried out.
func (w *wire) answer(err error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil && w.lost > 0 {
		w.lost--
		return errUnreachable
	}
	return err
}

// open is the beginning of a watch.
func (w *wire) open() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opened = append(w.opened, time.Now())
	return w.down
}

func (w *wire) set(change func(*wire)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w)
}

func (w *wire) cut()                { w.set(func(w *wire) { w.down = errUnreachable }) }
func (w *wire) mend()               { w.set(func(w *wire) { w.down = nil }) }
func (w *wire) failWith(err error)  { w.set(func(w *wire) { w.fail = err }) }
func (w *wire) loseAnswers(n int)   { w.set(func(w *wire) { w.lost = n }) }
func (w *wire) hang(service string) { w.set(func(w *wire) { w.hung[service] = make(chan struct{}) }) }

func (w *wire) release(service string) {
	w.set(func(w *wire) {
		close(w.hung[service])
		delete(w.hung, service)
	})
}

func (w *wire) writes() []arrival {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]arrival(nil), w.arrived...)
}

func (w *wire) opens() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.opened)
}

// feed is the streams of a service. What is said goes to all of them.
type feed[T any] struct {
	mu      sync.Mutex
	streams []*stream[T]
}

func (f *feed[T]) open(ctx context.Context, snapshot *T) *stream[T] {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := &stream[T]{ctx: ctx, messages: make(chan *T, 1000), broken: make(chan struct{})}
	s.messages <- snapshot
	f.streams = append(f.streams, s)
	return s
}

func (f *feed[T]) say(m *T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.streams {
		s.messages <- m
	}
}

// cut breaks every stream.
func (f *feed[T]) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.streams {
		close(s.broken)
	}
	f.streams = nil
}

type stream[T any] struct {
	grpc.ClientStream
	ctx      context.Context
	messages chan *T
	broken   chan struct{}
}

func (s *stream[T]) Recv() (*T, error) {
	select {
	case <-s.broken:
		return nil, errUnreachable
	default:
	}
	select {
	case m := <-s.messages:
		return m, nil
	case <-s.broken:
		return nil, errUnreachable
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}
