package engine

import (
	"context"
	"sync"
)

// maxIdleWorkers is how many workers wait for the next check. One that began anew for each would have to grow its stack again.
const maxIdleWorkers = 256

// queue holds the targets whose check is due, in the order they became due. A target is in it once at most, so it is never
// longer than there are targets, and putting never waits. Workers come when there is work; some stay when there is none.
type queue struct {
	limit   int // workers at once
	mu      sync.Mutex
	waiting []*probed
	idle    []chan *probed // of workers that wait; the last one is warmest
	running int
}

// put hands targets to workers that wait, appends the others, and returns how many workers must be started for them.
func (q *queue) put(due []*probed) (start int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(due) > 0 && len(q.idle) > 0 {
		last := len(q.idle) - 1
		q.idle[last] <- due[0] // has room for one
		q.idle, due = q.idle[:last], due[1:]
	}
	q.waiting = append(q.waiting, due...)
	start = min(len(due), q.limit-q.running)
	q.running += start
	return start
}

// take returns the next target for a worker, which is handed it through its channel of length 1 when there is none yet. It returns nil
// when ctx has ended or there are workers enough: then the worker is no longer counted and must end.
func (q *queue) take(ctx context.Context, worker chan *probed) *probed {
	q.mu.Lock()
	if len(q.waiting) > 0 {
		defer q.mu.Unlock()
		p := q.waiting[0]
		q.waiting[0] = nil
		q.waiting = q.waiting[1:]
		return p
	}
	q.waiting = nil
	if len(q.idle) == maxIdleWorkers {
		defer q.mu.Unlock()
		q.running--
		return nil
	}
	q.idle = append(q.idle, worker)
	q.mu.Unlock()
	select {
	case p := <-worker:
		return p
	case <-ctx.Done():
		return nil
	}
}
