package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

const changeTimeout = 10 * time.Second

// Change runs f, which changes the named alarms, in a transaction, and its effect after the commit. Changes of their states that
// wait to be saved go first, in the same transaction; they are not evaluated meanwhile. A nil effect changes nothing.
func (e *Engine) Change(ctx context.Context, names []string, f func(pgx.Tx) (Effect, error)) error {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	if err := e.begin(ctx); err != nil {
		return err
	}
	defer e.end()
	waiting := e.hold(names)
	defer e.release()
	var effect Effect
	err := e.cfg.Store.InTx(ctx, func(tx pgx.Tx) error {
		effect = nil
		if err := e.saveStates(ctx, tx, waiting); err != nil {
			return err
		}
		made, err := f(tx)
		if err == nil {
			effect = made
		}
		return err
	})
	if err != nil {
		if effect != nil {
			e.markStale(names)
		}
		return err
	}
	e.statesSaved(waiting)
	if effect != nil {
		e.apply(effect)
		for _, name := range names {
			e.tell(ctx, name)
		}
	}
	return nil
}

func (e *Engine) apply(effect Effect) {
	e.mu.Lock()
	defer e.mu.Unlock()
	effect(e)
	e.kick()
}

// begin waits until no other change and no flush is under way.
func (e *Engine) begin(ctx context.Context) error {
	select {
	case e.changing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return postgres.Classify(ctx.Err())
	}
}

func (e *Engine) end() { <-e.changing }

// hold keeps alarms from being evaluated and returns their changes of state that wait to be saved.
func (e *Engine) hold(names []string) []*stateChange {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, name := range names {
		e.held[name] = true
	}
	var waiting []*stateChange
	for _, c := range e.savable(e.pending.states) {
		if e.held[c.alarm.Name] {
			waiting = append(waiting, c)
		}
	}
	return waiting
}

func (e *Engine) release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.held)
	e.kick()
}

// markStale remembers alarms of which nobody knows whether the commit that failed took effect.
func (e *Engine) markStale(names []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, name := range names {
		e.stale[name] = true
	}
}

// resync reads stale alarms again. The caller is between begin and end.
func (e *Engine) resync(ctx context.Context) error {
	e.mu.Lock()
	names := make([]string, 0, len(e.stale))
	for name := range e.stale {
		names = append(names, name)
	}
	e.mu.Unlock()
	if len(names) == 0 {
		return nil
	}
	waiting := e.hold(names)
	defer e.release()
	if len(waiting) > 0 {
		return nil // the store is behind them: after the next flush
	}
	for _, name := range names {
		effect, err := e.reread(ctx, name)
		if err != nil {
			return err
		}
		e.apply(effect)
		e.mu.Lock()
		delete(e.stale, name)
		e.mu.Unlock()
	}
	return nil
}

func (e *Engine) reread(ctx context.Context, name string) (Effect, error) {
	a, err := e.cfg.Store.Alarm(ctx, name)
	if err == nil && e.same(a) {
		return Adopt(a), nil
	}
	if errors.Is(err, problem.NotFound) {
		return Remove([]string{name}), nil
	}
	if err != nil {
		return nil, err
	}
	return e.read(ctx, a)
}

func (e *Engine) read(ctx context.Context, a store.Alarm) (Effect, error) {
	d, err := e.cfg.Decode(a)
	if err != nil {
		return nil, fmt.Errorf("read alarm %s: %w", a.Name, err)
	}
	return e.Put(ctx, nil, d, a)
}
