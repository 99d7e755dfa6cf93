package delivery

import (
	"context"
	"sync"
	"time"
)

// broadcast tells everyone who waits that something changed.
type broadcast struct {
	mu sync.Mutex
	c  chan struct{}
}

func newBroadcast() *broadcast { return &broadcast{c: make(chan struct{})} }

func (b *broadcast) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.c
}

func (b *broadcast) tell() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.c)
	b.c = make(chan struct{})
}

// follow hears of deliveries that any replica records. What was missed while the connection was broken is told of when
// it is open again.
func (e *Engine) follow(ctx context.Context) {
	var retry backoff
	for ctx.Err() == nil {
		err := e.store.Follow(ctx, func() {
			retry.reset()
			e.Wake()
			e.changes.tell()
		})
		if err != nil && ctx.Err() == nil && retry.first() {
			e.cfg.Log.Warn("notifications of deliveries broke and are opened again", "error", err)
		}
		pause(ctx, retry.next())
	}
}

// renew keeps the leases of calls under way.
func (e *Engine) renew(ctx context.Context) {
	every := e.cfg.Lease / 3
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		renewCtx, cancel := context.WithTimeout(ctx, every)
		if err := e.store.LeaseRenew(renewCtx, e.owner, e.cfg.Lease); err != nil && ctx.Err() == nil {
			e.cfg.Log.Warn("leases of deliveries were not renewed; another replica may send the same events again", "error", err)
		}
		cancel()
	}
}

const (
	expireEvery = 5 * time.Second
	pruneEvery  = time.Hour
	pruneAtOnce = 1000
)

// prune gives up what nobody takes from streams, and deletes, bit by bit, what is kept no longer.
func (e *Engine) prune(ctx context.Context) {
	expire, prune := time.NewTicker(expireEvery), time.NewTicker(pruneEvery)
	defer expire.Stop()
	defer prune.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-expire.C:
			e.atRest(ctx, func(ctx context.Context) (bool, error) {
				_, err := e.store.StreamExpire(ctx)
				return false, err
			})
		case <-prune.C:
			e.atRest(ctx, func(ctx context.Context) (bool, error) { return e.store.Prune(ctx, e.cfg.Keep, pruneAtOnce) })
		}
	}
}

func (e *Engine) atRest(ctx context.Context, some func(context.Context) (more bool, err error)) {
	for more := true; more && ctx.Err() == nil; {
		dbCtx, cancel := context.WithTimeout(ctx, dbTimeout)
		var err error
		more, err = some(dbCtx)
		cancel()
		if err != nil && ctx.Err() == nil {
			e.cfg.Log.Warn("events were not tidied up; tried again later", "error", err)
		}
	}
}

// backoff is the growing pause between tries of something that must succeed some time.
type backoff struct{ last time.Duration }

// first reports whether nothing has failed since the last success.
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
