package store

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	healthcheckpb "github.com/slipway-deploy/slipway/gen/go/slipway/healthcheck/v1"
	"github.com/slipway-deploy/slipway/migrations/healthcheck"
	"github.com/slipway-deploy/slipway/platform/once"
	"github.com/slipway-deploy/slipway/platform/postgres"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/healthcheck/internal/verdict"
)

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// setup returns a store with the target group web.
func setup(t *testing.T) (*Store, *postgres.DB) {
	t.Helper()
	t.Parallel()
	db := postgrestest.New(t, "healthcheck", healthcheck.FS)
	s := New(db)
	s.in(t, func(ctx context.Context, tx pgx.Tx) error {
		_, err := s.GroupInsert(ctx, tx, Group{Name: "web", Definition: []byte("d"), CreateTime: now})
		return err
	})
	return s, db
}

func (s *Store) in(t *testing.T, f func(context.Context, pgx.Tx) error) {
	t.Helper()
	if err := s.InTx(t.Context(), func(tx pgx.Tx) error { return f(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

func target(id, service string) Target {
	return Target{Group: "web", ID: id, Address: "127.0.0.1:80", Service: service, Health: verdict.Registered(now)}
}

func (s *Store) register(t *testing.T, targets ...Target) (ids []string) {
	t.Helper()
	s.in(t, func(ctx context.Context, tx pgx.Tx) (err error) {
		ids, err = s.TargetsRegister(ctx, tx, "web", targets[0].Service, targets, now)
		return err
	})
	return ids
}

func (s *Store) all(t *testing.T) map[string]Target {
	t.Helper()
	list, err := s.TargetsAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]Target{}
	for _, target := range list {
		found[target.ID] = target
	}
	return found
}

func TestRegisteringAgainKeepsHealthUnlessTheAddressChanged(t *testing.T) {
	s, _ := setup(t)
	a := target("a", "s")
	if ids := s.register(t, a, target("b", "s")); len(ids) != 2 {
		t.Errorf("new: %v", ids)
	}
	healthy := a
	healthy.Health = verdict.Health{State: verdict.Healthy, Successes: 7, StateTime: now.Add(time.Second), CheckTime: now.Add(time.Minute)}
	if err := s.HealthUpdate(t.Context(), []Target{healthy}, Fence{}); err != nil {
		t.Fatal(err)
	}
	if ids := s.register(t, a); len(ids) != 0 {
		t.Errorf("changed: %v", ids)
	}
	if got := s.all(t)["a"]; got != healthy {
		t.Errorf("%+v, want %+v", got, healthy)
	}
	moved := a
	moved.Address = "127.0.0.1:81"
	if ids := s.register(t, moved); !slices.Equal(ids, []string{"a"}) {
		t.Errorf("changed: %v", ids)
	}
	if got := s.all(t)["a"]; got != moved {
		t.Errorf("%+v, want %+v", got, moved)
	}
}

func TestHealthIsSavedOnlyForTheSameAddressAndServiceAndNotWhileDraining(t *testing.T) {
	s, _ := setup(t)
	s.register(t, target("address", "s"), target("service", "s"), target("drain", "s"), target("gone", "s"), target("same", "s"))
	s.in(t, func(ctx context.Context, tx pgx.Tx) error {
		_, err := s.TargetsDrain(ctx, tx, "web", "s", []string{"drain"}, now, now.Add(time.Hour))
		if err != nil {
			return err
		}
		_, err = s.TargetsRemove(ctx, tx, "web", "s", []string{"gone"})
		return err
	})
	var late []Target
	for _, id := range []string{"address", "service", "drain", "gone", "same"} {
		saved := target(id, "s")
		saved.Health = verdict.Reported(saved.Health, true, "", 0, now)
		switch id {
		case "address":
			saved.Address = "127.0.0.1:99"
		case "service":
			saved.Service = "other"
		}
		late = append(late, saved)
	}
	if err := s.HealthUpdate(t.Context(), late, Fence{}); err != nil {
		t.Fatal(err)
	}
	want := map[string]verdict.State{
		"address": verdict.Initial, "service": verdict.Initial, "drain": verdict.Draining, "same": verdict.Healthy,
	}
	got := s.all(t)
	for id, state := range want {
		if got[id].Health.State != state {
			t.Errorf("%s: %s, want %s", id, got[id].Health.State, state)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d targets, want %d", len(got), len(want))
	}
}

func TestDrainingKeepsItsEndAndEndsThen(t *testing.T) {
	s, _ := setup(t)
	s.register(t, target("a", "s"), target("b", "s"))
	end := now.Add(time.Minute)
	drain := func(until time.Time, ids ...string) (begun []string) {
		s.in(t, func(ctx context.Context, tx pgx.Tx) (err error) {
			begun, err = s.TargetsDrain(ctx, tx, "web", "s", ids, now, until)
			return err
		})
		return begun
	}
	if ids := drain(end, "a", "unknown"); !slices.Equal(ids, []string{"a"}) {
		t.Errorf("begun: %v", ids)
	}
	if ids := drain(end.Add(time.Hour), "a"); len(ids) != 0 {
		t.Errorf("begun again: %v", ids)
	}
	if got := s.all(t)["a"]; !got.DrainEnd.Equal(end) || got.Health.Reason != verdict.DeregistrationInProgress {
		t.Errorf("%+v", got)
	}
	for _, at := range []time.Time{end.Add(-time.Second), end} {
		if err := s.TargetsExpire(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		if _, there := s.all(t)["a"]; there != at.Before(end) {
			t.Errorf("at %s there: %v", at, there)
		}
	}
	drain(end, "b")
	if ids := s.register(t, target("b", "s")); !slices.Equal(ids, []string{"b"}) || s.all(t)["b"] != target("b", "s") {
		t.Errorf("registered again: %v, %+v", ids, s.all(t)["b"])
	}
}

func TestOwnersAreKeptApart(t *testing.T) {
	s, _ := setup(t)
	s.register(t, target("a", "s"))
	s.register(t, target("hand", ""))
	for _, other := range []string{"", "other"} {
		s.in(t, func(ctx context.Context, tx pgx.Tx) error {
			removed, err := s.TargetsRemove(ctx, tx, "web", other, []string{"a"})
			drained, err2 := s.TargetsDrain(ctx, tx, "web", other, []string{"a"}, now, now.Add(time.Hour))
			if len(removed)+len(drained) > 0 {
				t.Errorf("%q removed %v and drained %v", other, removed, drained)
			}
			return errors.Join(err, err2)
		})
		err := s.InTx(t.Context(), func(tx pgx.Tx) error {
			_, err := s.TargetsRegister(t.Context(), tx, "web", other, []Target{target("a", other)}, now)
			return err
		})
		if problem.ReasonOf(err) != "IN_USE" {
			t.Errorf("%q registers a target of s: %v", other, err)
		}
	}
	if got := s.all(t)["a"]; got != target("a", "s") {
		t.Errorf("%+v", got)
	}
}

func TestAnOlderGenerationIsStale(t *testing.T) {
	s, _ := setup(t)
	for _, c := range []struct {
		service    string
		generation int64
		stale      bool
	}{{"s", 3, false}, {"s", 3, false}, {"s", 2, true}, {"t", 1, false}, {"s", 4, false}, {"s", 3, true}, {"", 9, false}, {"", 1, false}} {
		err := s.InTx(t.Context(), func(tx pgx.Tx) error { return s.Fence(t.Context(), tx, c.service, c.generation) })
		if (problem.ReasonOf(err) == "STALE_GENERATION") != c.stale || (err != nil) != c.stale {
			t.Errorf("%q %d: %v", c.service, c.generation, err)
		}
	}
}

func TestGoProtoAndSQLHaveTheSameStates(t *testing.T) {
	_, db := setup(t)
	var def string
	err := db.Pool.QueryRow(t.Context(), `SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'targets_state_check'`).Scan(&def)
	if err != nil {
		t.Fatal(err)
	}
	var inSQL, inProto, inGo []string
	for _, m := range regexp.MustCompile(`'([A-Z_]+)'`).FindAllStringSubmatch(def, -1) {
		inSQL = append(inSQL, m[1])
	}
	for number, name := range healthcheckpb.TargetHealth_State_name {
		if number != 0 {
			inProto = append(inProto, strings.TrimPrefix(name, "STATE_"))
		}
	}
	for _, state := range verdict.States() {
		inGo = append(inGo, string(state))
	}
	for _, names := range [][]string{inSQL, inProto, inGo} {
		slices.Sort(names)
	}
	if !slices.Equal(inSQL, inGo) || !slices.Equal(inProto, inGo) {
		t.Errorf("SQL %v\nproto %v\nGo %v", inSQL, inProto, inGo)
	}
}

func TestOnlyDrainingTargetsHaveAnEnd(t *testing.T) {
	s, db := setup(t)
	s.register(t, target("a", "s"))
	for _, sql := range []string{`UPDATE targets SET drain_end = now()`, `UPDATE targets SET state = 'DRAINING'`, `UPDATE targets SET state = 'UNKNOWN'`} {
		if _, err := db.Pool.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s: accepted", sql)
		}
	}
}

func TestMigrationsGoUpDownAndUp(t *testing.T) {
	t.Parallel()
	if err := postgrestest.UpDownUp(t, "healthcheck", healthcheck.FS); err != nil {
		t.Error(err)
	}
}

func TestTheTableOfRequestsIsPlatforms(t *testing.T) {
	t.Parallel()
	up, err := healthcheck.FS.ReadFile("000001_healthcheck.up.sql")
	if err != nil {
		t.Fatal(err)
	}
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	if !strings.Contains(squeeze(string(up)), squeeze(once.DDL)) {
		t.Errorf("the migration lacks %s", once.DDL)
	}
}

// What a replica saves whose lease is over changes nothing; the other targets of the batch are saved.
func TestHealthIsSavedUnderTheLeaseInForceOnly(t *testing.T) {
	s, db := setup(t)
	a, b := target("a", "s"), target("b", "s")
	if a.Shard() == b.Shard() {
		t.Fatal("the two are in one shard")
	}
	s.register(t, a, b)
	_, err := db.Pool.Exec(t.Context(), `UPDATE shard_leases SET holder = 'two', generation = 8 WHERE shard = ANY ($1)`, []int{a.Shard(), b.Shard()})
	if err != nil {
		t.Fatal(err)
	}
	a.Health.State, b.Health.State = verdict.Healthy, verdict.Healthy
	shards := []int{a.Shard(), b.Shard()}
	for _, c := range []struct {
		fence Fence
		saved []string
	}{
		{Fence{"one", shards, []int64{8, 8}}, nil},
		{Fence{"two", shards, []int64{7, 7}}, nil},
		{Fence{"two", nil, nil}, nil},
		{Fence{"two", shards, []int64{7, 8}}, []string{"b"}},
		{Fence{"two", shards[:1], []int64{8}}, []string{"a", "b"}},
	} {
		if err := s.HealthUpdate(t.Context(), []Target{a, b}, c.fence); err != nil {
			t.Fatal(err)
		}
		var saved []string
		for id, got := range s.all(t) {
			if got.Health.State == verdict.Healthy {
				saved = append(saved, id)
			}
		}
		slices.Sort(saved)
		if !slices.Equal(saved, c.saved) {
			t.Errorf("%+v: %v are saved, want %v", c.fence, saved, c.saved)
		}
	}
}
