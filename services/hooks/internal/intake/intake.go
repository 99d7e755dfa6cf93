// Package intake reads what happened from the orchestrator and from the alarms service, and records it as events. Each
// feed is read by one replica at a time, from a place that is saved with the events: a crash or a broken stream costs
// nothing and repeats nothing that is not dropped as a duplicate.
//
// Hooks are told of by the orchestrator, which calls them: its HOOK_ events come in order with the others of the
// deployment, and pauses are among them.
package intake

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/slipway-deploy/slipway/services/hooks/internal/event"
	"github.com/slipway-deploy/slipway/services/hooks/internal/outbox"
)

// Store is where events are recorded; the outbox is one.
type Store interface {
	FeedLease(ctx context.Context, name, owner string, lease time.Duration) (outbox.Feed, bool, error)
	FeedRelease(ctx context.Context, name, owner string) error
	Record(ctx context.Context, b outbox.Batch) (int, error)
}

// Source reads a feed from a place on and records what comes, until ctx ends or it breaks.
type Source interface {
	Name() string
	Read(ctx context.Context, from outbox.Feed, record Recorder) error
}

// Recorder records events and the place to go on from.
type Recorder func(ctx context.Context, token string, events []event.Event) error

const (
	dbTimeout  = 10 * time.Second
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// Reader reads one feed, as long as no other replica does.
type Reader struct {
	source Source
	store  Store
	lease  time.Duration
	owner  string
	log    *slog.Logger
}

// New returns a reader. lease is how long a replica that died keeps the feed.
func New(source Source, store Store, lease time.Duration, log *slog.Logger) *Reader {
	return &Reader{source: source, store: store, lease: lease, owner: rand.Text(), log: log.With("feed", source.Name())}
}

// Run reads until ctx ends.
func (r *Reader) Run(ctx context.Context) {
	defer r.release()
	var retry backoff
	for ctx.Err() == nil {
		from, mine, err := r.take(ctx)
		switch {
		case err == nil && !mine:
			pause(ctx, r.lease/3)
			continue
		case err == nil:
			err = r.read(ctx, from, retry.reset)
		}
		if ctx.Err() != nil {
			return
		}
		if retry.first() {
			r.log.Warn("a feed of events broke and is opened again", "error", err)
		}
		pause(ctx, retry.next())
	}
}

func (r *Reader) take(ctx context.Context) (outbox.Feed, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, dbTimeout)
	defer cancel()
	return r.store.FeedLease(ctx, r.source.Name(), r.owner, r.lease)
}

// read runs the source while the lease can be kept.
func (r *Reader) read(ctx context.Context, from outbox.Feed, works func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var keeping sync.WaitGroup
	defer keeping.Wait()
	defer cancel(nil)
	keeping.Go(func() { cancel(r.keep(ctx)) })
	err := r.source.Read(ctx, from, func(ctx context.Context, token string, events []event.Event) error {
		ctx, cancel := context.WithTimeout(ctx, dbTimeout)
		defer cancel()
		n, err := r.store.Record(ctx, outbox.Batch{Feed: r.source.Name(), Owner: r.owner, Token: token, Events: events})
		if err != nil {
			return err
		}
		works()
		r.log.Debug("events were recorded", "events", len(events), "deliveries", n)
		return nil
	})
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// keep prolongs the lease until ctx ends or it is lost.
func (r *Reader) keep(ctx context.Context) error {
	ticker := time.NewTicker(r.lease / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		_, mine, err := r.take(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			r.log.Warn("the lease of a feed was not prolonged", "error", err)
		case err == nil && !mine:
			return outbox.ErrLeaseLost
		}
	}
}

const releaseTimeout = 2 * time.Second

func (r *Reader) release() {
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	if err := r.store.FeedRelease(ctx, r.source.Name(), r.owner); err != nil {
		r.log.Warn("the lease of a feed was not released; it runs out", "error", err)
	}
}

type backoff struct{ last time.Duration }

func (b *backoff) first() bool { return b.last == 0 }

func (b *backoff) next() time.Duration {
	b.last = min(max(2*b.last, firstRetry), lastRetry)
	return b.last
}

func (b *backoff) reset() { b.last = 0 }

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
