package engine

import (
	"context"
	"time"

	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

const (
	committers    = 2 // while PostgreSQL works on one batch the other is made
	commitBatch   = 256
	commitTimeout = 10 * time.Second
)

// committer groups the saves of many services into one transaction: while some are on their way to the disk, the next ones
// gather. Persisted transitions per second so grow with load instead of stopping at the disk's commit rate.
type committer struct {
	store Store
	queue chan commit
}

type commit struct {
	change store.Change
	done   chan error
}

func newCommitter(s Store) *committer {
	return &committer{store: s, queue: make(chan commit, commitBatch)}
}

// save returns when the change is durable, or problem.Aborted when the service was changed by somebody else.
func (c *committer) save(ctx context.Context, change store.Change) error {
	request := commit{change: change, done: make(chan error, 1)}
	select {
	case c.queue <- request:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-request.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *committer) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case first := <-c.queue:
			c.commit(ctx, c.gather(first))
		}
	}
}

func (c *committer) gather(first commit) []commit {
	batch := []commit{first}
	for len(batch) < commitBatch {
		select {
		case next := <-c.queue:
			batch = append(batch, next)
		default:
			return batch
		}
	}
	return batch
}

// commit saves a batch. When it fails as a whole each is tried alone, so that one that cannot be saved stops no other.
func (c *committer) commit(ctx context.Context, batch []commit) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	changes := make([]store.Change, len(batch))
	for i := range batch {
		changes[i] = batch[i].change
	}
	saved, err := c.store.Save(ctx, changes)
	if err != nil && len(batch) > 1 && ctx.Err() == nil {
		for _, one := range batch {
			c.commit(ctx, []commit{one})
		}
		return
	}
	for _, one := range batch {
		service := one.change.Next.Service
		switch {
		case err != nil:
			one.done <- err
		case !saved[store.Key{Cluster: service.Cluster, Name: service.Name}]:
			one.done <- problem.New(problem.Aborted, "STALE_GENERATION", "service %s is past generation %d", service.Key(), service.Generation-1)
		default:
			one.done <- nil
		}
	}
}
