// Package delivery sends recorded events to those who subscribe: it claims lanes that are due, makes one attempt for
// the first delivery of each, and records what came of it as package subscription decides.
//
// The deliveries of one deployment to one subscription are a lane, and a lane is in one hand at a time: they go out one
// after the other. One goroutine claims and sleeps until the next due time; a notification of the database, or Wake,
// cuts the sleep short. Each call has a goroutine of its own. A claimed lane has a lease, renewed while its call lasts,
// so that replicas share the work; should a lease lapse, another replica sends the same event again, with the same id.
//
// A dead endpoint costs the others nothing: its circuit opens, and a subscription has a bounded number of calls.
package delivery

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"github.com/slipway-deploy/slipway/drivers/event"
	"github.com/slipway-deploy/slipway/services/hooks/internal/outbox"
	"github.com/slipway-deploy/slipway/services/hooks/internal/subscription"
)

// Config says how the engine works. Zero fields have defaults.
type Config struct {
	Senders  map[subscription.TargetKind]event.Sender
	Workers  int           // calls at once, default 256
	Each     int           // calls at once for one subscription, default 8
	Lease    time.Duration // after which another replica takes over from a dead one, default 30 s
	Backoff  subscription.Backoff
	Failures int           // calls in a row without success that open an endpoint's circuit, default 5
	Open     time.Duration // for how long, before one call tries, default 10 s
	Keep     outbox.Keep
	Grace    time.Duration // how long Stop lets calls finish
	Now      func() time.Time
	Jitter   func() float64 // from 0 to 1
	Log      *slog.Logger
	Metrics  Metrics
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
	store    *outbox.Store
	breakers *breakers
	owner    string
	wake     chan struct{}
	changes  *broadcast

	stopClaims context.CancelFunc // nothing more is claimed
	stopCalls  context.CancelFunc // calls under way are broken off
	claimer    sync.WaitGroup
	loops      sync.WaitGroup
	workers    sync.WaitGroup

	mu     sync.Mutex
	total  int
	inHand map[string]int // calls under way, by subscription
}

// New returns an engine that is at rest until Start.
func New(cfg Config, store *outbox.Store) *Engine {
	cfg.Workers = cmp.Or(cfg.Workers, 256)
	cfg.Each = cmp.Or(cfg.Each, 8)
	cfg.Lease = cmp.Or(cfg.Lease, 30*time.Second)
	cfg.Failures = cmp.Or(cfg.Failures, 5)
	cfg.Open = cmp.Or(cfg.Open, 10*time.Second)
	return &Engine{
		cfg: cfg, store: store, breakers: newBreakers(cfg.Failures, cfg.Open, cfg.Now), owner: rand.Text(),
		wake: make(chan struct{}, 1), changes: newBroadcast(), inHand: make(map[string]int),
		stopClaims: func() {}, stopCalls: func() {},
	}
}

// Start begins to work. It is called once.
func (e *Engine) Start() {
	claims, stopClaims := context.WithCancel(context.Background())
	calls, stopCalls := context.WithCancel(context.Background())
	e.stopClaims, e.stopCalls = stopClaims, stopCalls
	e.claimer.Go(func() { e.run(claims, calls) })
	e.loops.Go(func() { e.follow(claims) })
	e.loops.Go(func() { e.renew(calls) })
	e.loops.Go(func() { e.prune(claims) })
}

// Wake makes the engine look for what is due now. It never blocks.
func (e *Engine) Wake() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Changed returns a channel that is closed when deliveries were recorded or acknowledged, or may have been.
func (e *Engine) Changed() <-chan struct{} { return e.changes.next() }

// Stop ends the work: nothing more is claimed, calls under way may finish within the grace, the others are broken off
// and made again, with the same id, by the next engine.
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

const releaseTimeout = 2 * time.Second

// release lets others send at once what this engine has not finished. Where it fails the leases run out instead.
func (e *Engine) release() {
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	if err := e.store.LeaseRelease(ctx, e.owner); err != nil {
		e.cfg.Log.Warn("leases of deliveries were not released; they run out", "error", err)
	}
}
