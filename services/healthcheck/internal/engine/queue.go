package engine

import "sync"

// queue holds the targets whose check is due, in the order they became due. A target is in it once at most, so it is never
// longer than there are targets, and putting never waits. Workers come when there is work and go when there is none.
type queue struct {
	limit   int // workers at once
	mu      sync.Mutex
	waiting []*probed
	running int
}

// put appends targets and returns how many workers must be started for them.
func (q *queue) put(due []*probed) (start int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, due...)
	start = min(len(due), q.limit-q.running)
	q.running += start
	return start
}

// take returns the next target, or nil: then the worker that asked is no longer counted and must end.
func (q *queue) take() *probed {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.waiting = nil
		q.running--
		return nil
	}
	p := q.waiting[0]
	q.waiting[0] = nil
	q.waiting = q.waiting[1:]
	return p
}
