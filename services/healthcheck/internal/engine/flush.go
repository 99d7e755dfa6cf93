package engine

import (
	"context"
	"errors"
	"time"

	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/store"
)

const (
	flushPeriod  = 200 * time.Millisecond
	flushTimeout = 5 * time.Second
	flushBatch   = 2000
	stopTimeout  = 8 * time.Second
	prunePeriod  = time.Hour
	requestsKept = 7 * 24 * time.Hour
)

// flushLoop saves changes of state at once and counts every flushPeriod, many targets at a time.
func (e *Engine) flushLoop(ctx context.Context) {
	ticker, pruner := time.NewTicker(flushPeriod), time.NewTicker(prunePeriod)
	defer ticker.Stop()
	defer pruner.Stop()
	for {
		all := false
		select {
		case <-ctx.Done():
			return
		case <-pruner.C:
			e.prune(ctx)
			continue
		case <-ticker.C:
			all = true
		case <-e.urgent:
		}
		bounded, cancel := context.WithTimeout(ctx, flushTimeout)
		e.flush(bounded, all)
		cancel()
	}
}

func (e *Engine) flushSoon() {
	select {
	case e.urgent <- struct{}{}:
	default: // it is on its way
	}
}

func (e *Engine) prune(ctx context.Context) {
	bounded, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	if err := e.store.RequestsPrune(bounded, e.now().Add(-requestsKept)); err != nil {
		e.log.Warn("cannot forget old requests", "cause", err)
	}
}

// flush saves what changed since the last save, all of it or what is urgent; what cannot be saved now stays to be saved. No
// target is registered or deregistered meanwhile, so a save never meets another registration of the same name.
func (e *Engine) flush(ctx context.Context, all bool) {
	if err := e.lock(ctx); err != nil {
		return
	}
	defer e.unlock()
	e.follow()
	if err := e.refresh(ctx); err != nil {
		e.log.Warn("cannot read the targets; trying again", "cause", err)
		return
	}
	defer e.tell(context.WithoutCancel(ctx))
	for range e.batches() {
		batch, fence := e.takeDirty(all)
		if len(batch) == 0 {
			break
		}
		if err := e.save(ctx, batch, fence); err != nil {
			e.log.Warn("cannot save target health; trying again", "targets", len(batch), "cause", err)
			return
		}
	}
	e.expire(ctx)
}

// save saves a batch. One that the database refuses is split, so that a row it will never take stops no other.
func (e *Engine) save(ctx context.Context, batch []store.Target, f store.Fence) error {
	err := e.store.HealthUpdate(ctx, batch, f)
	switch {
	case err == nil:
		e.noteSaved(batch)
		return nil
	case later(ctx, err):
		e.putBack(batch)
		return err
	case len(batch) == 1:
		e.refused(ctx, batch[0], err)
		return nil
	}
	half := len(batch) / 2
	if err := e.save(ctx, batch[:half], f); err != nil {
		e.putBack(batch[half:])
		return err
	}
	return e.save(ctx, batch[half:], f)
}

// later reports whether the same save may succeed later.
func later(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, problem.Unavailable) || errors.Is(err, problem.Aborted) ||
		errors.Is(err, problem.DeadlineExceeded) || errors.Is(err, problem.Canceled)
}

func (e *Engine) refused(ctx context.Context, t store.Target, err error) {
	e.metrics.refused(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.targets[Key{t.Group, t.ID}]; p != nil && !p.warned {
		p.warned = true
		e.log.Error("the database refuses a target's health", "target_group", t.Group, "target", t.ID, "cause", err)
	}
}

func (e *Engine) putBack(batch []store.Target) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range batch {
		key := Key{t.Group, t.ID}
		if _, again := e.dirty[key]; !again && e.targets[key] != nil {
			e.dirty[key] = false // with the next counts
		}
	}
}

// batches is how many there are to save now; what changes meanwhile is for the next flush.
func (e *Engine) batches() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return (len(e.dirty) + flushBatch - 1) / flushBatch
}

// takeDirty takes what is to be saved, and the leases to save it under. What is under none now waits.
func (e *Engine) takeDirty(all bool) ([]store.Target, store.Fence) {
	e.mu.Lock()
	defer e.mu.Unlock()
	fence, held := e.fence()
	var batch []store.Target
	for key, urgent := range e.dirty {
		if len(batch) == flushBatch {
			break
		}
		p := e.targets[key]
		if p != nil && (!urgent && !all || !held(p.target.Shard())) {
			continue
		}
		delete(e.dirty, key)
		if p != nil {
			batch = append(batch, p.target)
		}
	}
	return batch, fence
}

// noteSaved has the other replicas told of what people can see.
func (e *Engine) noteSaved(batch []store.Target) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range batch {
		key := Key{t.Group, t.ID}
		if p := e.targets[key]; p != nil && p.news {
			p.news = false
			e.shared.news.targets[key] = true
		}
	}
}

// expire removes the rows of targets that have drained.
func (e *Engine) expire(ctx context.Context) {
	e.mu.Lock()
	expired := e.expired
	e.expired = false
	e.mu.Unlock()
	if !expired {
		return
	}
	if err := e.store.TargetsExpire(ctx, e.now()); err != nil {
		e.log.Warn("cannot remove drained targets; trying again", "cause", err)
		e.mu.Lock()
		e.expired = true
		e.mu.Unlock()
	}
}
