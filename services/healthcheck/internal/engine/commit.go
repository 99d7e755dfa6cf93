package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
)

const commitTimeout = 10 * time.Second

// Commit runs f in a transaction and, when that is committed, the effect on memory that f returned; nil has none. Calls run one
// after the other. When the end of a commit is not known, memory is read anew from the database before the next one.
func (e *Engine) Commit(ctx context.Context, f func(pgx.Tx) (effect func(), err error)) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	if err := e.lock(ctx); err != nil {
		return err
	}
	defer e.unlock()
	if err := e.refresh(ctx); err != nil {
		return err
	}
	var effect func()
	committing := false
	err := e.store.InTx(ctx, func(tx pgx.Tx) (err error) {
		effect, err = f(tx)
		committing = err == nil
		return err
	})
	if err != nil {
		e.stale = committing && effect != nil
		return err
	}
	if effect != nil {
		effect()
	}
	return nil
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

// refresh makes memory what the database says when they may differ. What is known of the health of targets that are in both is
// newer in memory and stays.
func (e *Engine) refresh(ctx context.Context) error {
	if !e.stale {
		return nil
	}
	groups, err := e.groupsF(ctx)
	if err != nil {
		return err
	}
	if err := e.store.TargetsExpire(ctx, now()); err != nil {
		return err
	}
	targets, err := e.store.TargetsAll(ctx)
	if err != nil {
		return err
	}
	e.mu.Lock()
	for name := range e.groups {
		if _, ok := groups[name]; !ok {
			e.removeGroup(name)
		}
	}
	for name, check := range groups {
		e.setGroup(name, check)
	}
	kept := map[Key]bool{}
	for i, t := range targets {
		key := Key{t.Group, t.ID}
		kept[key] = true
		old := e.targets[key]
		if old == nil || old.target.Address != t.Address || old.target.Service != t.Service || !old.target.DrainEnd.Equal(t.DrainEnd) {
			e.put(i, t)
		}
	}
	for key, p := range e.targets {
		if !kept[key] {
			e.drop(key, p)
		}
	}
	e.mu.Unlock()
	e.stale = false
	return nil
}
