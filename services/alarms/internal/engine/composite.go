package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
	"github.com/slipway-deploy/slipway/services/alarms/internal/composite"
	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

// evaluateComposite evaluates a composite alarm on the states that its children have now. Whether its actions are suppressed every
// replica finds out by itself.
func (e *Engine) evaluateComposite(ctx context.Context, w *watched, now time.Time) {
	d := w.Definition.Composite
	w.due = w.next(now)
	if e.may(w) {
		w.EvaluationTime = now
		e.trouble(w, e.childTrouble(d))
		e.cfg.Metrics.evaluated(ctx)
		e.enter(ctx, w, d.Evaluate(e.child, e.cfg.ARN), now)
	}
	var left time.Time
	if w.Stored.SuppressorLeft != nil {
		left = *w.Stored.SuppressorLeft
	}
	s := d.Suppressed(alarm.State(w.Stored.State), w.Stored.StateTime, e.child(d.Suppressor), left, now)
	if !s.Until.IsZero() && s.Until.Before(w.due) {
		w.due = s.Until
	}
	if s != w.Suppression {
		w.Suppression = s
		e.hub.Set(w.Definition.Name, w.Alarm)
	}
}

func (e *Engine) child(name string) composite.Child {
	if w := e.alarms[name]; w != nil {
		return composite.Child{State: alarm.State(w.Stored.State), Since: w.Stored.StateTime}
	}
	return composite.Child{}
}

// childTrouble is the first trouble that a child of the rule has: then its state, and so the composite alarm's, may be out of date.
func (e *Engine) childTrouble(d *composite.Definition) Trouble {
	for _, name := range d.Rule.Children() {
		if w := e.alarms[name]; w != nil && w.Trouble.State != "" && w.Trouble.State != InWarmUp {
			return Trouble{EvaluationError, fmt.Sprintf("The alarm %s cannot be evaluated: %s", name, w.Trouble.Reason)}
		}
	}
	return Trouble{}
}

// changed tells composite alarms that an alarm changed its state.
func (e *Engine) changed(w *watched, was store.Alarm, now time.Time) {
	for _, p := range e.parents[w.Definition.Name] {
		p.due = time.Time{}
		left := was.State == string(alarm.Alarm) && w.Stored.State != was.State
		if left && e.may(p) && p.Definition.Composite.Suppressor == w.Definition.Name {
			p.Stored.SuppressorLeft = &now
			e.pending.states = append(e.pending.states, &stateChange{alarm: p.Stored})
		}
	}
}

// renew has the composite alarms that refer to an alarm evaluated again.
func (e *Engine) renew(name string) {
	for _, p := range e.parents[name] {
		p.due = time.Time{}
	}
}

// arrange finds who refers to whom, and the order in which composite alarms are evaluated. There are no cycles: Put refuses them.
func (e *Engine) arrange() {
	clear(e.parents)
	e.order = e.order[:0]
	for name, w := range e.alarms {
		if w.Definition.Composite == nil {
			continue
		}
		e.order = append(e.order, w)
		for _, child := range w.Definition.Composite.Children() {
			if e.parents[child] == nil {
				e.parents[child] = map[string]*watched{}
			}
			e.parents[child][name] = w
		}
	}
	depths := map[string]int{}
	slices.SortFunc(e.order, func(a, b *watched) int {
		return cmp.Or(cmp.Compare(e.depth(a, depths), e.depth(b, depths)), cmp.Compare(a.Definition.Name, b.Definition.Name))
	})
}

// depth is 1 above the deepest child; a metric alarm's is 0. A suppressor counts as a child; what is under way counts 0, so that even
// suppressors in a circle end.
func (e *Engine) depth(w *watched, depths map[string]int) int {
	if w == nil || w.Definition.Composite == nil {
		return 0
	}
	name := w.Definition.Name
	if known, ok := depths[name]; ok {
		return known
	}
	depths[name] = 0
	deepest := 0
	for _, child := range w.Definition.Composite.Children() {
		deepest = max(deepest, e.depth(e.alarms[child], depths))
	}
	depths[name] = deepest + 1
	return deepest + 1
}
