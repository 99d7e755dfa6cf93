package engine

import (
	"cmp"
	"context"
	"slices"

	"github.com/slipway-deploy/slipway/drivers/traffic"
)

// Watch reports what is in force; see traffic.Traffic.
func (e *Engine) Watch(ctx context.Context, f func(traffic.Update)) error {
	sub := e.hub.Subscribe(nil)
	defer sub.Close()
	for {
		changes, err := sub.Next(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		u := traffic.Update{Snapshot: changes.Snapshot, Removed: changes.Deleted}
		for _, applied := range changes.Set {
			u.Services = append(u.Services, applied)
		}
		slices.SortFunc(u.Services, func(a, b traffic.Applied) int { return cmp.Compare(a.Service, b.Service) })
		slices.Sort(u.Removed)
		f(u)
	}
}

// Applied is what is in force for a service; false when it has no routes.
func (e *Engine) Applied(name string) (traffic.Applied, bool) { return e.hub.Get(name) }

// report has a service looked at again soon: one of its draining targets has nothing in flight any more, or one of its
// listeners was bound. It does not block.
func (e *Engine) report(name string) {
	e.mu.Lock()
	e.dirty[name] = struct{}{}
	e.mu.Unlock()
	e.wakeUp()
}

func (e *Engine) wakeUp() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *Engine) loop() {
	defer close(e.done)
	for {
		select {
		case <-e.wake:
		case <-e.stop:
			return
		}
		e.mu.Lock()
		dirty := e.dirty
		e.dirty = make(map[string]struct{})
		e.mu.Unlock()
		for name := range dirty {
			s := e.lock(name)
			if s.inForce {
				e.publish(s)
			}
			s.mu.Unlock()
		}
		e.forget()
	}
}

// publish tells watchers what is in force for the service, if that is news. The service is locked.
func (e *Engine) publish(s *service) {
	now := traffic.Applied{Service: s.name, Generation: s.generation, Drained: e.plane.Drained(s.name), Problem: e.plane.Problem(s.name)}
	last, ok := e.hub.Get(s.name)
	if ok && last.Generation == now.Generation && last.Problem == now.Problem && slices.Equal(last.Drained, now.Drained) {
		return
	}
	e.hub.Set(s.name, now)
}
