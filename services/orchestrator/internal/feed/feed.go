// Package feed tells many readers of events as they are saved. The events are read from the store once, whatever the number
// of readers, in the store's order; a reader that begins earlier or falls behind reads what it lacks by itself.
package feed

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

// Store has the events. Package store has the one for Postgres.
type Store interface {
	EventList(ctx context.Context, f store.EventFilter, after store.Position, limit int) ([]store.EventRow, error)
	EventEnd(ctx context.Context) (store.Position, error)
}

var _ Store = (*store.Store)(nil)

const (
	page = 500
	// lookAgain is when events are looked for even when nothing was said of any.
	lookAgain = time.Second
	// lookSoon is when they are looked for again after something was said: an event cannot be read while an older transaction is
	// open. The time doubles up to lookAgain.
	lookSoon    = 5 * time.Millisecond
	readTimeout = 5 * time.Second
)

// Feed reads the events.
type Feed struct {
	store Store
	saved <-chan struct{} // has a value when there may be events
	log   *slog.Logger
	ready chan struct{} // closed when the feed has begun

	mu      sync.Mutex
	readers map[topic]map[*Reader]struct{}
}

// topic is what a reader wants: everything, a cluster, a service or a deployment.
type topic struct{ cluster, service, deployment string }

// New returns a feed that looks for events whenever saved has a value.
func New(s Store, saved <-chan struct{}, log *slog.Logger) *Feed {
	return &Feed{store: s, saved: saved, log: log, ready: make(chan struct{}), readers: map[topic]map[*Reader]struct{}{}}
}

// Run reads until ctx ends.
func (f *Feed) Run(ctx context.Context) {
	var after store.Position
	begun, again := false, lookAgain
	for ctx.Err() == nil {
		var err error
		if !begun {
			if after, err = f.begin(ctx); err == nil {
				begun = true
				close(f.ready)
			}
		} else {
			after, err = f.read(ctx, after)
		}
		if err != nil && ctx.Err() == nil {
			f.log.Warn("events cannot be read; trying again", "cause", err, "delay", lookAgain)
			select {
			case <-ctx.Done():
			case <-time.After(lookAgain):
			}
			continue
		}
		select {
		case <-ctx.Done():
		case <-f.saved:
			again = lookSoon
		case <-time.After(again):
			again = min(2*again, lookAgain)
		}
	}
}

func (f *Feed) begin(ctx context.Context) (store.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return f.store.EventEnd(ctx)
}

// read hands out what there is after a position.
func (f *Feed) read(ctx context.Context, after store.Position) (store.Position, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for {
		list, err := f.store.EventList(ctx, store.EventFilter{}, after, page)
		if err != nil {
			return after, err
		}
		if len(list) > 0 {
			f.handOut(list)
			after = list[len(list)-1].Position
		}
		if len(list) < page {
			return after, nil
		}
	}
}

// handOut gives each reader its events.
func (f *Feed) handOut(list []store.EventRow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range list {
		for _, t := range topics(list[i]) {
			for r := range f.readers[t] {
				r.give(list[i])
			}
		}
	}
}

func topics(e store.EventRow) []topic {
	all := []topic{{}, {cluster: e.Cluster}, {cluster: e.Cluster, service: e.Service}}
	if e.Event.Deployment != "" {
		all = append(all, topic{deployment: e.Event.Deployment})
	}
	return all
}
