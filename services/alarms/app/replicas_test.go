package app_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/platform/lease"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/services/alarms/app"
)

// failOver is how long it may take until the alarms of a replica that is gone are evaluated again.
const failOver = 3 * time.Second

func replica(t *testing.T, url, name string) *service {
	t.Helper()
	return startWith(t, url, func(c *app.Config) { c.Replica = name })
}

func open(t *testing.T, url string) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(t.Context(), url, "alarms", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// shared waits until replicas hold their shares, and returns the names of two alarms, one of each.
func shared(t *testing.T, db *postgres.DB, replicas ...string) map[string]string {
	t.Helper()
	holders := map[string]string{}
	eventually(t, func() bool {
		clear(holders)
		for i := 0; len(holders) < len(replicas) && i < 1000; i++ {
			name, holder := fmt.Sprintf("a%d", i), ""
			err := db.Pool.QueryRow(t.Context(), `SELECT holder FROM shard_leases WHERE shard = $1`, lease.ShardOf(name)).Scan(&holder)
			if err != nil {
				t.Fatal(err)
			}
			if holders[holder] == "" {
				holders[holder] = name
			}
		}
		for _, r := range replicas {
			if holders[r] == "" {
				return false
			}
		}
		return len(holders) == len(replicas)
	})
	return holders
}

func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatal("not in time")
		}
	}
}

// above is an alarm on more than n errors.
func above(name string, n float64) *alarmspb.MetricAlarm {
	a := errors5xx(name)
	a.Threshold = n
	return a
}

func count(list []string, s string) (n int) {
	for _, other := range list {
		if other == s {
			n++
		}
	}
	return n
}

const toAlarm = "Alarm updated from OK to ALARM"

func TestReplicasShareTheAlarmsAndCountEverySampleOnce(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	one, two := replica(t, url, "one"), replica(t, url, "two")
	names := shared(t, open(t, url), "one", "two")
	all := []string{names["one"], names["two"]}
	for _, name := range all {
		one.put(above(name, 9))       // ten samples are more
		two.put(above(name+"-x", 10)) // and not more than this
	}
	for _, s := range []*service{one, two} {
		for _, name := range all {
			s.await(name, ok)
			s.await(name+"-x", ok)
		}
	}
	for range 5 {
		one.push(1, "")
		two.push(1, "")
	}
	for _, s := range []*service{one, two} {
		for _, name := range all {
			s.await(name, alarm)
		}
	}
	for _, name := range all {
		if got := count(two.history(name), toAlarm); got != 1 {
			t.Errorf("%s went to ALARM %d times", name, got)
		}
		if got := one.await(name+"-x", ok); got.GetState() != ok {
			t.Errorf("a sample of %s-x was counted twice", name)
		}
	}
	one.push(1, "") // the eleventh
	for _, name := range all {
		two.await(name+"-x", alarm)
	}
}

func TestChangesAtOneReplicaShowAtTheOther(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	one, two := replica(t, url, "one"), replica(t, url, "two")
	names := shared(t, open(t, url), "one", "two")
	for _, name := range names {
		one.put(errors5xx(name))
		one.await(name, ok)
		two.await(name, ok)
		_, err := two.SetAlarmState(t.Context(), &alarmspb.SetAlarmStateRequest{AlarmName: name, State: alarm, StateReason: "drill"})
		if err != nil {
			t.Fatal(err)
		}
		one.await(name, alarm)
		changed := errors5xx(name)
		changed.Description = "changed"
		one.put(changed)
		two.awaitAlarm(name, func(a *alarmspb.MetricAlarm) bool { return a.GetDescription() == "changed" })
		if _, err := two.DeleteAlarms(t.Context(), &alarmspb.DeleteAlarmsRequest{AlarmNames: []string{name}}); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() bool {
			left, _ := one.describe(&alarmspb.DescribeAlarmsRequest{})
			return !slices.Contains(left, name)
		})
	}
}

func TestTheAlarmsOfAReplicaThatIsCutOffAreEvaluatedByTheOther(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	way := postgrestest.NewRelay(t, url)
	one, two := replica(t, way.URL(), "one"), replica(t, url, "two")
	names := shared(t, open(t, url), "one", "two")
	for _, name := range names {
		two.put(above(name, 1))
		one.await(name, ok)
	}
	way.Cut()
	began := time.Now()
	two.push(1, "")
	two.push(1, "")
	two.await(names["one"], alarm)
	if took := time.Since(began); took > failOver {
		t.Errorf("it took %s", took)
	}
	for _, name := range names { // the state it has is not to be trusted
		one.awaitAlarm(name, func(a *alarmspb.MetricAlarm) bool {
			return a.GetEvaluationState() == alarmspb.MetricAlarm_EVALUATION_STATE_EVALUATION_FAILURE
		})
	}
	way.Mend()
	for _, name := range names {
		got := one.awaitAlarm(name, func(a *alarmspb.MetricAlarm) bool {
			return a.GetState() == alarm && a.GetEvaluationState() == alarmspb.MetricAlarm_EVALUATION_STATE_UNSPECIFIED
		})
		if n := count(one.history(got.GetName()), toAlarm); n != 1 {
			t.Errorf("%s went to ALARM %d times", name, n)
		}
	}
}

// The only replica goes on without Postgres, and saves what it found when Postgres is back.
func TestTheOnlyReplicaGoesOnWithoutItsLeases(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	way := postgrestest.NewRelay(t, url)
	one := startWith(t, way.URL(), func(c *app.Config) { c.Replica, c.Lease = "one", 500*time.Millisecond })
	one.put(errors5xx("a"))
	one.await("a", ok)
	way.Cut()
	db := open(t, url)
	eventually(t, func() (over bool) {
		if err := db.Pool.QueryRow(t.Context(), `SELECT max(expire_time) < now() FROM shard_leases`).Scan(&over); err != nil {
			t.Fatal(err)
		}
		return over
	})
	one.push(1, "")
	one.await("a", alarm)
	way.Mend()
	eventually(t, func() bool { return count(one.history("a"), toAlarm) == 1 })
}

func TestAReplicaThatStopsHandsItsAlarmsOverAtOnce(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	long := func(name string) *service {
		return startWith(t, url, func(c *app.Config) { c.Replica, c.Lease = name, time.Minute })
	}
	one, two := long("one"), long("two")
	names := shared(t, open(t, url), "one", "two")
	for _, name := range names {
		one.put(errors5xx(name))
		two.await(name, ok)
	}
	one.push(1, "")
	one.stop()
	two.await(names["one"], alarm)
	two.await(names["two"], alarm)
}
