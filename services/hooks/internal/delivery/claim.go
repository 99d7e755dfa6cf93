package delivery

import (
	"context"
	"time"

	"github.com/slipway-deploy/slipway/services/hooks/internal/outbox"
)

// run claims, sleeps until the next due time, and claims again.
func (e *Engine) run(claims, calls context.Context) {
	var retry backoff
	for claims.Err() == nil {
		wait, err := e.claim(claims, calls)
		if err != nil && claims.Err() == nil {
			if retry.first() {
				e.cfg.Log.Warn("no delivery can be claimed; they wait", "error", err)
			}
			wait = retry.next()
		} else {
			retry.reset()
		}
		e.sleep(claims, wait)
	}
}

// longestSleep is when a lost wake-up would be found out.
const longestSleep = 30 * time.Second

// contended is the pause when what is due is in another transaction's hands.
const contended = 20 * time.Millisecond

func (e *Engine) sleep(ctx context.Context, wait time.Duration) {
	if wait <= 0 {
		return
	}
	t := time.NewTimer(min(wait, longestSleep))
	defer t.Stop()
	select {
	case <-t.C:
	case <-e.wake:
	case <-ctx.Done():
	}
}

// claim takes what is due, starts its calls, and returns how long there is nothing more to do. With all workers busy it
// waits for one: its end wakes the loop.
func (e *Engine) claim(ctx, callCtx context.Context) (time.Duration, error) {
	free, busy := e.room()
	if free <= 0 {
		return longestSleep, nil
	}
	ctx, cancel := context.WithTimeout(ctx, dbTimeout)
	defer cancel()
	c := outbox.Claim{Owner: e.owner, Lease: e.cfg.Lease, Limit: min(free, claimAtOnce), Each: e.cfg.Each, Busy: busy}
	list, claimed, err := e.store.Claim(ctx, c)
	if err != nil {
		return 0, err
	}
	for _, one := range list {
		e.begin(callCtx, one)
	}
	if claimed > 0 {
		return 0, nil // there may be more
	}
	wait, some, err := e.store.NextDue(ctx, busy)
	switch {
	case err != nil:
		return 0, err
	case !some:
		return longestSleep, nil
	case wait <= 0:
		return contended, nil
	default:
		// The database counts in microseconds; a sleep must not end before its time is there.
		return wait + time.Millisecond, nil
	}
}

// room returns how many calls may begin, and the subscriptions that have their share already.
func (e *Engine) room() (free int, busy []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, n := range e.inHand {
		if n >= e.cfg.Each {
			busy = append(busy, name)
		}
	}
	return e.cfg.Workers - e.total, busy
}

func (e *Engine) begin(ctx context.Context, c outbox.Claimed) {
	e.mu.Lock()
	e.total++
	e.inHand[c.Subscription.Name]++
	e.mu.Unlock()
	e.workers.Go(func() {
		defer e.end(c.Subscription.Name)
		e.work(ctx, c)
	})
}

// end wakes the claiming loop: a worker is free, and the lane's next delivery may be due.
func (e *Engine) end(name string) {
	e.mu.Lock()
	e.total--
	if e.inHand[name]--; e.inHand[name] == 0 {
		delete(e.inHand, name)
	}
	e.mu.Unlock()
	e.Wake()
}
