package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
)

// order is a world to bring about.
type order struct {
	service rollout.Service
	desired rollout.Desired
	anew    bool // somebody else may have been at work: nothing that was told before counts
}

// lane brings about one part of the world, in a goroutine of its own: a peer that does not answer holds up its own lane, and no
// decision. Of the orders that come while it is at work it carries out the latest; one that fails it tries again.
type lane struct {
	name   string
	do     func(ctx context.Context, o order) error
	report func(o order, err error)
	may    func() bool // the service is still this replica's

	mu    sync.Mutex
	next  *order
	busy  bool
	given chan struct{}
}

func newLane(name string, do func(context.Context, order) error, report func(order, error), may func() bool) *lane {
	return &lane{name: name, do: do, report: report, may: may, given: make(chan struct{}, 1)}
}

// give replaces the order that waits, if one does.
func (l *lane) give(o order) {
	l.mu.Lock()
	o.anew = o.anew || l.next != nil && l.next.anew
	l.next = &o
	l.mu.Unlock()
	select {
	case l.given <- struct{}{}:
	default:
	}
}

// idle reports whether every order has been carried out.
func (l *lane) idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next == nil && !l.busy
}

func (l *lane) take() *order {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.next
	l.next, l.busy = nil, o != nil
	return o
}

// ended notes that an order was carried out, or keeps one that failed unless a newer one waits.
func (l *lane) ended(o order, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy = false
	switch {
	case err == nil, errors.Is(err, problem.Aborted): // overtaken: another order comes when the state is loaded again
	case l.next == nil:
		l.next = &o
	default:
		l.next.anew = l.next.anew || o.anew
	}
}

// run works until ctx ends.
func (l *lane) run(ctx context.Context) {
	delay := time.Duration(0)
	for ctx.Err() == nil {
		o := l.take()
		if o == nil {
			select {
			case <-ctx.Done():
			case <-l.given:
			}
			continue
		}
		if !l.may() { // the worker is about to end; if the lease comes back before that, the order still stands
			l.ended(*o, errNotHeld)
			select {
			case <-ctx.Done():
			case <-time.After(firstRetry):
			}
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, callTimeout)
		err := l.do(bounded, *o)
		cancel()
		if ctx.Err() != nil {
			return
		}
		l.ended(*o, err)
		l.report(*o, err)
		if err == nil {
			delay = 0
			continue
		}
		delay = min(max(2*delay, firstRetry), lastRetry)
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
	}
}

// lanes are the parts of the world that a worker brings about: routes first among equals, for traffic is what users see.
func (w *worker) newLanes() []*lane {
	may := func() bool { return w.engine.holds(w.key) }
	return []*lane{
		newLane("the data plane", w.convergeRoutes, w.reported("the data plane"), may),
		newLane("the runtime", w.convergeTaskSets, w.reported("the runtime"), may),
		newLane("the healthcheck service", w.convergeHealth, w.reported("the healthcheck service"), may),
		newLane("the hooks service", w.convergeHooks, w.reported("the hooks service"), may),
	}
}

// reported notes how an order to a peer ended, and lets the worker decide anew when that is news to it.
func (w *worker) reported(peer string) func(order, error) {
	refused := false
	return func(o order, err error) {
		again := refused
		if refused = errors.Is(err, problem.Aborted); refused {
			w.reload.Store(true)
			w.wake()
			if !again {
				return // to be overtaken once is no trouble
			}
		}
		text := ""
		if err != nil {
			text = err.Error()
			w.log.Warn("cannot be brought about; trying again", "peer", peer, "cause", err)
		}
		news := w.engine.facts.noteTrouble(o.service.Key(), peer, text)
		if news || o.service.Phase == rollout.Inactive {
			w.wake()
		}
	}
}

// converge orders the world that is desired. Every write is idempotent and carries the generation; what is done already is left
// out.
func (w *worker) converge(service rollout.Service, d rollout.Desired) {
	for _, l := range w.lanes {
		l.give(order{service: service, desired: d, anew: w.anew})
	}
	w.anew = false
}

func (w *worker) idle() bool {
	for _, l := range w.lanes {
		if !l.idle() {
			return false
		}
	}
	return true
}
