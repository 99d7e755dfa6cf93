package store

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/migrations/alarms"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newStore(t *testing.T) *Store {
	t.Helper()
	return New(postgrestest.New(t, "alarms", alarms.FS))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, s *Store, a Alarm) (got Alarm, created bool) {
	t.Helper()
	must(t, s.InTx(t.Context(), func(tx pgx.Tx) (err error) {
		got, created, err = s.AlarmPut(t.Context(), tx, a)
		return err
	}))
	return got, created
}

func TestPutKeepsTheState(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	first := Alarm{Name: "a", Kind: Metric, Definition: []byte{1}, State: "OK", Reason: "r", ReasonData: "{}", StateTime: epoch, ConfigurationTime: epoch}
	if got, created := put(t, s, first); !created || !reflect.DeepEqual(got, first) {
		t.Errorf("created %v: %+v", created, got)
	}
	later := epoch.Add(time.Hour)
	want := first
	want.Definition, want.ConfigurationTime = []byte{2}, later
	if got, created := put(t, s, Alarm{Name: "a", Kind: Metric, Definition: []byte{2}, State: "ALARM", StateTime: later, ConfigurationTime: later}); created || !reflect.DeepEqual(got, want) {
		t.Errorf("created %v: %+v", created, got)
	}
	list, err := s.AlarmsAll(t.Context())
	if err != nil || len(list) != 1 || !reflect.DeepEqual(list[0], want) {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestDeleteIsAllOrNothing(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	put(t, s, Alarm{Name: "a", Kind: Metric, Definition: []byte{}, State: "OK", StateTime: epoch, ConfigurationTime: epoch})
	del := func(names ...string) error {
		return s.InTx(t.Context(), func(tx pgx.Tx) error { return s.AlarmsDelete(t.Context(), tx, names) })
	}
	if err := del("a", "b"); !errors.Is(err, problem.NotFound) {
		t.Fatal(err)
	}
	if _, err := s.Alarm(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	must(t, del("a"))
	if _, err := s.Alarm(t.Context(), "a"); !errors.Is(err, problem.NotFound) {
		t.Fatal(err)
	}
}

func TestHistoryIsNewestFirstInPages(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	must(t, s.InTx(t.Context(), func(tx pgx.Tx) error {
		for i := range 6 {
			item := HistoryItem{Alarm: fmt.Sprint("a", i%2), Time: epoch, Type: StateUpdate, Summary: fmt.Sprint(i), Data: "{}"}
			if err := s.HistoryAdd(t.Context(), tx, item); err != nil {
				return err
			}
		}
		return nil
	}))
	summaries := func(name string, below int64, limit int) (all string, last int64) {
		list, err := s.HistoryList(t.Context(), name, below, limit)
		must(t, err)
		for _, item := range list {
			all, last = all+item.Summary, item.ID
		}
		return all, last
	}
	first, last := summaries("a1", 0, 2)
	rest, _ := summaries("a1", last, 2)
	all, _ := summaries("", 0, 10)
	if first != "53" || rest != "1" || all != "543210" {
		t.Errorf("%s, %s; all %s", first, rest, all)
	}
}

func TestDatapointsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	metric := alarm.MetricOf("n", "m", nil, "")
	points := []Datapoint{{Metric: metric, Time: epoch}, {Metric: metric, Time: epoch.Add(time.Second)}, {Metric: alarm.MetricOf("n", "other", nil, ""), Time: epoch}}
	points[0].Bucket.Add(0.1, 2)
	points[0].Bucket.Add(-0x1p360, 0x1p360)
	points[1].Bucket.AddSet(3, 6, 1, 3)
	points[2].Bucket.Add(1, 1)
	must(t, s.DatapointsAdd(t.Context(), points))
	got, err := s.DatapointsRange(t.Context(), nil, metric, epoch, epoch.Add(2*time.Second))
	if err != nil || !reflect.DeepEqual(got, points[:2]) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = s.DatapointsRange(t.Context(), nil, metric, epoch, epoch.Add(time.Second)); err != nil || len(got) != 1 {
		t.Errorf("the end counts: %+v, %v", got, err)
	}
}

func TestPruneDeletesWhatIsOlder(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for i := range 3 {
		p := Datapoint{Time: epoch.Add(time.Duration(i) * time.Hour)}
		p.Bucket.Add(1, 1)
		must(t, s.DatapointsAdd(t.Context(), []Datapoint{p}))
		must(t, s.InTx(t.Context(), func(tx pgx.Tx) error {
			return s.HistoryAdd(t.Context(), tx, HistoryItem{Alarm: "a", Time: p.Time, Type: StateUpdate})
		}))
	}
	must(t, s.Prune(t.Context(), epoch.Add(time.Hour), epoch.Add(2*time.Hour), epoch))
	points, err := s.DatapointsRange(t.Context(), nil, alarm.Metric{}, epoch, epoch.Add(24*time.Hour))
	must(t, err)
	history, err := s.HistoryList(t.Context(), "", 0, 10)
	must(t, err)
	if len(points) != 2 || len(history) != 1 {
		t.Errorf("%d datapoints and %d history items are left", len(points), len(history))
	}
}

func TestRefusedIsNotUnavailable(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	var bad Datapoint
	bad.Time = epoch // no samples
	if err := s.DatapointsAdd(t.Context(), []Datapoint{bad}); !Refused(err) {
		t.Errorf("an empty datapoint: %v", err)
	}
	err := s.InTx(t.Context(), func(tx pgx.Tx) error {
		return s.HistoryAdd(t.Context(), tx, HistoryItem{Alarm: "\x00", Time: epoch, Type: StateUpdate})
	})
	if !Refused(err) {
		t.Errorf("a NUL: %v", err)
	}
	s.db.Pool.Close()
	if err := s.DatapointsAdd(t.Context(), []Datapoint{bad}); err == nil || Refused(err) {
		t.Errorf("no database: %v", err)
	}
}
