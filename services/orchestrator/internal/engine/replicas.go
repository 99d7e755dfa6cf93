package engine

import (
	"context"
	"time"

	"github.com/slipway-deploy/slipway/platform/lease"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/rollout"
	"github.com/slipway-deploy/slipway/services/orchestrator/internal/store"
)

// Leases says which services are this replica's to work on. Package lease has the one for Postgres.
type Leases interface {
	Holds(shard int) bool
	Held() []int
	Members() int
	// Tell sends a message to every replica; it may be missed.
	Tell(ctx context.Context, message string) error
}

var _ Leases = (*lease.Leases)(nil)

// Feed is what the other replicas saved. Package store has the one for Postgres.
type Feed interface {
	EventEnd(ctx context.Context) (store.Position, error)
	EventMarks(ctx context.Context, since store.Position) ([]store.Mark, store.Position, error)
	Standing(ctx context.Context) (map[store.Key]store.Stand, error)
}

var _ Feed = (*store.Store)(nil)

const (
	followEvery = 250 * time.Millisecond // while there are other replicas
	tellTimeout = 2 * time.Second
)

func serviceName(key store.Key) string { return key.Cluster + "/" + key.Name }

func keyOf(s rollout.State) store.Key {
	return store.Key{Cluster: s.Service.Cluster, Name: s.Service.Name}
}

// holds reports whether the service is this replica's to work on now.
func (e *Engine) holds(key store.Key) bool {
	return e.Leases == nil || e.Leases.Holds(lease.ShardOf(serviceName(key)))
}

// Acquired is called when shards became this replica's: their services are loaded and worked on.
func (e *Engine) Acquired(shards []int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ctx == nil || e.ctx.Err() != nil {
		return
	}
	mine := map[int]bool{}
	for _, shard := range shards {
		mine[shard] = true
		e.taking[shard]++
	}
	e.done.Go(func() {
		e.reopen(e.ctx)
		e.taken(mine)
		e.takeUp(e.ctx, mine)
	})
}

// taken lets work begin on shards: what is known of the world is not older than their lease any more.
func (e *Engine) taken(shards map[int]bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for shard := range shards {
		if e.taking[shard]--; e.taking[shard] == 0 {
			delete(e.taking, shard)
		}
	}
}

// takeUp begins the work on the services of shards. What cannot be loaded is tried again while a shard is held.
func (e *Engine) takeUp(ctx context.Context, shards map[int]bool) {
	wanted := func(key store.Key) bool { return shards[lease.ShardOf(serviceName(key))] && e.holds(key) }
	for delay := firstRetry; ; delay = min(2*delay, lastRetry) {
		states, err := e.load(ctx, wanted)
		if err == nil {
			e.beginAll(states)
			for _, service := range e.routed() { // one that is deleted may have left its routes
				if key := parseKey(service); wanted(key) {
					e.workOn(key)
				}
			}
			return
		}
		e.Log.Warn("services cannot be loaded; trying again", "cause", err, "delay", delay)
		select {
		case <-ctx.Done():
			return
		case <-time.After(delay):
		}
	}
}

func (e *Engine) load(ctx context.Context, wanted func(store.Key) bool) ([]rollout.State, error) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	return e.Store.ServicesActive(ctx, wanted)
}

// routed is the services that the data plane has routes of.
func (e *Engine) routed() []string {
	e.facts.mu.RLock()
	defer e.facts.mu.RUnlock()
	list := make([]string, 0, len(e.facts.applied.by))
	for service := range e.facts.applied.by {
		list = append(list, service)
	}
	return list
}

// Lost is called when shards are no longer this replica's: the work on their services ends. It does not wait for that: a save or
// a write that is under way is refused if another replica has gone on.
func (e *Engine) Lost(shards []int) {
	lost := map[int]bool{}
	for _, shard := range shards {
		lost[shard] = true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for key, w := range e.workers {
		if lost[lease.ShardOf(serviceName(key))] {
			w.cancel()
			delete(e.workers, key)
		}
	}
}

// Told is called when a replica, maybe this one, took a user's command on a service.
func (e *Engine) Told(service string) {
	if key := parseKey(service); e.holds(key) {
		e.Wake(key)
	}
	e.look() // readers here want to know too
}

// tell wakes the replica that works on the service. When the message is missed it finds out by itself (see watchOthers).
func (e *Engine) tell(key store.Key) {
	if e.ctx == nil || e.ctx.Err() != nil {
		return
	}
	e.done.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(e.ctx), tellTimeout) // also while the engine stops
		defer cancel()
		if err := e.Leases.Tell(ctx, serviceName(key)); err != nil {
			e.Log.Warn("the replica that works on a service could not be told of a change", "service", serviceName(key), "cause", err)
		}
	})
}

// look makes watchOthers look at once.
func (e *Engine) look() {
	select {
	case e.looking <- struct{}{}:
	default:
	}
}

// watchOthers tells readers what other replicas saved, and sees to it that no service of this replica is forgotten.
func (e *Engine) watchOthers(ctx context.Context) {
	var since store.Position
	swept := e.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.looking:
		case <-time.After(followEvery):
		}
		if e.Leases.Members() > 1 {
			since = e.readOthers(ctx, since)
		} else {
			since = store.Position{}
		}
		if now := e.Now(); now.Sub(swept) >= e.sweepEvery() || now.Before(swept) {
			swept = now
			e.sweep(ctx)
		}
	}
}

// readOthers tells readers what others saved since a position; from now on for the zero position.
func (e *Engine) readOthers(ctx context.Context, since store.Position) store.Position {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var marks []store.Mark
	var err error
	if since == (store.Position{}) {
		since, err = e.Feed.EventEnd(ctx)
	} else {
		marks, since, err = e.Feed.EventMarks(ctx, since)
	}
	if err != nil {
		e.Log.Debug("what other replicas saved cannot be read", "cause", err)
		return since
	}
	for _, mark := range marks {
		switch {
		case e.holds(store.Key{Cluster: mark.Cluster, Name: mark.Service}): // this replica saved it, or was told
		case mark.Deployment == "":
			e.Published()
		default:
			e.Published(mark.Deployment)
		}
	}
	return since
}
