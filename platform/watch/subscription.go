package watch

import (
	"context"
	"errors"
	"sync"
)

// ErrClosed is what Next returns after Close.
var ErrClosed = errors.New("watch: subscription is closed")

// Changes is what a reader has not seen yet.
type Changes[K comparable, V any] struct {
	// Snapshot is true on the first Changes of a subscription: Set is all there is.
	Snapshot bool
	// Set holds the latest value of each new or changed key.
	Set map[K]V
	// Deleted lists the keys the reader knew and that are gone, in no order.
	Deleted []K
}

// Subscription is one reader of a hub. Next is for one goroutine at a time; Close may come from any.
type Subscription[K comparable, V any] struct {
	hub    *Hub[K, V]
	filter func(K, V) bool
	wake   chan struct{} // holds one token while dirty may be non-empty
	closed chan struct{}
	once   sync.Once

	// Guarded by hub.mu.
	started bool           // the snapshot was handed out
	dirty   map[K]struct{} // keys changed since the last Next
	known   map[K]struct{} // keys the reader holds
}

// Next returns what changed since the call before. The first call returns the snapshot at once, also an empty
// one; later calls block until something changed. The error is the context's, or ErrClosed.
func (s *Subscription[K, V]) Next(ctx context.Context) (Changes[K, V], error) {
	for {
		if err := s.stopped(ctx); err != nil {
			return Changes[K, V]{}, err
		}
		if changes, ok := s.take(); ok {
			return changes, nil
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
		case <-s.closed:
		}
	}
}

func (s *Subscription[K, V]) stopped(ctx context.Context) error {
	select {
	case <-s.closed:
		return ErrClosed
	default:
		return ctx.Err()
	}
}

// Close ends the subscription; a blocked Next returns ErrClosed. Closing twice is fine.
func (s *Subscription[K, V]) Close() {
	s.once.Do(func() {
		close(s.closed)
		s.hub.mu.Lock()
		defer s.hub.mu.Unlock()
		delete(s.hub.subs, s)
	})
}

func (s *Subscription[K, V]) take() (Changes[K, V], bool) {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if !s.started {
		s.started = true
		return s.snapshot(), true
	}
	changes := Changes[K, V]{Set: make(map[K]V, len(s.dirty))}
	for key := range s.dirty {
		value, ok := s.hub.values[key]
		if ok && s.accepts(key, value) {
			s.known[key] = struct{}{}
			changes.Set[key] = value
		} else if _, held := s.known[key]; held {
			delete(s.known, key)
			changes.Deleted = append(changes.Deleted, key)
		}
	}
	clear(s.dirty)
	return changes, len(changes.Set)+len(changes.Deleted) > 0
}

func (s *Subscription[K, V]) snapshot() Changes[K, V] {
	changes := Changes[K, V]{Snapshot: true, Set: make(map[K]V, len(s.hub.values))}
	for key, value := range s.hub.values {
		if s.accepts(key, value) {
			s.known[key] = struct{}{}
			changes.Set[key] = value
		}
	}
	return changes
}

func (s *Subscription[K, V]) accepts(key K, value V) bool {
	return s.filter == nil || s.filter(key, value)
}
