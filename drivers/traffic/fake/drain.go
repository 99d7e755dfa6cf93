package fake

import (
	"slices"
	"time"

	"github.com/slipway-deploy/slipway/drivers/traffic"
)

// draining returns the draining targets of the service by id.
func (s *service) draining() map[string]traffic.Target {
	all := make(map[string]traffic.Target)
	for _, g := range s.routes.TargetGroups {
		for _, t := range g.Targets {
			if t.Draining {
				all[t.ID] = t
			}
		}
	}
	return all
}

// arm sets the timers of the drain times.
func (f *Fake) arm(s *service) {
	for id, timer := range s.timers {
		timer.Stop()
		delete(s.timers, id)
	}
	draining := s.draining()
	for id := range s.over {
		if _, still := draining[id]; !still {
			delete(s.over, id)
			delete(s.cuts, id)
		}
	}
	for id, t := range draining {
		if !t.DrainTime.IsZero() && !s.over[id] {
			s.timers[id] = time.AfterFunc(time.Until(t.DrainTime), func() { f.finish(s, id) })
		}
	}
}

// finish makes a draining target one that has nothing in flight.
func (f *Fake) finish(s *service, id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := s.draining()[id]; !ok || s.over[id] {
		return
	}
	s.over[id] = true
	close(s.cut(id))
	f.publish(s)
}

// cut is closed when the target's drain is over, whatever is in flight.
func (s *service) cut(id string) chan struct{} {
	if s.cuts[id] == nil {
		s.cuts[id] = make(chan struct{})
	}
	return s.cuts[id]
}

// publish tells watchers what is in force. The lock is held.
func (f *Fake) publish(s *service) {
	if !s.inForce {
		return
	}
	applied := traffic.Applied{Service: s.routes.Service, Generation: s.generation, Problem: s.problem}
	for id := range s.draining() {
		if s.over[id] || (!f.byHand && s.busy[id] == 0) {
			applied.Drained = append(applied.Drained, id)
		}
	}
	slices.Sort(applied.Drained)
	last, ok := f.hub.Get(applied.Service)
	if ok && last.Generation == applied.Generation && last.Problem == applied.Problem && slices.Equal(last.Drained, applied.Drained) {
		return
	}
	f.hub.Set(applied.Service, applied)
}
