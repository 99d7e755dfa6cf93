// Package feed holds the invocations that watchers see: those that have not ended and those that ended lately, of all
// replicas. A notification of the database says that an invocation was saved; what it says is read from its row, so
// the feed never shows anything that is not committed, and a lost connection costs a fresh snapshot and nothing else.
package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/slipway-deploy/slipway/platform/watch"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
)

// Source is where invocations are read; the store is one.
type Source interface {
	InvocationFollow(ctx context.Context, listening func() error, changed func(id string)) error
	InvocationRecent(ctx context.Context, window time.Duration) ([]invocation.Invocation, error)
	InvocationByIDs(ctx context.Context, ids []string) ([]invocation.Invocation, error)
	InvocationOfDeployment(ctx context.Context, deployment string) ([]invocation.Invocation, error)
}

// Config says what a feed holds.
type Config struct {
	Window  time.Duration // an invocation is held for so long after its end
	Changed func()        // called after a change of an invocation that has not ended; may be nil
	Now     func() time.Time
}

const (
	pruneEvery = time.Minute
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
	readLimit  = 10 * time.Second // of one read
	readAtOnce = 500              // invocations in one read
)

// Feed is the invocations that watchers see.
type Feed struct {
	cfg    Config
	source Source
	log    *slog.Logger
	hub    *watch.Hub[string, invocation.Invocation]
	ready  chan struct{} // closed when the first snapshot is in

	mu    sync.Mutex
	dirty map[string]struct{} // ids to read
	wake  chan struct{}
	held  map[string]time.Time // end time of each held invocation, zero until it has ended; only Run's goroutine
}

// New returns a feed that is empty until Run.
func New(cfg Config, source Source, log *slog.Logger) *Feed {
	return &Feed{
		cfg: cfg, source: source, log: log,
		hub: watch.NewHub[string, invocation.Invocation](), ready: make(chan struct{}),
		dirty: make(map[string]struct{}), wake: make(chan struct{}, 1),
	}
}

// Run keeps the feed up to date until ctx ends.
func (f *Feed) Run(ctx context.Context) {
	retry := firstRetry
	for ctx.Err() == nil {
		began := f.cfg.Now()
		if err := f.follow(ctx); err != nil && ctx.Err() == nil {
			f.log.Warn("the feed of invocations broke and is opened again", "error", err)
		}
		if f.cfg.Now().Sub(began) > lastRetry {
			retry = firstRetry
		}
		pause(ctx, retry)
		retry = min(2*retry, lastRetry)
	}
}

// follow listens first and reads then, so that nothing falls between the two.
func (f *Feed) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var reader sync.WaitGroup
	defer reader.Wait()
	defer cancel(nil)
	err := f.source.InvocationFollow(ctx, func() error {
		if err := f.snapshot(ctx); err != nil {
			return err
		}
		reader.Go(func() { cancel(f.read(ctx)) })
		return nil
	}, f.mark)
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

func (f *Feed) snapshot(ctx context.Context) error {
	readCtx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	recent, err := f.source.InvocationRecent(readCtx, f.cfg.Window)
	if err != nil {
		return err
	}
	all := make(map[string]invocation.Invocation, len(recent))
	f.held = make(map[string]time.Time, len(recent))
	for _, i := range recent {
		all[i.ID], f.held[i.ID] = i, i.EndTime
	}
	f.hub.Replace(all)
	select {
	case <-f.ready:
	default:
		close(f.ready)
	}
	f.changed()
	return nil
}

func (f *Feed) changed() {
	if f.cfg.Changed != nil {
		f.cfg.Changed()
	}
}

// mark notes that an invocation is to be read. Marks of one invocation that come before it is read become one read.
func (f *Feed) mark(id string) {
	f.mu.Lock()
	f.dirty[id] = struct{}{}
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *Feed) read(ctx context.Context) error {
	prune := time.NewTicker(pruneEvery)
	defer prune.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-prune.C:
			f.prune(f.cfg.Now())
		case <-f.wake:
			for ids := f.take(); len(ids) > 0; ids = f.take() {
				if err := f.readSome(ctx, ids); err != nil {
					return fmt.Errorf("read changed invocations: %w", err)
				}
			}
		}
	}
}

func (f *Feed) take() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	ids := make([]string, 0, min(len(f.dirty), readAtOnce))
	for id := range f.dirty {
		if len(ids) == readAtOnce {
			break
		}
		ids = append(ids, id)
		delete(f.dirty, id)
	}
	return ids
}

func (f *Feed) readSome(ctx context.Context, ids []string) error {
	readCtx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	found, err := f.source.InvocationByIDs(readCtx, ids)
	if err != nil {
		return err
	}
	running := false
	for _, i := range found {
		f.hub.Set(i.ID, i)
		f.held[i.ID] = i.EndTime
		running = running || !i.State.Terminal()
	}
	if running {
		f.changed()
	}
	return nil
}

func (f *Feed) prune(now time.Time) {
	for id, end := range f.held {
		if !end.IsZero() && now.Sub(end) > f.cfg.Window {
			f.hub.Delete(id)
			delete(f.held, id)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
