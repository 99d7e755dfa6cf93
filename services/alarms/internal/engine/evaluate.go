package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

// evaluateLoop evaluates what is due and sleeps until the next alarm is.
func (e *Engine) evaluateLoop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.wake:
		case <-timer.C:
		}
		timer.Reset(time.Until(e.evaluateDue(time.Now().UTC())))
	}
}

// evaluateDue evaluates every alarm that is due and returns when the next one is.
func (e *Engine) evaluateDue(now time.Time) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := now.Add(maxEvaluations)
	for _, w := range e.alarms {
		if !w.due.After(now) {
			e.evaluate(w, now)
		}
		if w.due.Before(next) {
			next = w.due
		}
	}
	return next
}

func (e *Engine) evaluate(w *watched, now time.Time) {
	w.due = w.next(now)
	w.EvaluationTime = now
	was := alarm.State(w.Stored.State)
	verdict := alarm.Evaluate(w.Definition, was, w.points(now))
	if verdict.State == was {
		return
	}
	w.Stored.State, w.Stored.Reason, w.Stored.ReasonData, w.Stored.StateTime = string(verdict.State), verdict.Reason, verdict.Data, now
	e.pending.states = append(e.pending.states, stateChange{w.Stored, store.HistoryItem{
		Alarm: w.Definition.Name, Time: now, Type: store.StateUpdate, Data: verdict.Data,
		Summary: fmt.Sprintf("Alarm updated from %s to %s", was, verdict.State),
	}})
	e.hub.Set(w.Definition.Name, w.Alarm)
	e.log.Info("alarm", "alarm", w.Definition.Name, "state", verdict.State, "reason", verdict.Reason)
}

// next is the end of the present period, when its statistic is whole; at least once a minute.
func (w *watched) next(now time.Time) time.Time {
	end := alarm.Align(now, w.Definition.Period).Add(w.Definition.Period)
	if limit := now.Add(maxEvaluations); end.After(limit) {
		return limit
	}
	return end
}

// points is the evaluation range, oldest first. The present period is left out until it has ended, unless what came in
// already breaches and nothing more can undo that.
func (w *watched) points(now time.Time) []alarm.Point {
	d := w.Definition
	last := alarm.Align(now, d.Period)
	if b := w.buckets[last]; b == nil || !d.Early() || !breaches(d, *b) {
		last = last.Add(-d.Period)
	}
	first := last.Add(-time.Duration(d.Range()-1) * d.Period)
	for at := range w.buckets {
		if at.Before(first.Add(-d.Period)) {
			delete(w.buckets, at)
		}
	}
	points := make([]alarm.Point, 0, d.Range())
	for at := first; !at.After(last); at = at.Add(d.Period) {
		p := alarm.Point{Time: at, Missing: true}
		if b := w.buckets[at]; b != nil {
			if value, ok := b.Statistic(d); ok {
				p.Value, p.Samples, p.Missing = value, b.Count, false
			}
		}
		points = append(points, p)
	}
	return points
}

func breaches(d alarm.Definition, b alarm.Bucket) bool {
	value, ok := b.Statistic(d)
	return ok && d.Breaches(value)
}
