package engine

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/hooks/internal/handler"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
	"github.com/slipway-deploy/slipway/services/hooks/internal/store"
)

func (e *Engine) begin(ctx context.Context, c *store.Claimed) {
	e.mu.Lock()
	e.inFlight[c] = struct{}{}
	e.mu.Unlock()
	e.workers.Go(func() {
		defer e.end(c)
		e.work(ctx, c)
	})
}

// end wakes the claiming loop: a worker is free, and what was recorded may be due again soon.
func (e *Engine) end(c *store.Claimed) {
	e.mu.Lock()
	delete(e.inFlight, c)
	e.mu.Unlock()
	e.Wake()
}

// work sends one attempt and records what came back.
func (e *Engine) work(ctx context.Context, c *store.Claimed) {
	if event, reply, ok := e.send(ctx, c); ok {
		e.record(ctx, c, event, reply)
	}
}

// send makes the call, unless the endpoint's circuit is open. It reports false when the call was broken off by Stop:
// nobody knows then whether the handler saw it.
func (e *Engine) send(ctx context.Context, c *store.Claimed) (invocation.Event, store.Reply, bool) {
	i := c.Invocation
	endpoint := i.Hook.Target.Endpoint()
	done, closed := e.breakers.allow(endpoint)
	if closed != nil {
		return invocation.Postponed{Attempt: i.Attempt, Delay: closed.delay, Reason: closed.reason}, store.Reply{}, true
	}
	call := handler.Call{
		Target: i.Hook.Target, Invocation: i.ID, Deployment: i.Deployment, Stage: i.Stage, Contract: i.Contract,
		Attempt: i.Attempt, Request: c.Request, Timeout: i.Hook.CallTimeout,
	}
	cutShort := c.Remaining < call.Timeout
	if cutShort {
		call.Timeout = c.Remaining
	}
	began := e.cfg.Now()
	r := e.caller.Call(ctx, call)
	took := e.cfg.Now().Sub(began)
	if ctx.Err() != nil {
		done(notCounted)
		return nil, store.Reply{}, false
	}
	done(verdict(r.Event, cutShort))
	e.cfg.Metrics.attempted(ctx, i.Hook.Target.Kind, r, took)
	return r.Event, store.Reply{Response: r.Response, HookStatus: r.HookStatus, Error: r.Error, Duration: took}, true
}

// verdict is what a call says about its endpoint. An answer of any kind shows it to be well, and so does a refusal
// that calling again cannot help; a call that its invocation's deadline cut short shows nothing.
func verdict(e invocation.Event, cutShort bool) countAs {
	u, unanswered := e.(invocation.Unanswered)
	switch {
	case !unanswered || u.Final:
		return asSuccess
	case cutShort:
		return notCounted
	default:
		return asFailure
	}
}

// maxRecordFailures bounds how often a result that the database refuses, though it can be reached, is tried.
const maxRecordFailures = 10

// record saves what became of an attempt, as long as it takes the database to come back. Where it gives up the lease
// runs out, and the attempt is sent again with the same identity.
func (e *Engine) record(ctx context.Context, c *store.Claimed, event invocation.Event, r store.Reply) {
	log := e.cfg.Log.With("invocation", c.Invocation.ID, "attempt", c.Invocation.Attempt)
	var retry backoff
	for refused := 0; refused < maxRecordFailures; {
		d, err := e.apply(ctx, c, event, r)
		switch {
		case err == nil:
			e.tell(c, d)
			return
		case errors.Is(err, problem.NotFound), ctx.Err() != nil:
			return
		case !transient(err):
			refused++
		}
		if retry.first() {
			log.Warn("a result waits to be recorded", "error", err)
		}
		pause(ctx, retry.next())
	}
	log.Error("a result cannot be recorded; its attempt will be sent again")
}

func transient(err error) bool {
	for _, kind := range []problem.Kind{problem.Unavailable, problem.Aborted, problem.DeadlineExceeded, problem.Canceled} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

func (e *Engine) apply(ctx context.Context, c *store.Claimed, event invocation.Event, r store.Reply) (d invocation.Decision, err error) {
	ctx, cancel := context.WithTimeout(ctx, dbTimeout)
	defer cancel()
	err = e.store.InTx(ctx, func(tx pgx.Tx) error {
		d, err = e.store.InvocationApply(ctx, tx, c.Invocation.ID, event, c.Invocation.Attempt, r)
		return err
	})
	return d, err
}

func (e *Engine) tell(c *store.Claimed, d invocation.Decision) {
	log := e.cfg.Log.With("invocation", c.Invocation.ID, "hook", c.Invocation.Hook.Name, "attempt", c.Invocation.Attempt, "state", d.Next.State)
	switch {
	case d.Ignored != "":
		log.Warn("an answer changed nothing", "reason", d.Ignored)
	case d.Next.State.Terminal():
		log.Info("an invocation has ended", "outcome", d.Next.Outcome, "reason", d.Next.Reason)
	default:
		log.Debug("an invocation goes on", "reason", d.Next.Reason)
	}
}
