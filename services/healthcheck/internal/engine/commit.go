package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
)

const (
	commitTimeout = 10 * time.Second
	commitBatch   = 64
)

// change is what a call wants to have committed.
type change struct {
	ctx  context.Context //nolint:containedctx // of the call that waits for it
	f    func(ctx context.Context, tx pgx.Tx) (effect func(), err error)
	done chan error
}

// Commit runs f in a transaction and, when that is committed, the effect on memory that f returned; nil has none. Changes are made
// one after the other, and those that wait for one to reach the disk are made together, each in a savepoint: one that fails stops
// no other. When the end of a commit is not known, memory is read anew from the database before the next one.
func (e *Engine) Commit(ctx context.Context, f func(ctx context.Context, tx pgx.Tx) (effect func(), err error)) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	c := &change{ctx: ctx, f: f, done: make(chan error, 1)}
	e.waiting.put(c)
	for {
		select {
		case err := <-c.done:
			return err
		case <-ctx.Done():
			return fmt.Errorf("wait for other changes: %w", postgres.Classify(ctx.Err()))
		case e.commit <- struct{}{}:
			e.commitWaiting()
			e.tell(context.WithoutCancel(ctx))
			e.unlock()
		}
	}
}

// waiting is the changes that nobody has begun with.
type waiting struct {
	mu   sync.Mutex
	list []*change
}

func (w *waiting) put(c *change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, c)
}

// take returns some of those whose callers still wait.
func (w *waiting) take() []*change {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = slices.DeleteFunc(w.list, func(c *change) bool { return c.ctx.Err() != nil })
	n := min(len(w.list), commitBatch)
	batch := slices.Clone(w.list[:n])
	w.list = slices.Delete(w.list, 0, n)
	return batch
}

// commitWaiting makes changes that wait. It has the token.
func (e *Engine) commitWaiting() {
	batch := e.waiting.take()
	if len(batch) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	if err := e.refresh(ctx); err != nil {
		for _, c := range batch {
			c.done <- err
		}
		return
	}
	if len(batch) > 1 && e.commitTogether(ctx, batch) {
		return
	}
	for _, c := range batch {
		c.done <- e.commitAlone(ctx, c)
	}
}

func (e *Engine) commitAlone(ctx context.Context, c *change) error {
	if err := e.refresh(ctx); err != nil {
		return err
	}
	var effect func()
	committing := false
	err := e.store.InTx(ctx, func(tx pgx.Tx) (err error) {
		if err := e.gate(ctx, tx); err != nil {
			return err
		}
		effect, err = c.f(ctx, tx)
		committing = err == nil
		return err
	})
	if err != nil {
		e.doubt(committing && effect != nil)
		return err
	}
	if effect != nil {
		effect()
	}
	return nil
}

// commitTogether makes changes in one transaction, and returns false when nothing was done and each is to be tried alone.
func (e *Engine) commitTogether(ctx context.Context, batch []*change) bool {
	effects, errs := make([]func(), len(batch)), make([]error, len(batch))
	committing := false
	err := e.store.InTx(ctx, func(tx pgx.Tx) error {
		if err := e.gate(ctx, tx); err != nil {
			return err
		}
		for i, c := range batch {
			savepoint, err := tx.Begin(ctx)
			if err != nil {
				return err
			}
			if effects[i], errs[i] = c.f(ctx, savepoint); errs[i] != nil {
				err = savepoint.Rollback(ctx)
			} else {
				err = savepoint.Commit(ctx)
			}
			if err != nil {
				return err
			}
		}
		committing = true
		return nil
	})
	if err != nil && !committing {
		return false
	}
	for i, c := range batch {
		switch {
		case errs[i] != nil:
			c.done <- errs[i]
			continue
		case err != nil:
			e.doubt(effects[i] != nil)
		case effects[i] != nil:
			effects[i]()
		}
		c.done <- err
	}
	return true
}

// gate keeps the transactions of several replicas from waiting for each other in a circle.
func (e *Engine) gate(ctx context.Context, tx pgx.Tx) error {
	if e.leases == nil || e.leases.Members() == 1 {
		return nil
	}
	return e.store.Gate(ctx, tx)
}

// doubt notes that a change may have been committed that memory does not have.
func (e *Engine) doubt(changed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.behind.all = e.behind.all || changed
}

func (e *Engine) lock(ctx context.Context) error {
	select {
	case e.commit <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for another change: %w", postgres.Classify(ctx.Err()))
	}
}

func (e *Engine) unlock() { <-e.commit }
