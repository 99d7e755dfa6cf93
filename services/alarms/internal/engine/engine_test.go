package engine

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/drivers/metrics"
	"github.com/slipway-deploy/slipway/migrations/alarms"
	"github.com/slipway-deploy/slipway/platform/postgres/postgrestest"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
	"github.com/slipway-deploy/slipway/services/alarms/internal/composite"
	"github.com/slipway-deploy/slipway/services/alarms/internal/series"
	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

// flaky is a store whose database can go away.
type flaky struct {
	*store.Store
	mu           sync.Mutex
	noTx         error         // transactions fail
	noDatapoints error         // saving datapoints fails
	lostCommit   bool          // the next commit succeeds, but nobody hears of it
	pruned       chan struct{} // when set, told of each prune
	before       [3]time.Time
}

func (f *flaky) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *flaky) InTx(ctx context.Context, do func(pgx.Tx) error) error {
	f.mu.Lock()
	noTx, lost := f.noTx, f.lostCommit
	f.lostCommit = false
	f.mu.Unlock()
	if noTx != nil {
		return noTx
	}
	if err := f.Store.InTx(ctx, do); err != nil || !lost {
		return err
	}
	return away()
}

func (f *flaky) DatapointsAdd(ctx context.Context, points []store.Datapoint) error {
	f.mu.Lock()
	err := f.noDatapoints
	f.mu.Unlock()
	if err != nil {
		return err
	}
	return f.Store.DatapointsAdd(ctx, points)
}

func (f *flaky) Prune(ctx context.Context, datapoints, history, requests time.Time) error {
	err := f.Store.Prune(ctx, datapoints, history, requests)
	if f.pruned != nil {
		f.set(func() { f.before = [3]time.Time{datapoints, history, requests} })
		f.pruned <- struct{}{}
	}
	return err
}

func away() error {
	return problem.New(problem.Unavailable, "DATABASE_UNAVAILABLE", "the database is away")
}

// fixture is an engine whose clock the test moves and whose loops do not run.
type fixture struct {
	*Engine
	t     *testing.T
	store *flaky
	clock time.Time

	sources    map[series.Source]metrics.Source
	composites map[string]composite.Definition
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, store: &flaky{Store: store.New(postgrestest.New(t, "alarms", alarms.FS))}, clock: epoch, composites: map[string]composite.Definition{}}
	f.Engine = f.restarted()
	return f
}

func (f *fixture) restarted() *Engine {
	return New(Config{
		Store: f.store, Retention: time.Hour, Now: func() time.Time { return f.clock }, Log: slog.New(slog.DiscardHandler),
		Decode: func(a store.Alarm) (Definition, error) { return f.decode(a), nil }, Sources: f.sources,
	})
}

// errorsOf is an alarm on a sum of errors: metric "m" or, for the alarm "other...", another.
func errorsOf(name string) alarm.Definition {
	d := alarm.Definition{
		Name: name, Namespace: "n", Metric: "m", Statistic: alarm.Sum, Period: 10 * time.Second, EvaluationPeriods: 2, DatapointsToAlarm: 2,
		Comparison: alarm.Greater, Missing: alarm.NotBreaches,
	}
	if strings.HasPrefix(name, "other") {
		d.Metric = "other"
	}
	return d
}

// on is an alarm on pushed samples of one metric.
func on(d alarm.Definition) Definition {
	return Definition{Name: d.Name, Metric: &series.Definition{Definition: d, Metrics: []series.Metric{
		{Namespace: d.Namespace, Name: d.Metric, Statistic: d.Statistic, Source: series.Pushed},
	}}}
}

func (f *fixture) decode(a store.Alarm) Definition {
	if c, ok := f.composites[a.Name]; ok {
		return Definition{Name: a.Name, Composite: &c}
	}
	return on(errorsOf(string(a.Definition)))
}

func (f *fixture) put(d alarm.Definition) { f.putAny(on(d)) }

func (f *fixture) putAny(d Definition) {
	f.t.Helper()
	kind := store.Metric
	if d.Composite != nil {
		kind = store.Composite
		f.composites[d.Name] = *d.Composite
	}
	err := f.Change(f.t.Context(), []string{d.Name}, func(tx pgx.Tx) (Effect, error) {
		stored, _, err := f.store.AlarmPut(f.t.Context(), tx, store.Alarm{
			Name: d.Name, Kind: kind, Definition: []byte(d.Name), State: "INSUFFICIENT_DATA", StateTime: f.clock, ConfigurationTime: f.clock,
		})
		if err != nil {
			return nil, err
		}
		return f.Put(f.t.Context(), tx, d, stored)
	})
	f.must(err)
}

func (f *fixture) setState(name, state string) error {
	return f.Change(f.t.Context(), []string{name}, func(tx pgx.Tx) (Effect, error) {
		stored, err := f.store.AlarmLock(f.t.Context(), tx, name)
		if err != nil {
			return nil, err
		}
		stored.State, stored.StateTime = state, f.clock
		item := store.HistoryItem{Alarm: name, Time: f.clock, Type: store.StateUpdate, Summary: "set to " + state}
		return SetState(stored), f.store.StateSave(f.t.Context(), tx, stored, item, store.Fence{})
	})
}

// push is samples of the metric "m", each so long before now.
func (f *fixture) push(value float64, ago ...time.Duration) {
	for _, d := range ago {
		p := store.Datapoint{Metric: errorsOf("").MetricID(), Time: f.clock.Add(-d)}
		p.Bucket.Add(value, 1)
		f.Push([]store.Datapoint{p})
	}
}

func (f *fixture) evaluate() time.Time { return f.evaluateDue(f.t.Context(), f.clock) }

func (f *fixture) state(name string) string {
	f.t.Helper()
	a, ok := f.Hub().Get(name)
	if !ok {
		return "none"
	}
	return a.Stored.State
}

func (f *fixture) want(name, state string) {
	f.t.Helper()
	if got := f.state(name); got != state {
		f.t.Fatalf("%s is %s, want %s", name, got, state)
	}
}

// saved is the state and the summaries of the history, oldest first.
func (f *fixture) saved(name string) (state string, history []string) {
	f.t.Helper()
	a, err := f.store.Alarm(f.t.Context(), name)
	f.must(err)
	list, err := f.store.HistoryList(f.t.Context(), name, 0, 100)
	f.must(err)
	for _, item := range list {
		history = append([]string{item.Summary}, history...)
	}
	return a.State, history
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}
