package engine

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

// plan puts a target on the wheel for what comes next: its next check at the given time, a reported health that comes into force,
// not before that time either, or the end of its draining. A target that is due or being checked is planned when that has ended.
func (e *Engine) plan(p *probed, at time.Time) {
	switch {
	case p.gone || p.busy:
		return
	case p.target.Health.State == verdict.Draining:
		at = p.target.DrainEnd
	case p.mine && e.groups[p.target.Group].Probed():
	case !p.mine || p.target.Health.Flip.Time.IsZero():
		e.wheel.remove(p)
		return
	case p.target.Health.Flip.Time.After(at):
		at = p.target.Health.Flip.Time
	}
	p.due = at
	e.wheel.add(p, at.Sub(e.now()))
}

// fire queues what is due, and never waits. A target is not on the wheel again before its check has ended, so checks of one
// target never overlap; a slow target holds one worker and delays no other while there may be more workers.
func (e *Engine) fire(ctx context.Context, due []*probed) {
	e.mu.Lock()
	queued := due[:0]
	for _, p := range due {
		if !p.gone && !p.busy {
			p.busy = true
			e.wheel.remove(p) // it may have been planned again since it was taken off
			queued = append(queued, p)
		}
	}
	e.mu.Unlock()
	for range e.queue.put(queued) {
		e.done.Go(func() { e.work(ctx) })
	}
}

func (e *Engine) work(ctx context.Context) {
	worker := make(chan *probed, 1)
	for ctx.Err() == nil {
		p := e.queue.take(ctx, worker)
		if p == nil {
			return
		}
		e.check(ctx, p)
	}
}

// check does what a target is due for.
func (e *Engine) check(ctx context.Context, p *probed) {
	e.mu.Lock()
	check, target, due := e.groups[p.target.Group], p.target, p.due
	wanted := !p.gone && p.mine && check.Probed() && target.Health.State != verdict.Draining
	e.mu.Unlock()
	var result verdict.Result
	if wanted {
		e.begins(ctx, due, check)
		began := time.Now()
		result = e.prober.Probe(ctx, check, target.Address)
		e.metrics.ended(ctx, check, result, time.Since(began))
	}
	if e.checked(ctx, p, check, due, result, wanted) {
		e.flip(ctx, p)
	}
}

// checked takes over what a check found and plans what comes next. It returns true when what was reported of the target is to come
// into force.
func (e *Engine) checked(ctx context.Context, p *probed, check verdict.Check, due time.Time, result verdict.Result, probed bool) (flips bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p.busy = false
	at := e.now()
	switch draining := p.target.Health.State == verdict.Draining; {
	case p.gone || ctx.Err() != nil:
	case draining && !p.target.DrainEnd.After(at):
		e.drop(Key{p.target.Group, p.target.ID}, p)
		e.expired = true
		e.flushSoon()
	case !draining && p.mine && !e.groups[p.target.Group].Probed() && verdict.Flipped(p.target.Health, at) != p.target.Health:
		return true
	case !probed || draining || !p.mine || check != e.groups[p.target.Group]:
		e.plan(p, at) // what was asked for has changed meanwhile
	default:
		if !result.Inconclusive {
			e.set(p, verdict.Next(check, p.target.Health, result, at), unsaved)
		}
		next := due.Add(verdict.Pause(check, p.target.Health))
		if next.Before(at) {
			next = at
		}
		e.plan(p, next)
	}
	return false
}

const flipAgain = time.Second

// flip brings what was reported of a target into force, unless another report has come meanwhile, to any replica.
func (e *Engine) flip(ctx context.Context, p *probed) {
	err := e.Commit(ctx, func(ctx context.Context, tx pgx.Tx) (func(), error) {
		t, there, err := e.store.TargetLock(ctx, tx, p.target.Group, p.target.ID)
		if err != nil || !there {
			return nil, err
		}
		t.Health = verdict.Flipped(t.Health, e.now())
		return func() { e.SetHealth(t) }, e.store.HealthUpdateTx(ctx, tx, t)
	})
	if err == nil {
		return
	}
	if ctx.Err() == nil {
		e.log.Warn("cannot save what was reported of a target; trying again", "target_group", p.target.Group, "target", p.target.ID, "cause", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.plan(p, e.now().Add(flipAgain))
}

const minOverdue = 50 * time.Millisecond

func (e *Engine) begins(ctx context.Context, due time.Time, check verdict.Check) {
	late := max(e.now().Sub(due), 0)
	overdue := late > max(check.Interval/10, minOverdue)
	if overdue {
		e.overdue.Add(1)
	}
	e.metrics.began(ctx, late, overdue)
}
