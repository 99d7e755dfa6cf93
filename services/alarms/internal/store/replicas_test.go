package store

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/migrations/alarms"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
)

// What a replica saves whose lease is over changes nothing, and leaves no history.
func TestAStateThatIsSavedUnderAnEarlierLeaseChangesNothing(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t, "alarms", alarms.FS)
	s := New(db)
	a := Alarm{Name: "a", Kind: Metric, Definition: []byte{1}, State: "OK", StateTime: epoch, ConfigurationTime: epoch}
	put(t, s, a)
	_, err := db.Pool.Exec(t.Context(), `UPDATE shard_leases SET holder = 'two', generation = 8, expire_time = now() + interval '1 hour' WHERE shard = 3`)
	must(t, err)
	save := func(state string, f Fence) {
		t.Helper()
		a.State = state
		must(t, s.InTx(t.Context(), func(tx pgx.Tx) error {
			return s.StateSave(t.Context(), tx, a, HistoryItem{Alarm: "a", Time: epoch, Type: StateUpdate, Data: "{}"}, f)
		}))
	}
	for _, stale := range []Fence{{"one", 3, 7}, {"two", 3, 7}, {"one", 3, 8}, {"two", 4, 8}, {"two", 3, 0}} {
		save("ALARM", stale)
	}
	if got, err := s.Alarm(t.Context(), "a"); err != nil || got.State != "OK" {
		t.Errorf("it is %s: %v", got.State, err)
	}
	if items, err := s.HistoryList(t.Context(), "a", 0, 10); err != nil || len(items) != 0 {
		t.Errorf("history: %v, %v", items, err)
	}
	save("ALARM", Fence{"two", 3, 8})
	save("INSUFFICIENT_DATA", Fence{}) // a user's
	if got, err := s.Alarm(t.Context(), "a"); err != nil || got.State != "INSUFFICIENT_DATA" {
		t.Errorf("it is %s: %v", got.State, err)
	}
	if items, err := s.HistoryList(t.Context(), "a", 0, 10); err != nil || len(items) != 2 {
		t.Errorf("history: %v, %v", items, err)
	}
}

// Each datapoint of another replica is read once: by the snapshot or after it, also when its transaction commits late.
func TestDatapointsOfOthersAreReadOnce(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t, "alarms", alarms.FS)
	one, two := New(db).As("one"), New(db).As("two")
	metric := alarm.MetricOf("n", "m", nil, "")
	second := 0
	point := func() []Datapoint {
		second++
		p := Datapoint{Metric: metric, Time: epoch.Add(time.Duration(second) * time.Second)}
		p.Bucket.Add(1, 1)
		return []Datapoint{p}
	}
	total := 0
	must(t, one.DatapointsAdd(t.Context(), point()))
	must(t, two.DatapointsAdd(t.Context(), point()))

	late, err := db.Pool.Begin(t.Context()) // of another replica, open across the snapshot
	must(t, err)
	_, err = late.Exec(t.Context(), insertDatapoints, [][]byte{metric[:]}, []time.Time{epoch.Add(time.Hour)}, []float64{1}, []float64{1},
		[]float64{1}, []float64{1}, []*string{nil}, "two")
	must(t, err)
	seen, err := one.SnapshotNow(t.Context())
	must(t, err)
	must(t, two.DatapointsAdd(t.Context(), point()))
	must(t, one.DatapointsAdd(t.Context(), point()))
	must(t, late.Commit(t.Context()))

	past, err := one.DatapointsSeen(t.Context(), metric, epoch, epoch.Add(2*time.Hour), seen)
	must(t, err)
	if len(past) != 3 { // its own two, and the other's that the snapshot has
		t.Errorf("%d datapoints of the past", len(past))
	}
	total += len(past)
	for since := seen; ; {
		arrived, next, err := one.DatapointsSince(t.Context(), since)
		must(t, err)
		if len(arrived) == 0 {
			break
		}
		for _, a := range arrived {
			if a.SeenIn(seen) {
				t.Error("one of the past arrived again")
			}
		}
		total, since = total+len(arrived), next
	}
	if total != 5 {
		t.Errorf("%d datapoints, want 5", total)
	}
}
