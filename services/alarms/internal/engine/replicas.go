package engine

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/lease"
	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

// Leases says which alarms are this replica's to evaluate. Package lease has the one for Postgres.
type Leases interface {
	Holder() string
	Generation(shard int) (int64, bool)
	Members() int
	// Tell sends a message to every replica; it may be missed.
	Tell(ctx context.Context, message string) error
}

var _ Leases = (*lease.Leases)(nil)

// Others is what other replicas saved. Package store has the one for Postgres.
type Others interface {
	SnapshotNow(ctx context.Context) (store.Snapshot, error)
	DatapointsSeen(ctx context.Context, metric alarm.Metric, from, to time.Time, seen store.Snapshot) ([]store.Datapoint, error)
	DatapointsSince(ctx context.Context, since store.Snapshot) ([]store.Arrived, store.Snapshot, error)
	Standing(ctx context.Context) ([]store.Stand, error)
}

var _ Others = (*store.Store)(nil)

// What replicas tell each other: that datapoints were saved, or the names of alarms that were changed.
const (
	newPoints  = "\x01"
	separator  = "\x1f"
	maxMessage = 7000 // bytes; PostgreSQL's limit is 8000
)

// shared is what a replica knows of its part; Engine.mu guards it.
type shared struct {
	generations map[int]int64 // of the shards that it evaluates
	acquired    []int         // that are to be taken over
	peers       bool          // there were others when last seen
	cut         bool          // it cannot know what the others do
	met         time.Time     // when there were others last
	since       store.Snapshot
	compared    time.Time
	told        chan struct{}
}

// holds reports whether an alarm is this replica's by its lease.
func (e *Engine) holds(name string) bool {
	if e.cfg.Leases == nil {
		return true
	}
	_, held := e.cfg.Leases.Generation(lease.ShardOf(name))
	return held
}

// may reports whether this replica evaluates an alarm now. One that is alone goes on when Postgres, and so its lease, is lost.
func (e *Engine) may(w *watched) bool {
	return w.mine && (!e.shared.peers || e.holds(w.Definition.Name))
}

// fence is the lease under which an alarm's states are saved.
func (e *Engine) fence(name string) store.Fence {
	if e.cfg.Leases == nil {
		return store.Fence{}
	}
	shard := lease.ShardOf(name)
	generation, _ := e.cfg.Leases.Generation(shard) // 0 is never in force
	return store.Fence{Holder: e.cfg.Leases.Holder(), Shard: shard, Generation: generation}
}

// savable is the changes whose alarms are this replica's by its lease. The others wait until it is back.
func (e *Engine) savable(states []*stateChange) []*stateChange {
	var list []*stateChange
	for _, c := range states {
		if e.holds(c.alarm.Name) {
			list = append(list, c)
		}
	}
	return list
}

// Acquired is called when shards became this replica's to evaluate. They are taken over beside the next flush.
func (e *Engine) Acquired(shards []int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.shared.acquired = append(e.shared.acquired, shards...)
	e.look()
}

// Lost is called when shards are no longer this replica's: their alarms are not evaluated any more. What was found and not saved the
// one that evaluates them now finds too. One that is alone goes on in memory until Postgres is back.
func (e *Engine) Lost(shards []int) {
	members := e.cfg.Leases.Members()
	e.mu.Lock()
	defer e.mu.Unlock()
	if members == 0 && !e.shared.peers {
		return
	}
	lost := map[int]bool{}
	for _, shard := range shards {
		lost[shard] = true
		delete(e.shared.generations, shard)
	}
	e.giveUp(lost)
}

// giveUp ends the evaluation of the alarms of shards. The lock is held.
func (e *Engine) giveUp(lost map[int]bool) {
	for name, w := range e.alarms {
		if !w.mine || !lost[lease.ShardOf(name)] {
			continue
		}
		w.mine, e.stale[name] = false, true
		if w.state != nil && w.state.cancel != nil {
			w.state.cancel()
		}
	}
	kept := e.pending.states[:0]
	for _, c := range e.pending.states {
		if !lost[lease.ShardOf(c.alarm.Name)] {
			kept = append(kept, c)
		}
	}
	clear(e.pending.states[len(kept):])
	e.pending.states = kept
}

// Yield saves what waits, before the leases are given back and other replicas go on.
func (e *Engine) Yield(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	if err := e.do(ctx, e.flushStates, e.flushPoints); err != nil {
		e.cfg.Log.Warn("alarm data could not be saved before another replica goes on", "cause", err)
	}
}

// Told is called when a replica, maybe this one, said that something was saved.
func (e *Engine) Told(message string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name := range strings.SplitSeq(message, separator) {
		if name != "" && name != newPoints {
			e.stale[name] = true
		}
	}
	e.look()
}

// look makes the flush, and what is done beside it, begin at once.
func (e *Engine) look() {
	select {
	case e.shared.told <- struct{}{}:
	default:
	}
}

const tellTimeout = time.Second

// tell tells the other replicas, if there are any. When the message is missed they find out by themselves (see follow).
func (e *Engine) tell(ctx context.Context, message string) {
	if e.cfg.Leases == nil || e.cfg.Leases.Members() == 1 { // one that has left still has something to tell
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tellTimeout)
	defer cancel()
	if err := e.cfg.Leases.Tell(ctx, message); err != nil {
		e.cfg.Log.Debug("other replicas could not be told", "cause", err)
	}
}

// tellOf tells of the alarms whose state was saved.
func (e *Engine) tellOf(ctx context.Context, saved []*stateChange) {
	message := ""
	for _, c := range saved {
		if len(message)+len(c.alarm.Name) > maxMessage {
			e.tell(ctx, message)
			message = ""
		}
		message += separator + c.alarm.Name
	}
	if message != "" {
		e.tell(ctx, message)
	}
}

// past reads datapoints; with leases without those that are not in the snapshot, which follow will bring.
func (e *Engine) past(ctx context.Context, tx pgx.Tx, metric alarm.Metric, from, to time.Time, seen store.Snapshot) ([]store.Datapoint, error) {
	if e.cfg.Leases == nil {
		return e.cfg.Store.DatapointsRange(ctx, tx, metric, from, to)
	}
	return e.cfg.Others.DatapointsSeen(ctx, metric, from, to, seen)
}
