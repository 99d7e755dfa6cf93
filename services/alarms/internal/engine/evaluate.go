package engine

import (
	"context"
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

// evaluateDue evaluates every alarm that is due, composite ones after those they refer to, and returns when the next one is. A held
// alarm waits for its release.
func (e *Engine) evaluateDue(ctx context.Context, now time.Time) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, w := range e.alarms {
		if w.Definition.Metric != nil && e.may(w) && !e.held[name] && !w.due.After(now) {
			e.evaluate(ctx, w, now)
		}
	}
	for _, w := range e.order {
		if !e.held[w.Definition.Name] && !w.due.After(now) {
			e.evaluateComposite(ctx, w, now)
		}
	}
	next := now.Add(maxEvaluations)
	for name, w := range e.alarms {
		if !e.held[name] && (e.may(w) || w.Definition.Composite != nil) && w.due.Before(next) {
			next = w.due
		}
	}
	return next
}

func (e *Engine) evaluate(ctx context.Context, w *watched, now time.Time) {
	d := w.Definition.Metric
	if w.due = w.next(now); w.state != nil {
		w.due = now.Add(maxEvaluations) // or when the next answer of its source comes
		if !w.state.fresh {
			return
		}
	}
	if warm := w.Stored.ConfigurationTime.Add(d.WarmUp); now.Before(warm) {
		w.due = warm
		e.trouble(w, Trouble{InWarmUp, "The alarm is in its warm-up until " + warm.UTC().Format(time.RFC3339) + "."})
		return
	}
	points, err := w.points(now)
	if err != nil { // metric math was checked: it does not fail
		e.trouble(w, Trouble{EvaluationFailure, "The alarm cannot be evaluated: " + err.Error() + "."})
		return
	}
	if w.state != nil {
		w.state.fresh = false
	}
	w.EvaluationTime = now
	e.trouble(w, Trouble{})
	e.cfg.Metrics.evaluated(ctx)
	verdict := alarm.Evaluate(d.Definition, alarm.State(w.Stored.State), points, now)
	e.enter(ctx, w, verdict, now)
}

// enter takes a verdict: a new state is published and waits to be saved.
func (e *Engine) enter(ctx context.Context, w *watched, v alarm.Verdict, now time.Time) {
	was := w.Stored
	if string(v.State) == was.State {
		return
	}
	w.Stored.State, w.Stored.Reason, w.Stored.ReasonData, w.Stored.StateTime = string(v.State), v.Reason, v.Data, now
	e.pending.states = append(e.pending.states, &stateChange{w.Stored, StateUpdate(was, w.Stored)})
	e.hub.Set(w.Definition.Name, w.Alarm)
	e.changed(w, was, now)
	e.cfg.Metrics.changed(ctx, v.State)
	e.cfg.Log.Info("alarm", "alarm", w.Definition.Name, "state", v.State, "reason", v.Reason)
}

// trouble publishes that evaluating goes wrong, or right again.
func (e *Engine) trouble(w *watched, t Trouble) {
	if w.Trouble == t {
		return
	}
	if w.Trouble.State != t.State && t.State != InWarmUp {
		e.cfg.Log.Info("evaluation of an alarm", "alarm", w.Definition.Name, "evaluation_state", t.State, "reason", t.Reason)
	}
	w.Trouble = t
	if e.cfg.Leases != nil && e.may(w) {
		w.Stored.EvaluationState, w.Stored.EvaluationReason = t.State, t.Reason
		e.pending.states = append(e.pending.states, &stateChange{alarm: w.Stored})
	}
	e.hub.Set(w.Definition.Name, w.Alarm)
	e.renew(w.Definition.Name)
}

// StateUpdate is the history item of a change of state.
func StateUpdate(was, is store.Alarm) store.HistoryItem {
	return store.HistoryItem{
		Alarm: is.Name, Time: is.StateTime, Type: store.StateUpdate, Summary: "Alarm updated from " + was.State + " to " + is.State,
		Data: historyData(was, is),
	}
}
