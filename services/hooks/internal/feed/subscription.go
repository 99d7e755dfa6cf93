package feed

import (
	"context"
	"time"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/platform/watch"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

// Filter says which invocations a watcher sees. Empty fields are for all.
type Filter struct{ Deployment, Service string }

func (w Filter) matches(i invocation.Invocation) bool {
	return (w.Deployment == "" || i.Deployment == w.Deployment) && (w.Service == "" || i.Service == w.Service)
}

// Subscription is one watcher's view.
type Subscription struct {
	feed    *Feed
	filter  Filter
	changes *watch.Subscription[string, invocation.Invocation]
}

// Subscribe returns a watcher. It waits for the first snapshot, so
// that a service that has just started does not say that there is nothing.
func (f *Feed) Subscribe(ctx context.Context, wanted Filter) (*Subscription, error) {
	select {
	case <-f.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(readLimit):
		return nil, problem.New(problem.Unavailable, postgres.ReasonUnavailable, "the database has not been read yet")
	}
	var filter func(string, invocation.Invocation) bool
	if wanted != (Filter{}) {
		filter = func(_ string, i invocation.Invocation) bool { return wanted.matches(i) }
	}
	return &Subscription{feed: f, filter: wanted, changes: f.hub.Subscribe(filter)}, nil
}

// Next returns invocations that changed; the first call returns the snapshot at once, and for one deployment it has
// all of it, also what ended long ago.
func (s *Subscription) Next(ctx context.Context) (changed []invocation.Invocation, snapshot bool, err error) {
	for {
		c, err := s.changes.Next(ctx)
		if err != nil {
			return nil, false, err
		}
		if c.Snapshot && s.filter.Deployment != "" {
			if err := s.addEnded(ctx, c.Set); err != nil {
				return nil, false, err
			}
		}
		if !c.Snapshot && len(c.Set) == 0 {
			continue // only forgotten ones
		}
		changed = make([]invocation.Invocation, 0, len(c.Set))
		for _, i := range c.Set {
			changed = append(changed, i)
		}
		return changed, c.Snapshot, nil
	}
}

// addEnded adds what the hub has forgotten. What ended lately comes from the hub alone, so that a watcher never sees an
// ended invocation and then an older state of it.
func (s *Subscription) addEnded(ctx context.Context, set map[string]invocation.Invocation) error {
	readCtx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	all, err := s.feed.source.InvocationOfDeployment(readCtx, s.filter.Deployment)
	if err != nil {
		return err
	}
	for _, i := range all {
		if _, held := set[i.ID]; !held && s.filter.matches(i) && i.State.Terminal() && s.feed.cfg.Now().Sub(i.EndTime) > s.feed.cfg.Window/2 {
			set[i.ID] = i
		}
	}
	return nil
}

// Close ends the watcher.
func (s *Subscription) Close() { s.changes.Close() }
