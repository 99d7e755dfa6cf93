package engine

import (
	"context"
	"time"
)

const (
	pruneEvery    = time.Hour
	pruneAtOnce   = 1000
	keptRequestID = 7 * 24 * time.Hour
)

// prune deletes, bit by bit, what is kept no longer.
func (e *Engine) prune() {
	ticker := time.NewTicker(pruneEvery)
	defer ticker.Stop()
	for {
		select {
		case <-e.claims.Done():
			return
		case <-ticker.C:
		}
		e.pruneAll("invocations", func(ctx context.Context) (int64, error) {
			return e.store.InvocationPrune(ctx, e.cfg.Retention, pruneAtOnce)
		})
		e.pruneAll("request ids", func(ctx context.Context) (int64, error) {
			return e.store.RequestPrune(ctx, e.cfg.Now().Add(-keptRequestID))
		})
	}
}

func (e *Engine) pruneAll(what string, some func(context.Context) (int64, error)) {
	for n := int64(pruneAtOnce); n >= pruneAtOnce && e.claims.Err() == nil; {
		ctx, cancel := context.WithTimeout(e.claims, dbTimeout)
		var err error
		n, err = some(ctx)
		cancel()
		if err != nil && e.claims.Err() == nil {
			e.cfg.Log.Warn("old "+what+" were not deleted; tried again in an hour", "error", err)
		}
	}
}
