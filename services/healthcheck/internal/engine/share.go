package engine

import (
	"context"
	"strings"
	"time"

	"github.com/slipway-deploy/slipway/platform/lease"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/store"
)

// Leases says which targets are this replica's to check. Package lease has the one for Postgres.
type Leases interface {
	Holder() string
	Generation(shard int) (int64, bool)
	Members() int
	// Tell sends a message to every replica; it may be missed.
	Tell(ctx context.Context, message string) error
}

var _ Leases = (*lease.Leases)(nil)

const (
	compareEvery = 2 * time.Second  // with the database, for messages that were missed
	linger       = 15 * time.Second // for what a replica that has left still saves
	tellTimeout  = time.Second
)

// shared is what a replica knows of its part; Engine.mu guards it.
type shared struct {
	generations map[int]int64 // of the shards that it checks
	acquired    map[int]bool  // shards that are to be taken over
	peers       bool          // there were others when last seen
	met         time.Time     // when there were others last
	compared    time.Time
	sight       context.Context //nolint:containedctx // ends when the replica cannot know what the others save
	blind       context.CancelFunc
	news        news // to be told to the others
}

func newShared() shared {
	s := shared{generations: map[int]int64{}, acquired: map[int]bool{}, news: news{targets: map[Key]bool{}}}
	s.see()
	return s
}

// see lets streams go on.
func (s *shared) see() { s.sight, s.blind = context.WithCancel(context.Background()) }

// mine reports whether this replica checks a target.
func (e *Engine) mine(t store.Target) bool {
	return e.leases == nil || e.shared.generations[t.Shard()] > 0
}

// fence is the leases under which the health of targets is saved, and reports whether a shard is under one of them.
func (e *Engine) fence() (store.Fence, func(shard int) bool) {
	if e.leases == nil {
		return store.Fence{}, func(int) bool { return true }
	}
	f, held := store.Fence{Holder: e.leases.Holder()}, map[int]bool{}
	for shard, ours := range e.shared.generations {
		if generation, holds := e.leases.Generation(shard); holds && generation == ours {
			held[shard] = true
			f.Shards, f.Generations = append(f.Shards, shard), append(f.Generations, generation)
		}
	}
	return f, func(shard int) bool { return held[shard] }
}

// Acquired is called when shards became this replica's to check. They are taken over with the next flush.
func (e *Engine) Acquired(shards []int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, shard := range shards {
		e.shared.acquired[shard] = true
	}
	e.flushSoon()
}

// Lost is called when shards are no longer this replica's: their targets are not checked any more, and what was found and not
// saved the one that checks them now finds too. A replica that was alone goes on in memory until Postgres is back.
func (e *Engine) Lost(shards []int) {
	members := e.leases.Members()
	e.mu.Lock()
	defer e.mu.Unlock()
	if members == 0 && !e.shared.peers {
		return
	}
	for _, shard := range shards {
		delete(e.shared.generations, shard)
		delete(e.shared.acquired, shard)
	}
	for key, p := range e.targets {
		if p.mine && !e.mine(p.target) {
			p.mine = false
			delete(e.dirty, key)
			e.behind.targets[key] = true
			e.plan(p, e.now())
		}
	}
	e.flushSoon()
}

// takeOver turns the shards that were acquired into those that this replica checks, and returns those of which another replica may
// have checked the targets since.
func (e *Engine) takeOver() map[int]bool {
	anew := map[int]bool{}
	for shard := range e.shared.acquired {
		generation, holds := e.leases.Generation(shard)
		if !holds {
			continue // it will be acquired again
		}
		if before := e.shared.generations[shard]; before == 0 || before != generation-1 {
			anew[shard] = true
		}
		e.shared.generations[shard] = generation
	}
	clear(e.shared.acquired)
	return anew
}

// follow notes whether there are other replicas, and now and then that all they saved is to be read.
func (e *Engine) follow() {
	if e.leases == nil {
		return
	}
	members, now := e.leases.Members(), time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	switch blind := e.shared.sight.Err() != nil; {
	case members == 0 && e.shared.peers:
		e.shared.blind()
	case blind:
		e.behind.all = true
	case members > 1:
		e.behind.all = e.behind.all || !e.shared.peers
		e.shared.met, e.shared.peers = now, true
	case members == 1 && now.Sub(e.shared.met) > linger:
		e.shared.peers = false
	}
	if e.shared.peers && now.Sub(e.shared.compared) >= compareEvery {
		e.behind.all, e.shared.compared = true, now
	}
}

// Sees returns a context that ends with the given one, and when this replica cannot know any more what others save.
func (e *Engine) Sees(ctx context.Context) (context.Context, context.CancelFunc) {
	e.mu.Lock()
	sight := e.shared.sight
	e.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(sight, func() {
		cancel(problem.New(problem.Unavailable, "UNAVAILABLE", "this replica cannot reach the database; another one may"))
	})
	return ctx, func() { stop(); cancel(nil) }
}

// Told is called when a replica, maybe this one, said that it changed something.
func (e *Engine) Told(message string) {
	from, what, _ := strings.Cut(message, separator)
	if from == e.leases.Holder() {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for item := range strings.SplitSeq(what, separator) {
		if group, id, isTarget := strings.Cut(item, within); isTarget {
			e.behind.targets[Key{group, id}] = true
		} else {
			e.behind.groups = true
		}
	}
	e.flushSoon()
}

// Yield saves what is known before the leases are given back and others go on.
func (e *Engine) Yield(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	e.flush(ctx, true)
}
