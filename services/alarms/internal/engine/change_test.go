package engine

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

func nothing(effect Effect) func(pgx.Tx) (Effect, error) {
	return func(pgx.Tx) (Effect, error) { return effect, nil }
}

const okAlarm = "Alarm updated from OK to ALARM"

// alarming puts an alarm, saves that it is OK and lets it go to ALARM while Postgres is away.
func alarming(f *fixture) {
	f.t.Helper()
	f.clock = epoch.Add(15 * time.Second)
	f.put(errorsOf("a"))
	f.evaluate()
	f.must(f.flush(f.t.Context()))
	f.store.set(func() { f.store.noTx = away() })
	f.push(1, 0, 10*time.Second)
	f.evaluate()
	f.want("a", "ALARM")
	if err := f.flush(f.t.Context()); err == nil {
		f.t.Fatal("saved without a database")
	}
}

func TestStatesThatWaitAreSavedBeforeAStateThatIsSet(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	alarming(f)
	if err := f.setState("a", "OK"); err == nil {
		t.Fatal("set without a database")
	}
	f.want("a", "ALARM")
	f.store.set(func() { f.store.noTx = nil })
	f.must(f.setState("a", "INSUFFICIENT_DATA"))
	f.must(f.flush(t.Context()))
	f.want("a", "INSUFFICIENT_DATA")
	state, history := f.saved("a")
	if want := []string{"Alarm updated from INSUFFICIENT_DATA to OK", okAlarm, "set to INSUFFICIENT_DATA"}; state != "INSUFFICIENT_DATA" || !slices.Equal(history, want) {
		t.Errorf("saved %s, %q", state, history)
	}
}

func TestAnAlarmThatIsPutKeepsAStateThatWaits(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	alarming(f)
	f.store.set(func() { f.store.noTx = nil })
	f.put(errorsOf("a"))
	f.want("a", "ALARM")
}

func TestAStateThatWaitsIsNotSavedForANewAlarmOfTheName(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	alarming(f)
	f.store.set(func() { f.store.noTx = nil })
	f.must(f.Change(t.Context(), []string{"a"}, func(tx pgx.Tx) (Effect, error) {
		return Remove([]string{"a"}), f.store.AlarmsDelete(t.Context(), tx, []string{"a"})
	}))
	f.put(errorsOf("a"))
	f.must(f.flush(t.Context()))
	if state, _ := f.saved("a"); state != "INSUFFICIENT_DATA" {
		t.Errorf("a new alarm is %s", state)
	}
}

func TestAHeldAlarmIsNotEvaluated(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.clock = epoch.Add(15 * time.Second)
	f.put(errorsOf("a"))
	f.evaluate()
	f.push(1, 0, 10*time.Second)
	f.must(f.Change(t.Context(), []string{"a"}, func(pgx.Tx) (Effect, error) {
		if next := f.evaluate(); !next.Equal(f.clock.Add(maxEvaluations)) {
			t.Errorf("a held alarm is due at %s", next)
		}
		f.want("a", "OK")
		return nil, nil
	}))
	f.evaluate()
	f.want("a", "ALARM")
}

func TestAFailedChangeHasNoEffect(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.put(errorsOf("a"))
	refused := errors.New("refused")
	err := f.Change(t.Context(), []string{"a"}, func(pgx.Tx) (Effect, error) { return Remove([]string{"a"}), refused })
	if !errors.Is(err, refused) {
		t.Fatal(err)
	}
	f.must(f.flush(t.Context()))
	f.want("a", "INSUFFICIENT_DATA")
}

func TestALostCommitIsLookedUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.put(errorsOf("a"))
	f.evaluate()
	f.must(f.flush(t.Context()))
	f.store.set(func() { f.store.lostCommit = true })
	if err := f.setState("a", "ALARM"); err == nil {
		t.Fatal("the commit was heard of")
	}
	f.want("a", "OK")
	f.must(f.flush(t.Context()))
	f.want("a", "ALARM")
	f.store.set(func() { f.store.lostCommit = true })
	err := f.Change(t.Context(), []string{"a"}, func(tx pgx.Tx) (Effect, error) {
		return Remove([]string{"a"}), f.store.AlarmsDelete(t.Context(), tx, []string{"a"})
	})
	if err == nil {
		t.Fatal("the commit was heard of")
	}
	f.must(f.flush(t.Context()))
	f.want("a", "none")
}

func TestAnAlarmThatIsPutCountsEachDatapointOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.clock = epoch.Add(15 * time.Second)
	f.push(1, 0) // saved
	f.must(f.flush(t.Context()))
	f.push(10, 0) // waits
	d := errorsOf("a")
	f.must(f.Change(t.Context(), []string{"a"}, func(tx pgx.Tx) (Effect, error) {
		stored, _, err := f.store.AlarmPut(t.Context(), tx, store.Alarm{Name: "a", Kind: store.Metric, Definition: []byte("a"), State: "OK"})
		if err != nil {
			return nil, err
		}
		effect, err := f.Put(t.Context(), tx, on(d), stored)
		f.push(100, 0) // after the past was read, before the alarm is known
		return effect, err
	}))
	f.push(1000, 0) // the alarm is known
	if b := f.alarms["a"].buckets[0][epoch.Add(10*time.Second)]; b == nil || b.Sum != 1111 {
		t.Errorf("sum %+v, want 1111", b)
	}
}

func TestAnotherMetricHasAnotherPast(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.clock = epoch.Add(15 * time.Second)
	f.push(1, 0, 10*time.Second)
	f.must(f.flush(t.Context()))
	d := errorsOf("a")
	d.Metric = "other"
	f.put(d)
	f.evaluate()
	f.want("a", "OK")
	f.put(errorsOf("a"))
	f.evaluate()
	f.want("a", "ALARM")
}

func TestChangesAndFlushesAreOneAtATime(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.push(1, 0)
	f.must(f.Change(t.Context(), nil, func(pgx.Tx) (Effect, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := f.flush(ctx); !errors.Is(err, problem.DeadlineExceeded) {
			t.Errorf("a flush: %v", err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := f.Change(ctx, nil, func(pgx.Tx) (Effect, error) {
			t.Error("another change ran")
			return nil, nil
		})
		if !errors.Is(err, problem.DeadlineExceeded) {
			t.Errorf("another change: %v", err)
		}
		return nil, nil
	}))
	f.must(f.flush(t.Context()))
	if got := sum(f); got != 1 {
		t.Errorf("saved a sum of %v, want 1", got)
	}
}
