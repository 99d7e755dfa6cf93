package probe

import (
	"sync"
	"time"
)

const (
	maxKept    = 20_000
	sweepEvery = 5 * time.Second
)

// place is where connections go.
type place struct {
	tls     bool
	address string
}

// kept is the connections that wait for the next check of their target. The zero value has none.
type kept struct {
	mu     sync.Mutex
	conns  map[place]*conn // the one used last, and behind it the others
	n      int
	sweep  *time.Timer // nil when none waits
	closed bool
}

// take returns a connection that can be used, or nil.
func (k *kept) take(where place) *conn {
	for {
		k.mu.Lock()
		cn := k.conns[where]
		if cn == nil {
			k.mu.Unlock()
			return nil
		}
		k.unlink(where, cn)
		k.mu.Unlock()
		if cn.usable() {
			return cn
		}
		cn.close()
	}
}

func (k *kept) unlink(where place, first *conn) {
	if first.next == nil {
		delete(k.conns, where)
	} else {
		k.conns[where] = first.next
	}
	first.next = nil
	k.n--
}

// put keeps a connection until it is taken or expires: its target may be checked no more.
func (k *kept) put(cn *conn, expires time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || k.n >= maxKept {
		cn.close()
		return
	}
	if k.conns == nil {
		k.conns = map[place]*conn{}
	}
	cn.expires, cn.next = expires, k.conns[cn.where]
	k.conns[cn.where] = cn
	k.n++
	if k.sweep == nil {
		k.sweep = time.AfterFunc(sweepEvery, func() { k.closeExpired(time.Now()) })
	}
}

// closeExpired closes what was not taken in time, and comes back while there is any.
func (k *kept) closeExpired(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for where, cn := range k.conns {
		var live *conn
		for cn != nil {
			next := cn.next
			if cn.expires.After(now) {
				cn.next, live = live, cn
			} else {
				cn.close()
				k.n--
			}
			cn = next
		}
		if live == nil {
			delete(k.conns, where)
		} else {
			k.conns[where] = live
		}
	}
	k.sweep = nil
	if k.n > 0 {
		k.sweep = time.AfterFunc(sweepEvery, func() { k.closeExpired(time.Now()) })
	}
}

// close closes all, and keeps none from now on.
func (k *kept) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, cn := range k.conns {
		for ; cn != nil; cn = cn.next {
			cn.close()
		}
	}
	k.conns, k.n, k.closed = nil, 0, true
	if k.sweep != nil {
		k.sweep.Stop()
	}
}
