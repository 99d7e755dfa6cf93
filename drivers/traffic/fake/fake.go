// Package fake is a traffic driver in memory, for tests of what uses the port. It is stateful: it fences, validates,
// drains and reports as a real one does, and it can be told to be slow, to refuse or to keep targets busy. But for
// RoundTrip it touches no network, so it works under testing/synctest.
package fake

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/slipway-deploy/slipway/drivers/traffic"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/platform/watch"
)

// Fake is a data plane in memory. The zero value is not ready; see New. All methods are safe for concurrent use.
type Fake struct {
	hub *watch.Hub[string, traffic.Applied]

	mu       sync.Mutex
	services map[string]*service
	applies  []Apply
	taken    map[string]bool // addresses of other programs
	gate     chan struct{}   // closed while Apply and Delete may go on
	failures []error         // of the next Applies
	byHand   bool            // targets drain when DrainTarget says so
	watches  map[*watcher]struct{}
}

var _ traffic.Traffic = (*Fake)(nil)

// Apply is one that was put in force.
type Apply struct {
	Generation int64
	Routes     traffic.Routes
}

type service struct {
	generation int64
	inForce    bool
	routes     traffic.Routes
	problem    string
	turns      map[string]uint64        // by listener address
	busy       map[string]int           // requests in flight by target id
	over       map[string]bool          // draining targets that are done by hand or by time
	timers     map[string]*time.Timer   // of drain times
	cuts       map[string]chan struct{} // closed when the target's drain time ends
}

// New returns a data plane without routes.
func New() *Fake {
	open := make(chan struct{})
	close(open)
	return &Fake{
		hub: watch.NewHub[string, traffic.Applied](), services: make(map[string]*service), taken: make(map[string]bool),
		gate: open, watches: make(map[*watcher]struct{}),
	}
}

// Apply puts the routes in force; see traffic.Traffic.
func (f *Fake) Apply(ctx context.Context, generation int64, routes traffic.Routes) error {
	if err := routes.Validate(); err != nil {
		return err
	}
	if err := f.pass(ctx); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.failures) > 0 {
		err := f.failures[0]
		f.failures = f.failures[1:]
		return err
	}
	s, err := f.admit(generation, routes.Service)
	if err != nil {
		return err
	}
	if err := f.conflict(routes); err != nil {
		return err
	}
	routes = routes.WithDefaults()
	s.generation, s.inForce, s.routes = generation, true, routes
	f.applies = append(f.applies, Apply{Generation: generation, Routes: routes})
	f.arm(s)
	f.publish(s)
	return nil
}

// Delete takes a service's routes out of force; see traffic.Traffic.
func (f *Fake) Delete(ctx context.Context, generation int64, name string) error {
	if err := f.pass(ctx); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s, err := f.admit(generation, name)
	if err != nil {
		return err
	}
	s.generation, s.inForce, s.routes = generation, false, traffic.Routes{}
	f.arm(s)
	f.hub.Delete(name)
	return nil
}

// Watch reports what is in force; see traffic.Traffic.
func (f *Fake) Watch(ctx context.Context, report func(traffic.Update)) error {
	w := &watcher{sub: f.hub.Subscribe(nil)}
	f.mu.Lock()
	f.watches[w] = struct{}{}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.watches, w)
		f.mu.Unlock()
		w.sub.Close()
	}()
	for {
		changes, err := w.sub.Next(ctx)
		if err != nil { // of ctx or of BreakWatches
			return f.whyBroken(w)
		}
		u := traffic.Update{Snapshot: changes.Snapshot, Removed: slices.Sorted(slices.Values(changes.Deleted))}
		u.Services = slices.SortedFunc(maps.Values(changes.Set), func(a, b traffic.Applied) int { return cmp.Compare(a.Service, b.Service) })
		report(u)
	}
}

func (f *Fake) whyBroken(w *watcher) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return w.broken
}

// watcher is a running Watch.
type watcher struct {
	sub    *watch.Subscription[string, traffic.Applied]
	broken error
}

// pass waits at the gate; see HoldApply.
func (f *Fake) pass(ctx context.Context) error {
	f.mu.Lock()
	gate := f.gate
	f.mu.Unlock()
	select {
	case <-gate:
		return nil
	case <-ctx.Done():
		return problem.New(problem.DeadlineExceeded, "", "the call ended before the routes were applied").Wrap(ctx.Err())
	}
}

func (f *Fake) admit(generation int64, name string) (*service, error) {
	if generation <= 0 {
		return nil, problem.Invalid("generation", "must be greater than 0")
	}
	s := f.services[name]
	if s == nil {
		s = &service{
			routes: traffic.Routes{Service: name}, turns: make(map[string]uint64), busy: make(map[string]int),
			over: make(map[string]bool), timers: make(map[string]*time.Timer), cuts: make(map[string]chan struct{}),
		}
		f.services[name] = s
	}
	if generation < s.generation {
		return nil, problem.New(problem.Aborted, "STALE_GENERATION", "generation %d of %s was overtaken by %d", generation, name, s.generation)
	}
	return s, nil
}

func (f *Fake) conflict(routes traffic.Routes) error {
	for _, l := range routes.Listeners {
		taken := f.taken[l.Address]
		for name, other := range f.services {
			taken = taken || (name != routes.Service && other.listens(l.Address))
		}
		if taken {
			return problem.New(problem.FailedPrecondition, "LISTENER_ADDRESS_IN_USE", "%s is in use", l.Address).With("address", l.Address)
		}
	}
	return nil
}

func (s *service) listens(address string) bool {
	return slices.ContainsFunc(s.routes.Listeners, func(l traffic.Listener) bool { return l.Address == address })
}
