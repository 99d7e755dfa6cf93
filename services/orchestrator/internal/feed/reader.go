package feed

import (
	"context"
	"slices"
	"time"

	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

// queued is how many events wait for a slow reader before it is left to read them from the store.
const queued = 1024

// Reader is one that is told of events. Its methods are not for concurrent use.
type Reader struct {
	feed   *Feed
	topic  topic
	filter store.EventFilter
	after  store.Position
	behind bool // the store has events that were not handed to the reader
	woken  chan struct{}

	// Guarded by feed.mu.
	queue []store.EventRow
	lost  bool // there was no room in the queue
}

// Subscribe returns a reader of the events that the filter selects, from the given position on; a nil one is the end as it is
// now. Close it when done.
func (f *Feed) Subscribe(ctx context.Context, filter store.EventFilter, after *store.Position) (*Reader, error) {
	select {
	case <-f.ready:
	case <-time.After(readTimeout):
		return nil, problem.New(problem.Unavailable, "DATABASE_UNAVAILABLE", "events cannot be read yet; call again")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	r := &Reader{feed: f, topic: topicOf(filter), filter: filter, behind: true, woken: make(chan struct{}, 1)}
	f.mu.Lock()
	if f.readers[r.topic] == nil {
		f.readers[r.topic] = map[*Reader]struct{}{}
	}
	f.readers[r.topic][r] = struct{}{}
	f.mu.Unlock()
	if after != nil {
		r.after = *after
		return r, nil
	}
	end, err := f.store.EventEnd(ctx) // after the reader is known, so that nothing is missed between
	if err != nil {
		r.Close()
		return nil, err
	}
	r.after = end
	return r, nil
}

// topicOf is the narrowest topic that has all of the filter's events.
func topicOf(f store.EventFilter) topic {
	switch {
	case f.Deployment != "":
		return topic{deployment: f.Deployment}
	case f.Cluster == "":
		return topic{}
	}
	return topic{cluster: f.Cluster, service: f.Service}
}

// Position is after the last event that Next returned.
func (r *Reader) Position() store.Position { return r.after }

// Close ends the reader.
func (r *Reader) Close() {
	r.feed.mu.Lock()
	defer r.feed.mu.Unlock()
	delete(r.feed.readers[r.topic], r)
	if len(r.feed.readers[r.topic]) == 0 {
		delete(r.feed.readers, r.topic)
	}
}

// Next returns the events that follow, at least one, in order and each once.
func (r *Reader) Next(ctx context.Context) ([]store.EventRow, error) {
	for {
		list := r.take()
		if r.behind {
			var err error
			if list, err = r.feed.store.EventList(ctx, r.filter, r.after, page); err != nil {
				return nil, err
			}
			r.behind = len(list) == page
		}
		if len(list) > 0 {
			r.after = list[len(list)-1].Position
			return list, nil
		}
		if r.behind {
			continue
		}
		select {
		case <-r.woken:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take empties the queue, but for what was returned already.
func (r *Reader) take() []store.EventRow {
	r.feed.mu.Lock()
	defer r.feed.mu.Unlock()
	if r.behind || r.lost { // what is queued now is in the store, which is read next
		r.behind, r.lost, r.queue = true, false, nil
		return nil
	}
	list := r.queue
	r.queue = nil
	return slices.DeleteFunc(list, func(e store.EventRow) bool { return !e.Position.After(r.after) })
}

// give adds an event to the queue. The feed's lock is held.
func (r *Reader) give(e store.EventRow) {
	if !r.filter.Selects(e) || r.lost {
		return
	}
	if len(r.queue) == queued {
		r.lost, r.queue = true, nil
	} else {
		r.queue = append(r.queue, e)
	}
	select {
	case r.woken <- struct{}{}:
	default:
	}
}
