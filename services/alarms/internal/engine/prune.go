package engine

import (
	"context"
	"time"
)

const (
	prunePeriod  = 10 * time.Minute
	pruneTimeout = time.Minute
	historyKept  = 30 * 24 * time.Hour // as CloudWatch keeps it
	requestsKept = 7 * 24 * time.Hour
)

// pruneLoop deletes what is kept no longer, at the start and from time to time.
func (e *Engine) pruneLoop(ctx context.Context) {
	ticker := time.NewTicker(prunePeriod)
	defer ticker.Stop()
	for {
		now := e.cfg.Now().UTC()
		bounded, cancel := context.WithTimeout(ctx, pruneTimeout)
		err := e.cfg.Store.Prune(bounded, now.Add(-e.kept()), now.Add(-historyKept), now.Add(-requestsKept))
		cancel()
		if err != nil && ctx.Err() == nil {
			e.cfg.Log.Warn("cannot prune; trying again later", "cause", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// kept is how long datapoints are kept: the retention, and as long as an alarm looks back, for a restart reads them again.
func (e *Engine) kept() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	kept := e.cfg.Retention
	for _, w := range e.alarms {
		if d := w.Definition.Metric; d != nil {
			kept = max(kept, time.Duration(d.Range()+1)*d.Period)
		}
	}
	return kept
}
