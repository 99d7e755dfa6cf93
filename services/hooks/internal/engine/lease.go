package engine

import (
	"context"
	"time"
)

// renew keeps the leases of calls under way.
func (e *Engine) renew(ctx context.Context) {
	ticker := time.NewTicker(e.cfg.Lease / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		ids := e.leased()
		if len(ids) == 0 {
			continue
		}
		renewCtx, cancel := context.WithTimeout(ctx, e.cfg.Lease/3)
		if err := e.store.LeaseRenew(renewCtx, e.owner, e.cfg.Lease, ids); err != nil && ctx.Err() == nil {
			e.cfg.Log.Warn("leases were not renewed; another replica may send the same attempts again", "error", err)
		}
		cancel()
	}
}

func (e *Engine) leased() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := make([]string, 0, len(e.inFlight))
	for c := range e.inFlight {
		ids = append(ids, c.Invocation.ID)
	}
	return ids
}

const releaseTimeout = 2 * time.Second

// release lets others send at once what this engine has not finished. Where it fails the leases run out instead.
func (e *Engine) release() {
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	if err := e.store.LeaseRelease(ctx, e.owner); err != nil {
		e.cfg.Log.Warn("leases were not released; they run out", "error", err)
	}
}
