package engine

import (
	"slices"
	"sync"
)

// maxDeleted is how many deleted services are remembered, for their generations.
const maxDeleted = 4096

// service is what the engine knows of one service. Its lock makes one change come after the other.
type service struct {
	mu         sync.Mutex
	name       string
	generation int64 // the highest seen
	inForce    bool
	saved      []byte // routes as they are on disk
	forgotten  bool   // it was deleted long ago, another value stands for it now
}

// lock returns the service, which it makes if it has to, locked.
func (e *Engine) lock(name string) *service {
	for {
		e.mu.Lock()
		s := e.services[name]
		if s == nil {
			s = &service{name: name}
			e.services[name] = s
		}
		e.mu.Unlock()
		s.mu.Lock()
		if !s.forgotten {
			return s
		}
		s.mu.Unlock()
	}
}

// bury remembers that the service is deleted. There is a bound: see forget.
func (e *Engine) bury(name string) {
	e.mu.Lock()
	e.deleted = append(slices.DeleteFunc(e.deleted, func(d string) bool { return d == name }), name)
	e.mu.Unlock()
	e.wakeUp()
}

func (e *Engine) revive(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.deleted = slices.DeleteFunc(e.deleted, func(d string) bool { return d == name })
}

// forget drops the services that were deleted first when there are too many, their generations with them.
func (e *Engine) forget() {
	for {
		e.mu.Lock()
		if len(e.deleted) <= maxDeleted {
			e.mu.Unlock()
			return
		}
		name := e.deleted[0]
		e.deleted = slices.Delete(e.deleted, 0, 1)
		e.mu.Unlock()
		e.drop(name)
	}
}

func (e *Engine) drop(name string) {
	s := e.lock(name)
	defer s.mu.Unlock()
	if s.inForce {
		return
	}
	if err := e.store.Forget(name); err != nil {
		e.config.Log.Warn("a deleted service could not be forgotten", "service", name, "error", err)
	}
	s.forgotten = true
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.services, name)
}
