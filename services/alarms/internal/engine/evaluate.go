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
		now := e.cfg.Now().UTC()
		timer.Reset(e.evaluateDue(ctx, now).Sub(now))
	}
}

// evaluateDue evaluates every alarm that is due and returns when the next one is. A held alarm waits for its release.
func (e *Engine) evaluateDue(ctx context.Context, now time.Time) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := now.Add(maxEvaluations)
	for name, w := range e.alarms {
		if e.held[name] {
			continue
		}
		if !w.due.After(now) {
			e.evaluate(ctx, w, now)
		}
		if w.due.Before(next) {
			next = w.due
		}
	}
	return next
}

func (e *Engine) evaluate(ctx context.Context, w *watched, now time.Time) {
	w.due = w.next(now)
	w.EvaluationTime = now
	was := alarm.State(w.Stored.State)
	verdict := alarm.Evaluate(w.Definition, was, w.points(now))
	e.cfg.Metrics.evaluated(ctx)
	if verdict.State == was {
		return
	}
	w.Stored.State, w.Stored.Reason, w.Stored.ReasonData, w.Stored.StateTime = string(verdict.State), verdict.Reason, verdict.Data, now
	e.pending.states = append(e.pending.states, &stateChange{w.Stored, store.HistoryItem{
		Alarm: w.Definition.Name, Time: now, Type: store.StateUpdate, Data: verdict.Data,
		Summary: fmt.Sprintf("Alarm updated from %s to %s", was, verdict.State),
	}})
	e.hub.Set(w.Definition.Name, w.Alarm)
	e.cfg.Metrics.changed(ctx, verdict.State)
	e.cfg.Log.Info("alarm", "alarm", w.Definition.Name, "state", verdict.State, "reason", verdict.Reason)
}
