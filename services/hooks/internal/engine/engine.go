// Package engine makes the calls that package invocation decides: it claims invocations that are due, sends each
// attempt that was recorded with the claim, and records what came back. It decides nothing and sends nothing that is
// not committed.
//
// One goroutine claims and sleeps until the next due time; Wake cuts the sleep short. Each call has a goroutine of its
// own, Config.Workers at most. A claimed invocation has a lease, renewed while its call lasts, so that replicas share
// the work; should a lease lapse, another replica sends the same attempt again, and package invocation takes the first
// answer and ignores the second.
//
// When the database cannot be reached nothing is claimed, and what came back for a call is kept until it can be
// recorded.
package engine

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"github.com/slipway-deploy/slipway/services/hooks/internal/handler"
	"github.com/slipway-deploy/slipway/services/hooks/internal/store"
)

// Config says how the engine works. Zero fields have defaults.
type Config struct {
	Workers int           // calls at once, default 256
	Lease   time.Duration // after which another replica takes over from a dead one, default 2 s
	Grace   time.Duration // how long Stop lets calls finish, default 5 s; negative for not at all
	// Retention is how long an ended invocation is kept, default 90 days, which is what ECS keeps of a deployment.
	Retention time.Duration
	Breaker   BreakerConfig
	Now       func() time.Time
	Log       *slog.Logger
	Metrics   Metrics
}

const (
	claimAtOnce = 64
	dbTimeout   = 10 * time.Second // of one statement or transaction
	firstRetry  = 100 * time.Millisecond
	lastRetry   = 5 * time.Second
)

// Engine is one replica.
type Engine struct {
	cfg      Config
	store    *store.Store
	caller   *handler.Caller
	breakers *breakers
	owner    string
	wake     chan struct{}

	stopClaims context.CancelFunc // nothing more is claimed
	stopCalls  context.CancelFunc // calls under way are broken off
	claimer    sync.WaitGroup
	loops      sync.WaitGroup
	workers    sync.WaitGroup

	mu       sync.Mutex
	inFlight map[*store.Claimed]struct{}
}

// New returns an engine that is at rest until Start.
func New(cfg Config, s *store.Store, c *handler.Caller) *Engine {
	cfg.Workers = cmp.Or(cfg.Workers, 256)
	cfg.Lease = cmp.Or(cfg.Lease, 2*time.Second)
	cfg.Grace = cmp.Or(cfg.Grace, 5*time.Second)
	cfg.Retention = cmp.Or(cfg.Retention, 90*24*time.Hour)
	return &Engine{
		cfg: cfg, store: s, caller: c, breakers: newBreakers(cfg.Breaker, cfg.Now),
		owner: rand.Text(), wake: make(chan struct{}, 1), inFlight: make(map[*store.Claimed]struct{}),
		stopClaims: func() {}, stopCalls: func() {},
	}
}

// Start begins to work. It is called once.
func (e *Engine) Start() {
	claims, stopClaims := context.WithCancel(context.Background())
	calls, stopCalls := context.WithCancel(context.Background())
	e.stopClaims, e.stopCalls = stopClaims, stopCalls
	e.claimer.Go(func() { e.run(claims, calls) })
	e.loops.Go(func() { e.renew(calls) })
	e.loops.Go(func() { e.prune(claims) })
}

// Wake makes the engine look for due invocations now. It never blocks.
func (e *Engine) Wake() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Stop ends the work: nothing more is claimed, calls under way may finish within the grace, the others are broken off.
// A call that was broken off is made again, with the same identity, by the next engine.
func (e *Engine) Stop(ctx context.Context) {
	e.stopClaims()
	e.claimer.Wait() // from here on no call begins
	idle := make(chan struct{})
	go func() {
		e.workers.Wait()
		close(idle)
	}()
	if e.cfg.Grace > 0 {
		grace := time.NewTimer(e.cfg.Grace)
		defer grace.Stop()
		select {
		case <-idle:
		case <-grace.C:
		case <-ctx.Done():
		}
	}
	e.stopCalls()
	<-idle
	e.loops.Wait()
	e.release()
}

// run claims, sleeps until the next due time, and claims again.
func (e *Engine) run(claims, calls context.Context) {
	var retry backoff
	for claims.Err() == nil {
		wait, err := e.claim(claims, calls)
		if err != nil && claims.Err() == nil {
			if retry.first() {
				e.cfg.Log.Warn("no invocation can be claimed; they wait", "error", err)
			}
			wait = retry.next()
		} else {
			retry.reset()
		}
		e.sleep(claims, wait)
	}
}

// longestSleep is far beyond any due time that matters; a lost wake-up would end with it.
const longestSleep = time.Hour

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

// claim takes what is due, starts its calls, and returns how long there is nothing more to do. With all workers busy
// it takes only what needs none: deadlines hold whatever the handlers do.
func (e *Engine) claim(ctx, callCtx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, dbTimeout)
	defer cancel()
	free := e.cfg.Workers - e.busy()
	c := store.Claim{Owner: e.owner, Lease: e.cfg.Lease, Limit: min(free, claimAtOnce), Request: e.caller.Request}
	if free <= 0 {
		c.Limit, c.OnlyExpired = claimAtOnce, true
	}
	calls, claimed, err := e.store.InvocationClaim(ctx, c)
	if err != nil {
		return 0, err
	}
	for _, call := range calls {
		e.begin(callCtx, &call)
	}
	if claimed == c.Limit {
		return 0, nil
	}
	wait, some, err := e.store.InvocationNextDue(ctx, free <= 0)
	switch {
	case err != nil:
		return 0, err
	case !some:
		return longestSleep, nil
	case wait <= 0 && claimed == 0:
		return contended, nil
	default:
		// The database counts in microseconds; a sleep must not end before its time is there.
		return max(wait, 0) + time.Millisecond, nil
	}
}

func (e *Engine) busy() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.inFlight)
}
