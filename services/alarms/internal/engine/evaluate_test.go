package engine

import (
	"testing"
	"time"
)

func TestBreachingDataAreSeenBeforeThePeriodEnds(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.clock = epoch.Add(15 * time.Second)
	f.put(errorsOf("a"))
	f.evaluate()
	f.want("a", "OK")
	f.push(1, 10*time.Second) // the period before, late
	f.evaluate()
	f.want("a", "OK")
	f.push(1, 0)
	f.evaluate()
	f.want("a", "ALARM")
}

func TestANegativeSampleMayUndoASum(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.clock = epoch.Add(15 * time.Second)
	f.put(errorsOf("a"))
	f.push(5, 0, 10*time.Second)
	f.push(-1, 0)
	f.evaluate()
	f.want("a", "OK") // until the period has ended
	f.clock = epoch.Add(20 * time.Second)
	f.evaluate()
	f.want("a", "ALARM")
}

func TestThePeriodsEndIsEvaluated(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := errorsOf("a")
	d.Comparison, d.Threshold = "LESS_THAN_THRESHOLD", 3 // more samples may undo it: not early
	f.put(d)
	f.clock = epoch.Add(15 * time.Second)
	f.push(1, 0, 10*time.Second)
	if next := f.evaluate(); !next.Equal(epoch.Add(20 * time.Second)) {
		t.Fatalf("next evaluation at %s", next)
	}
	f.want("a", "OK")
	f.clock = epoch.Add(20 * time.Second)
	f.evaluate()
	f.want("a", "ALARM")
}

func TestAStateThatWasSetLastsUntilTheNextEvaluation(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.put(errorsOf("a"))
	f.evaluate()
	sub := f.Hub().Subscribe(nil)
	defer sub.Close()
	if _, err := sub.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.must(f.setState("a", "ALARM"))
	changes, err := sub.Next(t.Context())
	if err != nil || changes.Set["a"].Stored.State != "ALARM" {
		t.Fatalf("watched %+v, %v", changes, err)
	}
	f.clock = epoch.Add(9 * time.Second)
	f.evaluate()
	f.want("a", "ALARM")
	f.clock = epoch.Add(10 * time.Second)
	f.evaluate()
	f.want("a", "OK")
	f.must(f.setState("a", "ALARM"))
	f.push(0, 0)
	f.evaluate()
	f.want("a", "OK")
}

func TestBucketsLastAsLongAsTheyCount(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.put(errorsOf("a"))
	f.push(1, 0)
	for second := range 200 {
		f.clock = epoch.Add(time.Duration(second) * time.Second)
		f.push(1, 0)
		f.evaluate()
		// The range is 4 periods; the present one and one that may come back are kept besides.
		if n := len(f.alarms["a"].buckets[0]); n > 6 || n < min(5, second/10+1) {
			t.Fatalf("%d buckets after %d s", n, second)
		}
	}
	f.must(f.Change(t.Context(), []string{"a"}, nothing(Remove([]string{"a"}))))
	if len(f.alarms)+len(f.byMetric) > 0 {
		t.Fatal("a deleted alarm is kept")
	}
}

func TestDatapointsAreKeptAsLongAsAnAlarmLooksBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := errorsOf("long")
	d.Period, d.EvaluationPeriods = time.Hour, 24
	f.put(d)
	f.store.pruned = make(chan struct{})
	f.Start(t.Context())
	<-f.store.pruned // at the start, not after the first period
	f.Stop()
	want := [3]time.Time{epoch.Add(-33 * time.Hour), epoch.Add(-historyKept), epoch.Add(-requestsKept)}
	if f.store.before != want {
		t.Errorf("pruned before %v, want %v", f.store.before, want)
	}
}
