package engine

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/slipway-deploy/slipway/platform/lease"
	"github.com/slipway-deploy/slipway/platform/problem"
)

// takeOver begins to evaluate the alarms of shards that became this replica's. Where nobody had them meanwhile, it goes on with what
// it has in memory. The caller is between begin and end.
func (e *Engine) takeOver(ctx context.Context) error {
	if e.cfg.Leases == nil {
		return nil
	}
	names := e.toTakeOver()
	for i, name := range names {
		effect, err := e.fresh(ctx, name)
		if err != nil {
			e.mu.Lock()
			for _, left := range names[i:] { // those that are begun are taken over already
				e.shared.acquired = append(e.shared.acquired, lease.ShardOf(left))
			}
			e.mu.Unlock()
			return err
		}
		e.apply(effect)
	}
	return nil
}

// toTakeOver is the alarms of the shards that were acquired.
func (e *Engine) toTakeOver() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	shards := map[int]bool{}
	for _, shard := range e.shared.acquired {
		generation, held := e.cfg.Leases.Generation(shard)
		if !held {
			continue // it will be acquired again
		}
		// Nobody else had it in between.
		kept := e.shared.generations[shard] != 0 && e.shared.generations[shard] == generation-1
		e.shared.generations[shard] = generation
		if !kept {
			shards[shard] = true
		}
	}
	e.shared.acquired = nil
	e.giveUp(shards)
	var names []string
	for name := range e.alarms {
		if shards[lease.ShardOf(name)] {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(lease.ShardOf(a), lease.ShardOf(b)) }) // what is done is done whole
	return names
}

// fresh reads an alarm anew, with its datapoints.
func (e *Engine) fresh(ctx context.Context, name string) (Effect, error) {
	e.mu.Lock()
	delete(e.stale, name)
	e.mu.Unlock()
	a, err := e.cfg.Store.Alarm(ctx, name)
	if errors.Is(err, problem.NotFound) {
		return Remove([]string{name}), nil
	}
	if err != nil {
		return nil, err
	}
	return e.read(ctx, a)
}
