package grpcapi

import (
	"context"
	"sync"
	"time"

	orchestratorpb "github.com/slipway-deploy/slipway/gen/go/slipway/orchestrator/v1"
	"github.com/slipway-deploy/slipway/platform/watch"
)

// views is the deployments that are watched. However many watch one, it is read once for each change.
type views struct {
	mu sync.Mutex
	of map[string]*view
}

// view is a watched deployment as it was last read.
type view struct {
	id       string
	watchers int // guarded by views.mu

	mu     sync.Mutex
	pb     *orchestratorpb.Deployment // nil until it is read
	events []*orchestratorpb.Event    // all of them, in order
	count  int64                      // of changes when it was read
	read   time.Time
}

// watcher is one of those who watch.
type watcher struct {
	*view
	all      *views
	listener *watch.Listener[string]
}

func (v *views) open(id string, listener *watch.Listener[string]) *watcher {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.of == nil {
		v.of = map[string]*view{}
	}
	if v.of[id] == nil {
		v.of[id] = &view{id: id}
	}
	v.of[id].watchers++
	return &watcher{view: v.of[id], all: v, listener: listener}
}

func (w *watcher) close() {
	w.all.mu.Lock()
	defer w.all.mu.Unlock()
	if w.watchers--; w.watchers == 0 {
		delete(w.all.of, w.id)
	}
	w.listener.Close()
}

// wait returns when it is time to look again, or the error that ends the stream.
func (w *watcher) wait(ctx context.Context) error {
	again := time.NewTimer(lookAgain)
	defer again.Stop()
	select {
	case <-w.listener.C:
	case <-again.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// get returns the deployment, and its events up to the one that made it so. Neither is to be changed.
func (w *watcher) get(ctx context.Context, d *deployments) (*orchestratorpb.Deployment, []*orchestratorpb.Event, error) {
	v := w.view
	v.mu.Lock()
	defer v.mu.Unlock()
	count := w.listener.Count()
	if v.pb != nil && v.count == count && time.Since(v.read) < lookAgain {
		return v.pb, v.events, nil
	}
	began := time.Now()
	pb, err := d.get(ctx, v.id)
	if err != nil {
		return nil, nil, err
	}
	if err := v.readEvents(ctx, d, pb.GetEventSequence()); err != nil {
		return nil, nil, err
	}
	v.pb, v.count, v.read = pb, count, began
	return v.pb, v.events, nil
}

// readEvents reads the events that are new, up to a sequence: later ones come with the deployment that they make.
func (v *view) readEvents(ctx context.Context, d *deployments, last int64) error {
	after := int64(0)
	if n := len(v.events); n > 0 {
		after = v.events[n-1].GetSequence()
	}
	for after < last {
		list, err := d.s.Store.EventsOfDeployment(ctx, v.id, after, eventPage)
		if err != nil {
			return err
		}
		for _, row := range list {
			if row.Event.Sequence <= last {
				v.events = append(v.events, eventPB(row))
				after = row.Event.Sequence
			}
		}
		if len(list) < eventPage {
			return nil
		}
	}
	return nil
}
