package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/services/alarms/internal/composite"
)

func (f *fixture) composite(name, rule string) Definition {
	f.t.Helper()
	return f.suppressed(name, rule, "")
}

func (f *fixture) suppressed(name, rule, suppressor string) Definition {
	f.t.Helper()
	s := composite.Settings{Name: name, Rule: rule, Suppressor: suppressor}
	if suppressor != "" {
		s.Wait, s.Extension = new(20*time.Second), new(30*time.Second)
	}
	c, broken := composite.New(s)
	if len(broken) > 0 {
		f.t.Fatal(broken)
	}
	return Definition{Name: name, Composite: &c}
}

func (f *fixture) forward(d time.Duration) {
	f.clock = f.clock.Add(d)
	f.evaluate()
}

// A child and what it makes of its parents are one step: the alarm that looks at both sees no state between.
func TestCompositeAlarmsFollowTheirChildrenInOrder(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.clock = epoch.Add(15 * time.Second)
	f.put(errorsOf("a"))
	f.putAny(f.composite("z", "ALARM(a)"))
	f.putAny(f.composite("b", "ALARM(a) AND NOT ALARM(z)")) // never, though its name comes first
	f.putAny(f.composite("top", "ALARM(z) OR ALARM(b)"))
	f.evaluate()
	f.want("z", "OK")
	f.push(1, 0, 10*time.Second)
	f.evaluate()
	f.want("a", "ALARM")
	f.want("z", "ALARM")
	f.want("top", "ALARM")
	f.must(f.flush(t.Context()))
	if _, history := f.saved("b"); !slices.Equal(history, []string{"Alarm updated from INSUFFICIENT_DATA to OK"}) {
		t.Errorf("b: %q", history)
	}
	if a, _ := f.Hub().Get("z"); a.Stored.Reason != "a transitioned to ALARM at Thursday 01 January, 2026 00:00:15 UTC" {
		t.Error(a.Stored.Reason)
	}
	f.must(f.setState("a", "OK"))
	f.evaluate()
	f.want("top", "OK")
}

func TestCompositeAlarmsAreThereAgainAfterARestart(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.clock = epoch.Add(15 * time.Second)
	f.putAny(f.composite("a", "ALARM(z)")) // is loaded before its child
	f.put(errorsOf("z"))
	f.push(1, 0, 10*time.Second)
	f.evaluate()
	f.want("a", "ALARM")
	f.must(f.flush(t.Context()))
	f.Engine = f.restarted()
	f.must(f.Load(t.Context()))
	f.evaluate()
	f.want("a", "ALARM")
	f.must(f.setState("z", "OK"))
	f.evaluate()
	f.want("a", "OK")
}

func TestASuppressorHoldsActionsBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.clock = epoch.Add(15 * time.Second)
	f.put(errorsOf("a"))
	f.put(errorsOf("other"))
	f.putAny(f.suppressed("c", "ALARM(a)", "other"))
	by := func(want composite.By) {
		t.Helper()
		if a, _ := f.Hub().Get("c"); a.Suppression.By != want {
			t.Errorf("at %s: suppressed by %q, want %q", f.clock.Format("15:04:05"), a.Suppression.By, want)
		}
	}
	f.evaluate()
	by(composite.Nothing)
	f.push(1, 0, 10*time.Second)
	f.evaluate()
	f.want("c", "ALARM")
	by(composite.WaitPeriod)
	if next := f.evaluate(); next.After(f.clock.Add(20 * time.Second)) {
		t.Errorf("the end of the wait period is not looked at: next evaluation at %s", next)
	}
	f.must(f.setState("other", "ALARM"))
	f.evaluate()
	by(composite.BySuppressor)
	f.must(f.setState("other", "OK"))
	f.evaluate()
	by(composite.ExtensionPeriod)
	f.must(f.flush(t.Context()))
	f.Engine = f.restarted() // the extension outlives a restart
	f.must(f.Load(t.Context()))
	f.forward(4 * time.Second)
	by(composite.ExtensionPeriod)
	f.forward(26 * time.Second)
	by(composite.Nothing)
}
