package app

import (
	"context"
	"log/slog"
	"time"

	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

const (
	// DefaultRetention is how long ECS lists service deployments.
	DefaultRetention = 90 * 24 * time.Hour
	minRetention     = 24 * time.Hour
	requestsKept     = 7 * 24 * time.Hour
	pruneEvery       = time.Hour
	pruneTimeout     = 10 * time.Minute
)

// retention deletes, once an hour, what is kept no longer. Several replicas may do so at once: each skips what another deletes.
type retention struct {
	store *store.Store
	keep  time.Duration // 0: for ever
	now   func() time.Time
	log   *slog.Logger
}

func (r retention) run(ctx context.Context) {
	ticker := time.NewTicker(pruneEvery)
	defer ticker.Stop()
	for {
		r.prune(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (r retention) prune(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, pruneTimeout)
	defer cancel()
	err := r.store.PruneRequests(ctx, r.now().Add(-requestsKept))
	if err == nil && r.keep > 0 {
		var n int64
		if n, err = r.store.Prune(ctx, r.now().Add(-r.keep)); n > 0 {
			r.log.Info("deployments that are kept no longer were deleted", "deployments", n, "retention", r.keep)
		}
	}
	if err != nil && ctx.Err() == nil {
		r.log.Warn("what is kept no longer was not deleted; tried again in an hour", "cause", err)
	}
}
