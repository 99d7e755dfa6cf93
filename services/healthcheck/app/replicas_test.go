package app_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
)

// holders is how many shards each replica holds.
func (s *service) holders(t *testing.T) map[string]int {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	rows, err := conn.Query(t.Context(), `SELECT holder, count(*) FROM healthcheck.shard_leases WHERE expire_time > now() GROUP BY holder`)
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]int{}
	var holder string
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&holder, &n}, func() error { held[holder] = n; return nil }); err != nil {
		t.Fatal(err)
	}
	return held
}

// Two replicas share the checks, answer alike, and when one stops the other goes on with all of them.
func TestTwoReplicasShareTheTargets(t *testing.T) {
	one := startNew(t)
	two := start(t, one.url)
	eventually(t, "the shards to be shared", func() bool { return len(one.holders(t)) == 2 })
	var broken atomic.Bool
	address := server(t, func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	one.group(t, "web", httpCheck(minInterval), time.Hour)
	one.group(t, "jobs", &healthcheckpb.HealthCheck{Type: healthcheckpb.HealthCheck_TYPE_CONTAINER}, 0)
	var list []string
	for i := range 20 {
		list = append(list, fmt.Sprint("t", i), address)
	}
	one.register(t, "web", "", list...)
	one.register(t, "jobs", "", "job", address)
	each := func(do func(id string)) {
		for i := range 20 {
			do(fmt.Sprint("t", i))
		}
	}
	each(func(id string) {
		two.awaitState(t, "web", id, healthy)
		one.awaitState(t, "web", id, healthy)
	})
	two.report(t, "jobs", "job", healthcheckpb.SetCustomHealthRequest_STATUS_HEALTHY, "fine")
	one.wantState(t, "jobs", "job", healthy)
	one.awaitState(t, "jobs", "job", healthy)
	two.deregister(t, "web", "", "t0")
	one.awaitState(t, "web", "t0", healthcheckpb.TargetHealth_STATE_DRAINING)
	one.stop()
	broken.Store(true)
	each(func(id string) {
		if id != "t0" {
			two.awaitState(t, "web", id, healthcheckpb.TargetHealth_STATE_UNHEALTHY)
		}
	})
	if held := two.holders(t); len(held) != 1 {
		t.Errorf("one replica is left; the shards are held by %v", held)
	}
}

// Calls at several replicas at once wait for each other in no circle: each locks target groups, services and targets.
func TestReplicasTakeCallsAtOnce(t *testing.T) {
	one := startNew(t)
	two := start(t, one.url)
	eventually(t, "the shards to be shared", func() bool { return len(one.holders(t)) == 2 })
	for _, group := range []string{"a", "b"} {
		one.group(t, group, httpCheck(time.Minute), 0)
	}
	address := server(t, func(http.ResponseWriter, *http.Request) {})
	began := time.Now()
	var calls sync.WaitGroup
	for i := range 40 {
		for j, s := range []*service{one, two} {
			calls.Go(func() {
				id, group := fmt.Sprint(j, "-", i), []string{"a", "b"}[(i+j)%2]
				s.register(t, group, "", id, address)
				s.deregister(t, group, "", id)
			})
		}
	}
	calls.Wait()
	t.Logf("160 calls took %s", time.Since(began))
}
