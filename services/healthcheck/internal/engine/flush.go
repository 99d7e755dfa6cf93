package engine

import (
	"context"
	"time"

	"github.com/slipway-deploy/slipway/services/healthcheck/internal/store"
)

// flushLoop saves what changed, many targets at once.
func (e *Engine) flushLoop(ctx context.Context) {
	ticker := time.NewTicker(flushPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			bounded, cancel := context.WithTimeout(ctx, flushTimeout)
			e.flush(bounded)
			cancel()
		}
	}
}

// flush saves the targets that changed since the last save; when that fails they stay to be saved.
func (e *Engine) flush(ctx context.Context) {
	batch := e.takeDirty()
	if len(batch) == 0 {
		return
	}
	if err := e.store.HealthUpdate(ctx, batch); err != nil {
		e.log.Warn("cannot save target health; trying again", "targets", len(batch), "cause", err)
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, t := range batch {
			if key := (Key{t.Group, t.ID}); e.targets[key] != nil {
				e.dirty[key] = true
			}
		}
	}
}

func (e *Engine) takeDirty() []store.Target {
	e.mu.Lock()
	defer e.mu.Unlock()
	var batch []store.Target
	for key := range e.dirty {
		if len(batch) == flushBatch {
			break
		}
		delete(e.dirty, key)
		if p := e.targets[key]; p != nil {
			batch = append(batch, p.target)
		}
	}
	return batch
}
