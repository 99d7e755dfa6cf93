package fake

import (
	"slices"

	"github.com/slipway-deploy/slipway/drivers/traffic"
)

// HoldApply makes every Apply and Delete wait until the returned function is called, or their context ends.
func (f *Fake) HoldApply() (release func()) {
	gate := make(chan struct{})
	f.mu.Lock()
	f.gate = gate
	f.mu.Unlock()
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		select {
		case <-gate:
		default:
			close(gate)
		}
	}
}

// FailApply makes the next valid Applies fail, one for each error.
func (f *Fake) FailApply(errs ...error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failures = append(f.failures, errs...)
}

// TakeAddress makes another program have the address, or let go of it.
func (f *Fake) TakeAddress(address string, taken bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.taken[address] = taken
}

// DrainByHand makes draining targets stay busy until DrainTarget is called or their drain time ends. Without it a
// draining target without a request in flight is drained at once.
func (f *Fake) DrainByHand() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.byHand = true
}

// DrainTarget makes a draining target of the service drained.
func (f *Fake) DrainTarget(serviceName, id string) {
	f.mu.Lock()
	s := f.services[serviceName]
	f.mu.Unlock()
	if s != nil {
		f.finish(s, id)
	}
}

// SetProblem makes the data plane report a problem with the service's routes; empty for none.
func (f *Fake) SetProblem(serviceName, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s := f.services[serviceName]; s != nil {
		s.problem = text
		f.publish(s)
	}
}

// BreakWatches makes every running Watch return the error.
func (f *Fake) BreakWatches(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for w := range f.watches {
		w.broken = err
		w.sub.Close()
	}
}

// Routes returns what is in force for a service; false when nothing is.
func (f *Fake) Routes(serviceName string) (Apply, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.services[serviceName]
	if s == nil || !s.inForce {
		return Apply{}, false
	}
	return Apply{Generation: s.generation, Routes: s.routes}, true
}

// Applies returns every Apply that was put in force, the first first.
func (f *Fake) Applies() []Apply {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.applies)
}

// Forget drops what Applies returns, for runs of hours.
func (f *Fake) Forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.applies = nil
}

// Weights returns the weights in force by target group of the service's listener, or nil.
func (f *Fake) Weights(serviceName, listener string) map[string]int {
	a, _ := f.Routes(serviceName)
	i := slices.IndexFunc(a.Routes.Listeners, func(l traffic.Listener) bool { return l.Name == listener })
	if i < 0 {
		return nil
	}
	weights := make(map[string]int)
	for _, w := range a.Routes.Listeners[i].Forward {
		weights[w.TargetGroup] = w.Weight
	}
	return weights
}
