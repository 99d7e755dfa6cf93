package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

func TestStatesWaitInOrderWhilePostgresIsAway(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	alarming(f)
	f.clock = f.clock.Add(time.Minute)
	f.evaluate()
	f.want("a", "OK")
	if err := f.flush(t.Context()); err == nil {
		t.Fatal("saved without a database")
	}
	f.store.set(func() { f.store.noTx = nil })
	f.must(f.flush(t.Context()))
	state, history := f.saved("a")
	if want := []string{okAlarm, "Alarm updated from ALARM to OK"}; state != "OK" || !slices.Equal(history[1:], want) {
		t.Errorf("saved %s, %q", state, history)
	}
	if states, points := f.waiting(); states+points > 0 {
		t.Errorf("%d states and %d datapoints wait", states, points)
	}
}

func TestStatesAndDatapointsDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	alarming(f) // states cannot be saved
	if states, points := f.waiting(); states != 1 || points != 0 {
		t.Errorf("without states: %d states and %d datapoints wait", states, points)
	}
	f.store.set(func() { f.store.noTx, f.store.noDatapoints = nil, away() })
	f.push(1, 0)
	if err := f.flush(t.Context()); err == nil {
		t.Fatal("saved without a database")
	}
	if states, points := f.waiting(); states != 0 || points != 1 {
		t.Errorf("without datapoints: %d states and %d datapoints wait", states, points)
	}
	f.push(1, 0)
	f.store.set(func() { f.store.noDatapoints = nil })
	f.must(f.flush(t.Context()))
	if got := sum(f); got != 4 {
		t.Errorf("saved a sum of %v, want 4", got)
	}
}

func sum(f *fixture) float64 {
	f.t.Helper()
	list, err := f.store.DatapointsRange(f.t.Context(), nil, errorsOf("").MetricID(), epoch.Add(-time.Hour), epoch.Add(time.Hour))
	f.must(err)
	total := 0.0
	for _, p := range list {
		total += p.Bucket.Sum
	}
	return total
}

func TestABadRowDoesNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.put(errorsOf("a"))
	f.put(errorsOf("other"))
	f.evaluate()
	f.pending.states[0].alarm.Reason = "\x00"
	for i := range 9 {
		f.push(1, time.Duration(i)*time.Second)
	}
	f.pending.points[f.pending.order[4]].Bucket.Count = 0 // refused by a constraint
	bad := f.pending.states[0].alarm.Name
	f.must(f.flush(t.Context()))
	if states, points := f.waiting(); states+points > 0 {
		t.Errorf("%d states and %d datapoints wait", states, points)
	}
	if got := sum(f); got != 8 {
		t.Errorf("saved a sum of %v, want 8", got)
	}
	good := map[string]string{"a": "other", "other": "a"}[bad]
	if state, _ := f.saved(good); state != "OK" {
		t.Errorf("%s is saved as %s", good, state)
	}
}

func TestTheOldestDatapointsAreDroppedFirst(t *testing.T) {
	t.Parallel()
	p := newPending()
	p.add(store.Datapoint{Time: epoch.Add(time.Duration(maxPending) * time.Second)})
	var old []store.Datapoint
	for i := range maxPending {
		old = append(old, store.Datapoint{Time: epoch.Add(time.Duration(i) * time.Second)})
	}
	p.giveBack(old)
	points, dropped := p.takePoints()
	if dropped != 1 || !points[0].Time.Equal(epoch.Add(time.Second)) || len(points) != maxPending {
		t.Errorf("dropped %d of %d, the first is of %s", dropped, len(points), points[0].Time)
	}
}

func TestStopSavesWhatWaits(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	alarming(f)
	f.push(1, 0)
	f.Start(t.Context())
	f.store.set(func() { f.store.noTx = nil })
	f.Stop()
	if state, _ := f.saved("a"); state != "ALARM" {
		t.Errorf("saved %s", state)
	}
	if got := sum(f); got != 3 {
		t.Errorf("saved a sum of %v, want 3", got)
	}
	again := f.restarted()
	f.must(again.Load(t.Context()))
	f.Engine = again
	f.evaluate()
	f.want("a", "ALARM")
}
