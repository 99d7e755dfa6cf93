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

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/services/hooks/internal/handler"
	"github.com/slipway-deploy/slipway/services/hooks/internal/invocation"
	"github.com/slipway-deploy/slipway/services/hooks/internal/store"
)

// Store is what the engine needs of the database.
type Store interface {
	InTx(ctx context.Context, f func(pgx.Tx) error) error
	InvocationClaim(ctx context.Context, c store.Claim) (calls []store.Claimed, claimed int, err error)
	InvocationApply(ctx context.Context, tx pgx.Tx, id string, e invocation.Event, attempt int, r store.Reply) (invocation.Decision, error)
	InvocationNextDue(ctx context.Context, onlyDeadlines bool) (time.Duration, bool, error)
	LeaseRenew(ctx context.Context, owner string, lease time.Duration, ids []string) error
	LeaseRelease(ctx context.Context, owner string) error
	InvocationPrune(ctx context.Context, retention time.Duration, limit int) (int64, error)
	RequestPrune(ctx context.Context, before time.Time) (int64, error)
}

var _ Store = (*store.Store)(nil)

// Caller makes one call.
type Caller interface {
	Call(ctx context.Context, c handler.Call) handler.Reply
}

var _ Caller = (*handler.Caller)(nil)

// Config says how the engine works. Zero fields have defaults.
type Config struct {
	Workers int           // calls at once, default 256
	Lease   time.Duration // after which another replica takes over from a dead one, default 15 s
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
	store    Store
	caller   Caller
	breakers *breakers
	owner    string
	wake     chan struct{}

	claims  context.Context // ends when no more are to be claimed
	calls   context.Context // ends when calls are to be broken off
	stop    []context.CancelFunc
	claimer sync.WaitGroup
	loops   sync.WaitGroup
	workers sync.WaitGroup

	mu       sync.Mutex
	inFlight map[*store.Claimed]struct{}
}

// New returns an engine that is at rest until Start.
func New(cfg Config, s Store, c Caller) *Engine {
	cfg.Workers = cmp.Or(cfg.Workers, 256)
	cfg.Lease = cmp.Or(cfg.Lease, 15*time.Second)
	cfg.Grace = cmp.Or(cfg.Grace, 5*time.Second)
	cfg.Retention = cmp.Or(cfg.Retention, 90*24*time.Hour)
	e := &Engine{
		cfg: cfg, store: s, caller: c, breakers: newBreakers(cfg.Breaker, cfg.Now),
		owner: rand.Text(), wake: make(chan struct{}, 1), inFlight: make(map[*store.Claimed]struct{}),
	}
	var stopClaims, stopCalls context.CancelFunc
	e.claims, stopClaims = context.WithCancel(context.Background())
	e.calls, stopCalls = context.WithCancel(context.Background())
	e.stop = []context.CancelFunc{stopClaims, stopCalls}
	return e
}

// Start begins to work.
func (e *Engine) Start() {
	e.claimer.Go(e.run)
	e.loops.Go(e.renew)
	e.loops.Go(e.prune)
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
	e.stop[0]()
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
	e.stop[1]()
	<-idle
	e.loops.Wait()
	e.release()
}

const releaseTimeout = 2 * time.Second

// release lets others send at once what this engine has not finished. Where it fails the leases run out instead.
func (e *Engine) release() {
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	if err := e.store.LeaseRelease(ctx, e.owner); err != nil {
		e.cfg.Log.Warn("leases were not released; they run out", "error", err)
	}
}

// run claims, sleeps until the next due time, and claims again.
func (e *Engine) run() {
	var retry backoff
	for e.claims.Err() == nil {
		wait, err := e.claim(e.claims)
		if err != nil && e.claims.Err() == nil {
			if retry.first() {
				e.cfg.Log.Warn("no invocation can be claimed; they wait", "error", err)
			}
			wait = retry.next()
		} else {
			retry.reset()
		}
		e.sleep(wait)
	}
}

// longestSleep is far beyond any due time that matters; a lost wake-up would end with it.
const longestSleep = time.Hour

// contended is the pause when what is due is in another transaction's hands.
const contended = 20 * time.Millisecond

func (e *Engine) sleep(wait time.Duration) {
	if wait <= 0 {
		return
	}
	t := time.NewTimer(min(wait, longestSleep))
	defer t.Stop()
	select {
	case <-t.C:
	case <-e.wake:
	case <-e.claims.Done():
	}
}

// claim takes what is due, starts its calls, and returns how long there is nothing more to do. With all workers busy
// it takes only what needs none: deadlines hold whatever the handlers do.
func (e *Engine) claim(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, dbTimeout)
	defer cancel()
	free := e.cfg.Workers - e.busy()
	c := store.Claim{Owner: e.owner, Lease: e.cfg.Lease, Limit: min(free, claimAtOnce), Request: handler.Request}
	if free <= 0 {
		c.Limit, c.OnlyExpired = claimAtOnce, true
	}
	calls, claimed, err := e.store.InvocationClaim(ctx, c)
	if err != nil {
		return 0, err
	}
	for _, call := range calls {
		e.begin(&call)
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

// renew keeps the leases of calls under way.
func (e *Engine) renew() {
	ticker := time.NewTicker(e.cfg.Lease / 3)
	defer ticker.Stop()
	for {
		select {
		case <-e.calls.Done():
			return
		case <-ticker.C:
		}
		ids := e.leased()
		if len(ids) == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(e.calls, e.cfg.Lease/3)
		if err := e.store.LeaseRenew(ctx, e.owner, e.cfg.Lease, ids); err != nil && e.calls.Err() == nil {
			e.cfg.Log.Warn("leases were not renewed; another replica may send the same attempts again", "error", err)
		}
		cancel()
	}
}

func (e *Engine) leased() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := make([]string, 0, len(e.inFlight))
	for c := range e.inFlight {
		ids = append(ids, c.Invocation.ID)
	}
	return ids
}
