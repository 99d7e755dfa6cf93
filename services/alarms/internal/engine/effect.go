package engine

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
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
	}
}

// SetState sets a state until the next evaluation: at the end of the period, or when data come in.
func SetState(stored store.Alarm) Effect {
	return func(e *Engine) {
		if w := e.alarms[stored.Name]; w != nil {
			w.Stored = stored
			w.due = w.next(e.cfg.Now().UTC())
			e.hub.Set(stored.Name, w.Alarm)
		}
	}
}

// Put reads what an alarm needs, through the transaction that creates or changes it, and takes it up.
func (e *Engine) Put(ctx context.Context, tx pgx.Tx, d alarm.Definition, stored store.Alarm) (Effect, error) {
	now := e.cfg.Now().UTC()
	from := now.Add(-time.Duration(d.Range()+1) * d.Period)
	past, err := e.cfg.Store.DatapointsRange(ctx, tx, d.MetricID(), from, now.Add(maxAhead))
	return put(d, stored, past), err
}

// put takes up an alarm with its past. What is saved is in past; what is not is in pending, for no flush is under way.
func put(d alarm.Definition, stored store.Alarm, past []store.Datapoint) Effect {
	return func(e *Engine) {
		e.forget(d.Name)
		w := &watched{Alarm: Alarm{Definition: d, Stored: stored}, metric: d.MetricID(), buckets: map[time.Time]*alarm.Bucket{}}
		for _, p := range past {
			w.add(p.Time, p.Bucket)
		}
		for key, p := range e.pending.points {
			if key.metric == w.metric {
				w.add(p.Time, p.Bucket)
			}
		}
		e.alarms[d.Name] = w
		if e.byMetric[w.metric] == nil {
			e.byMetric[w.metric] = map[string]*watched{}
		}
		e.byMetric[w.metric][d.Name] = w
		e.hub.Set(d.Name, w.Alarm)
	}
}

func (e *Engine) forget(name string) {
	if old := e.alarms[name]; old != nil {
		delete(e.byMetric[old.metric], name)
		if len(e.byMetric[old.metric]) == 0 {
			delete(e.byMetric, old.metric)
		}
		delete(e.alarms, name)
	}
}
