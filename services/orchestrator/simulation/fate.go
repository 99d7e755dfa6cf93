package simulation

import (
	"slices"
	"strings"
	"time"
)

// fate says what becomes of a call.
func (w *world) fate(p *process, what string, safe bool) Fault {
	if w.calls.Load() > mostCalls {
		w.trace.violated("4 ends", "%d calls and no end", mostCalls)
		w.cancel()
	}
	if at := w.plan.CrashAt; at > 0 {
		if w.calls.Add(1) == int64(at) {
			fault := CrashBefore
			if w.plan.CrashAfter {
				fault = CrashAfter
			}
			w.trace.fault(p.replica, fault, what)
			return fault
		}
		return NoFault
	}
	w.calls.Add(1)
	if !w.dice.permille(p.replica+" "+what, w.chance()) {
		return NoFault
	}
	faults := []Fault{CrashBefore, CrashAfter, Lost, AnswerLost, Delayed, Late, Paused}
	if safe {
		faults = append(faults, Doubled)
	}
	if strings.HasPrefix(what, "read") {
		faults = []Fault{CrashBefore, Lost, Delayed}
	}
	return w.spend(p, what, faults)
}

// fateOfNews says what becomes of an observation.
func (w *world) fateOfNews(p *process, what string) Fault {
	if w.plan.CrashAt > 0 || !w.dice.permille(p.replica+" news of "+what, w.chance()) {
		return NoFault
	}
	return w.spend(p, what, []Fault{Broken, LateNews, DoubleNews})
}

// spend draws a fault while there are any left.
func (w *world) spend(p *process, what string, faults []Fault) Fault {
	fault := pick(w.dice, p.replica+" fault of "+what, faults...)
	if only := w.plan.Only; only != NoFault {
		if !slices.Contains(faults, only) {
			return NoFault
		}
		fault = only
	}
	if !strings.HasPrefix(what, w.plan.At) {
		return NoFault
	}
	if time.Since(w.trace.began) > faultsCease || w.budget.Add(-1) < 0 {
		return NoFault
	}
	w.trace.fault(p.replica, fault, what)
	return fault
}

func (w *world) chance() int {
	if w.plan.Chance > 0 {
		return w.plan.Chance
	}
	return 60
}
