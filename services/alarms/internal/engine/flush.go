package engine

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

// pending is what waits to be saved. Changes of state are never dropped; datapoints are, oldest first, when too many wait.
type pending struct {
	points  map[pointKey]*store.Datapoint
	order   []pointKey
	states  []stateChange
	dropped int
}

type pointKey struct {
	metric alarm.Metric
	second int64
}

type stateChange struct {
	alarm store.Alarm
	item  store.HistoryItem
}

func newPending() pending { return pending{points: map[pointKey]*store.Datapoint{}} }

// add gathers the samples of one metric and second.
func (p *pending) add(d store.Datapoint) {
	key := pointKey{d.Metric, d.Time.Unix()}
	if have := p.points[key]; have != nil {
		have.Bucket.Merge(d.Bucket)
		return
	}
	own := store.Datapoint{Metric: d.Metric, Time: d.Time.Truncate(time.Second)}
	own.Bucket.Merge(d.Bucket)
	p.points[key] = &own
	p.order = append(p.order, key)
	if len(p.order) > maxPending {
		delete(p.points, p.order[0])
		p.order = p.order[1:]
		p.dropped++
	}
}

func (e *Engine) flushLoop(ctx context.Context) {
	ticker := time.NewTicker(flushPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			bounded, cancel := context.WithTimeout(ctx, flushTimeout)
			e.flush(bounded)
			cancel()
		}
	}
}

// flush saves what waits; what cannot be saved waits on.
func (e *Engine) flush(ctx context.Context) {
	e.mu.Lock()
	taken := e.pending
	e.pending = newPending()
	e.mu.Unlock()
	if taken.dropped > 0 {
		e.log.Warn("datapoints were dropped because the database was away for too long", "datapoints", taken.dropped)
	}
	saved, err := e.saveStates(ctx, taken.states)
	if err == nil && len(taken.order) > 0 {
		points := make([]store.Datapoint, 0, len(taken.order))
		for _, key := range taken.order {
			points = append(points, *taken.points[key])
		}
		if err = e.store.DatapointsAdd(ctx, points); err == nil {
			taken.order = nil
		}
	}
	if err == nil {
		return
	}
	e.log.Warn("cannot save alarms; trying again", "states", len(taken.states)-saved, "datapoints", len(taken.order), "cause", err)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pending.states = append(taken.states[saved:], e.pending.states...)
	for _, key := range taken.order {
		e.pending.add(*taken.points[key])
	}
}

func (e *Engine) saveStates(ctx context.Context, states []stateChange) (saved int, err error) {
	for _, change := range states {
		err := e.store.InTx(ctx, func(tx pgx.Tx) error { return e.store.StateSave(ctx, tx, change.alarm, change.item) })
		if err != nil {
			return saved, err
		}
		saved++
	}
	return saved, nil
}

// pruneLoop deletes datapoints that are older than the retention.
func (e *Engine) pruneLoop(ctx context.Context) {
	ticker := time.NewTicker(prunePeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			bounded, cancel := context.WithTimeout(ctx, time.Minute)
			if err := e.store.DatapointsPrune(bounded, now.Add(-e.retention)); err != nil {
				e.log.Warn("cannot prune datapoints; trying again later", "cause", err)
			}
			cancel()
		}
	}
}
