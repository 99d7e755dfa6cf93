package engine

import (
	"context"
	"time"

	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

// plan puts a target on the wheel for what comes next: its next check at the given time, a reported health that comes into force,
// or the end of its draining. A target that is due or being checked is planned when that has ended.
func (e *Engine) plan(p *probed, at time.Time) {
	switch {
	case p.gone || p.busy:
		return
	case p.target.Health.State == verdict.Draining:
		at = p.target.DrainEnd
	case e.groups[p.target.Group].Probed():
	case p.target.Health.Flip.Time.IsZero():
		e.wheel.remove(p)
		return
	default:
		at = p.target.Health.Flip.Time
	}
	p.due = at
	e.wheel.add(p, time.Until(at))
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
	for ctx.Err() == nil {
		p := e.queue.take()
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
	wanted := !p.gone && check.Probed() && target.Health.State != verdict.Draining
	e.mu.Unlock()
	var result verdict.Result
	if wanted {
		e.begins(ctx, due, check)
		began := time.Now()
		result = e.prober.Probe(ctx, check, target.Address)
		e.metrics.ended(ctx, check, result, time.Since(began))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	p.busy = false
	at := now()
	switch {
	case p.gone || ctx.Err() != nil:
	case p.target.Health.State == verdict.Draining && !p.target.DrainEnd.After(at):
		e.drop(Key{target.Group, target.ID}, p)
		e.expired = true
		e.flushSoon()
	case !wanted || p.target.Health.State == verdict.Draining || check != e.groups[target.Group]:
		if h := verdict.Flipped(p.target.Health, at); h != p.target.Health {
			e.set(p, h, unsaved)
		}
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
}

const minOverdue = 50 * time.Millisecond

func (e *Engine) begins(ctx context.Context, due time.Time, check verdict.Check) {
	late := max(time.Since(due), 0)
	overdue := late > max(check.Interval/10, minOverdue)
	if overdue {
		e.overdue.Add(1)
	}
	e.metrics.began(ctx, late, overdue)
}
