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
func (e *Engine) prune(claims context.Context) {
	ticker := time.NewTicker(pruneEvery)
	defer ticker.Stop()
	for {
		select {
		case <-claims.Done():
			return
		case <-ticker.C:
		}
		e.pruneAll(claims, "invocations", func(ctx context.Context) (int64, error) {
			return e.store.InvocationPrune(ctx, e.cfg.Retention, pruneAtOnce)
		})
		e.pruneAll(claims, "request ids", func(ctx context.Context) (int64, error) {
			return e.store.RequestPrune(ctx, e.cfg.Now().Add(-keptRequestID))
		})
	}
}

func (e *Engine) pruneAll(claims context.Context, what string, some func(context.Context) (int64, error)) {
	for n := int64(pruneAtOnce); n >= pruneAtOnce && claims.Err() == nil; {
		ctx, cancel := context.WithTimeout(claims, dbTimeout)
		var err error
		n, err = some(ctx)
		cancel()
		if err != nil && claims.Err() == nil {
			e.cfg.Log.Warn("what is kept no longer was not deleted; tried again in an hour", "what", what, "error", err)
		}
	}
}
