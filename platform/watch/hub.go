// Package watch fans the latest value of each key out to many readers. It is level-triggered: a writer never
// waits for a reader, changes to one key that a reader has not fetched yet become one change, and a slow reader
// gets the latest values, not the history. It knows nothing about what the keys and values are.
package watch

import (
	"maps"
	"sync"
)

// Hub holds the current value of each key. All methods are safe for concurrent use.
// Values are handed to readers as they are: a value must not be changed after it was set.
type Hub[K comparable, V any] struct {
	mu     sync.Mutex
	values map[K]V
	subs   map[*Subscription[K, V]]struct{}
}

// NewHub returns an empty hub.
func NewHub[K comparable, V any]() *Hub[K, V] {
	return &Hub[K, V]{values: make(map[K]V), subs: make(map[*Subscription[K, V]]struct{})}
}

// Set makes value the current value of key.
func (h *Hub[K, V]) Set(key K, value V) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.values[key] = value
	h.changed(key)
}

// Delete removes key. An unknown key is no change.
func (h *Hub[K, V]) Delete(key K) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.values[key]; !ok {
		return
	}
	delete(h.values, key)
	h.changed(key)
}

// Replace makes all the whole content: keys that all lacks are deleted, the others set. Readers see it as one
// change.
func (h *Hub[K, V]) Replace(all map[K]V) {
	h.mu.Lock()
	defer h.mu.Unlock()
	old := h.values
	h.values = maps.Clone(all)
	if h.values == nil {
		h.values = make(map[K]V)
	}
	for key := range old {
		if _, ok := h.values[key]; !ok {
			h.changed(key)
		}
	}
	for key := range h.values {
		h.changed(key)
	}
}

// Get returns the current value of key.
func (h *Hub[K, V]) Get(key K) (V, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	value, ok := h.values[key]
	return value, ok
}

// Subscribe returns a reader of the keys that filter accepts; nil accepts all. A key whose new value the filter
// refuses is reported as deleted. The filter runs under the hub's lock: it must be quick and must not call the
// hub. Close the subscription when done.
func (h *Hub[K, V]) Subscribe(filter func(K, V) bool) *Subscription[K, V] {
	s := &Subscription[K, V]{
		hub:    h,
		filter: filter,
		dirty:  make(map[K]struct{}),
		known:  make(map[K]struct{}),
		wake:   make(chan struct{}, 1),
		closed: make(chan struct{}),
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.subs[s] = struct{}{}
	return s
}

// changed marks key for every reader and wakes the sleeping ones. The lock is held.
func (h *Hub[K, V]) changed(key K) {
	for s := range h.subs {
		if !s.started {
			continue
		}
		s.dirty[key] = struct{}{}
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}
