package engine

import (
	"bytes"
	"time"

	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

// same reports whether an alarm in the store is the one in memory, but for its state.
func (e *Engine) same(a store.Alarm) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	w := e.alarms[a.Name]
	return e.cfg.Leases != nil && w != nil && bytes.Equal(w.Stored.Definition, a.Definition) && w.mine == e.holds(a.Name)
}

// Adopt takes over the state that somebody else saved. Of an alarm that is this replica's only users change the state.
func Adopt(stored store.Alarm) Effect {
	return func(e *Engine) {
		w := e.alarms[stored.Name]
		if w == nil {
			return
		}
		now := e.cfg.Now().UTC()
		was, trouble := w.Stored, w.Trouble
		w.Stored = stored
		if w.mine {
			w.Stored.EvaluationState, w.Stored.EvaluationReason = was.EvaluationState, was.EvaluationReason
			if was.State != stored.State || !sameTime(was.StateTime, stored.StateTime) {
				w.due = w.next(now)
			}
		} else if w.Trouble = (Trouble{stored.EvaluationState, stored.EvaluationReason}); e.shared.cut {
			w.Trouble = lostDatabase
		}
		if was.State == stored.State && sameTime(was.StateTime, stored.StateTime) && w.Trouble == trouble {
			return
		}
		e.hub.Set(stored.Name, w.Alarm)
		if was.State != stored.State {
			e.changed(w, was, now)
		} else {
			e.renew(stored.Name)
		}
	}
}

// sameTime compares as precisely as the store keeps times.
func sameTime(a, b time.Time) bool { return a.Sub(b).Abs() < 2*time.Microsecond }
