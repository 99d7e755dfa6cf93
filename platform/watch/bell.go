package watch

import "sync"

// Bell wakes those who listen to a key when something happened to it. It keeps nothing of keys that nobody listens to, and what
// has to do with one key costs the listeners of others nothing. All methods are safe for concurrent use.
type Bell[K comparable] struct {
	mu   sync.Mutex
	keys map[K]*rung[K]
}

type rung[K comparable] struct {
	count     int64
	listeners map[*Listener[K]]struct{}
}

// NewBell returns a bell that nobody listens to.
func NewBell[K comparable]() *Bell[K] { return &Bell[K]{keys: make(map[K]*rung[K])} }

// Ring wakes who listens to the keys. It does not wait for them.
func (b *Bell[K]) Ring(keys ...K) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, key := range keys {
		of := b.keys[key]
		if of == nil {
			continue
		}
		of.count++
		for l := range of.listeners {
			select {
			case l.c <- struct{}{}:
			default: // it is to wake already
			}
		}
	}
}

// Listen returns a listener to the key. Close it when done.
func (b *Bell[K]) Listen(key K) *Listener[K] {
	c := make(chan struct{}, 1)
	l := &Listener[K]{C: c, bell: b, key: key, c: c}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.keys[key] == nil {
		b.keys[key] = &rung[K]{listeners: make(map[*Listener[K]]struct{})}
	}
	b.keys[key].listeners[l] = struct{}{}
	return l
}

// Listener is woken by a bell.
type Listener[K comparable] struct {
	C    <-chan struct{} // has a value when the bell was rung since the last one was taken
	bell *Bell[K]
	key  K
	c    chan struct{}
}

// Count is how often the bell was rung for the key while anybody listened to it. Who was woken finds it counted.
func (l *Listener[K]) Count() int64 {
	l.bell.mu.Lock()
	defer l.bell.mu.Unlock()
	if of := l.bell.keys[l.key]; of != nil {
		return of.count
	}
	return 0
}

// Close ends listening. Closing twice is fine.
func (l *Listener[K]) Close() {
	l.bell.mu.Lock()
	defer l.bell.mu.Unlock()
	of := l.bell.keys[l.key]
	if of == nil {
		return
	}
	delete(of.listeners, l)
	if len(of.listeners) == 0 {
		delete(l.bell.keys, l.key)
	}
}
