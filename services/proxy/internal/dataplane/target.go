package dataplane

import (
	"sync"
	"sync/atomic"
	"time"
)

// passOver is how long a target that could not be reached is passed over while its group has another.
const passOver = time.Second

// target is one address of a target group, over all routes that hold it.
type target struct {
	id       string
	address  string
	upstream upstream
	onIdle   func(*target)
	onCut    func(*target, int)

	outstanding atomic.Int64 // requests, streams and upgraded connections in flight
	refusing    atomic.Bool  // it drains or was removed
	avoidUntil  atomic.Int64 // Unix nanoseconds; 0 for a target that could be reached
	start       atomic.Int64 // Unix nanoseconds: since when it takes requests, for slow start

	mu     sync.Mutex
	first  *exchange // list of what is in flight
	isCut  bool      // the drain budget is over
	timer  *time.Timer
	cutDue time.Time
}

// Outstanding is the number of requests in flight.
func (t *target) Outstanding() int64 { return t.outstanding.Load() }

// Avoid is true for a moment after the target could not be reached.
func (t *target) Avoid() bool {
	until := t.avoidUntil.Load()
	return until != 0 && time.Now().UnixNano() < until
}

func (t *target) unreachable() { t.avoidUntil.Store(time.Now().Add(passOver).UnixNano()) }

func (t *target) reachable() {
	if t.avoidUntil.Load() != 0 {
		t.avoidUntil.Store(0)
	}
}

// acquire counts a request in, or returns false when the target takes none any more. Counting comes before looking:
// drain does it the other way round, so that a request either sees that the target refuses or is seen by drained.
func (t *target) acquire() bool {
	t.outstanding.Add(1)
	if t.refusing.Load() {
		t.release()
		return false
	}
	return true
}

func (t *target) release() {
	if t.outstanding.Add(-1) == 0 && t.refusing.Load() {
		t.upstream.closeIdle()
		t.onIdle(t)
	}
}

// drained says that no request is or ever will be at the target, unless accept is called.
func (t *target) drained() bool { return t.refusing.Load() && t.outstanding.Load() == 0 }

// accept makes the target take requests (again).
func (t *target) accept() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	t.isCut, t.cutDue = false, time.Time{}
	if t.refusing.Load() {
		t.upstream.reopen()
		t.refusing.Store(false)
	}
}

// drain ends new requests; at the time until, unless it is zero, it cuts what is in flight. Only after the tables that
// offer the target were replaced: a request that is refused here looks into the table again.
func (t *target) drain(until time.Time) {
	t.mu.Lock()
	t.refusing.Store(true)
	t.upstream.closeIdle()
	if !until.Equal(t.cutDue) {
		if t.timer != nil {
			t.timer.Stop()
			t.timer = nil
		}
		t.cutDue = until
		t.isCut = false
		if !until.IsZero() {
			t.timer = time.AfterFunc(time.Until(until), t.cut)
		}
	}
	t.mu.Unlock()
	if t.drained() {
		t.onIdle(t)
	}
}

// remove drains a target that is in no route any more: at the end of its drain budget, or at until if it has none.
func (t *target) remove(until time.Time) {
	t.mu.Lock()
	due := t.cutDue
	t.mu.Unlock()
	if due.IsZero() {
		due = until
	}
	t.drain(due)
}

// cut ends all that is in flight and all that still comes.
func (t *target) cut() {
	t.mu.Lock()
	t.isCut = true
	count := 0
	for x := t.first; x != nil; x = x.next {
		x.end()
		count++
	}
	t.mu.Unlock()
	if count > 0 {
		t.onCut(t, count)
	}
}

// enlist notes an exchange for cut.
func (t *target) enlist(x *exchange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x.prev, x.next = nil, t.first
	if t.first != nil {
		t.first.prev = x
	}
	t.first = x
	if t.isCut {
		x.end()
	}
}

func (t *target) delist(x *exchange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if x.prev != nil {
		x.prev.next = x.next
	} else {
		t.first = x.next
	}
	if x.next != nil {
		x.next.prev = x.prev
	}
	x.prev, x.next = nil, nil
}
