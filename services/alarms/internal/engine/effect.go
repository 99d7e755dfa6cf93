package engine

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/services/alarms/internal/series"
	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

const maxAhead = 2*time.Hour + time.Minute // datapoints may be this far in the future

// Effect is what a committed change does in memory. Engine.mu is held.
type Effect func(*Engine)

// Remove gives up alarms.
func Remove(names []string) Effect {
	return func(e *Engine) {
		for _, name := range names {
			e.forget(name)
			e.hub.Delete(name)
		}
		e.arrange()
	}
}

// SetState sets a state until the next evaluation: at the end of the period, or when data come in.
func SetState(stored store.Alarm) Effect {
	return func(e *Engine) {
		if w := e.alarms[stored.Name]; w != nil {
			now := e.cfg.Now().UTC()
			was := w.Stored
			w.Stored = stored
			w.due = w.next(now)
			e.hub.Set(stored.Name, w.Alarm)
			e.changed(w, was, now)
		}
	}
}

// Put reads what an alarm needs, through the transaction that creates or changes it, and takes it up.
func (e *Engine) Put(ctx context.Context, tx pgx.Tx, d Definition, stored store.Alarm) (Effect, error) {
	var past []store.Datapoint
	var seen store.Snapshot
	if e.cfg.Leases != nil {
		if !e.holds(d.Name) {
			return e.put(d, stored, nil, seen), nil
		}
		var err error
		if seen, err = e.cfg.Others.SnapshotNow(ctx); err != nil {
			return nil, err
		}
	}
	if d.Metric != nil {
		now := e.cfg.Now().UTC()
		from := now.Add(-time.Duration(d.Metric.Range()+1) * d.Metric.Period)
		for _, m := range d.Metric.Metrics {
			if m.Source != series.Pushed {
				continue
			}
			points, err := e.past(ctx, tx, m.Key(), from, now.Add(maxAhead), seen)
			if err != nil {
				return nil, err
			}
			past = append(past, points...)
		}
	}
	return e.put(d, stored, past, seen), nil
}

// put takes up an alarm with its past. What is saved is in past; what is not is in pending, for no flush is under way.
func (e *Engine) put(d Definition, stored store.Alarm, past []store.Datapoint, seen store.Snapshot) Effect {
	return func(e *Engine) {
		old := e.alarms[d.Name]
		e.forget(d.Name)
		w := newWatched(d, stored)
		if e.cfg.Leases != nil {
			w.Trouble = Trouble{stored.EvaluationState, stored.EvaluationReason}
			if old != nil {
				w.Suppression = old.Suppression
			}
		}
		w.seen, w.mine = seen, e.cfg.Leases == nil || !seen.Zero()
		if !w.mine { // what this replica found and could not save, another has found by now
			e.pending.states = slices.DeleteFunc(e.pending.states, func(c *stateChange) bool { return c.alarm.Name == d.Name })
		}
		for _, p := range past {
			w.add(p)
		}
		for _, p := range e.pending.points {
			w.add(*p)
		}
		e.alarms[d.Name] = w
		for i, key := range w.keys {
			if d.Metric.Metrics[i].Source != series.Pushed {
				continue
			}
			if e.byMetric[key] == nil {
				e.byMetric[key] = map[string]*watched{}
			}
			e.byMetric[key][d.Name] = w
		}
		e.arrange()
		e.renew(d.Name)
		e.hub.Set(d.Name, w.Alarm)
	}
}

func (e *Engine) forget(name string) {
	old := e.alarms[name]
	if old == nil {
		return
	}
	for _, key := range old.keys {
		delete(e.byMetric[key], name)
		if len(e.byMetric[key]) == 0 {
			delete(e.byMetric, key)
		}
	}
	if old.state != nil && old.state.cancel != nil {
		old.state.cancel()
	}
	delete(e.alarms, name)
}
