// Package engine evaluates alarms: as often as CloudWatch does, and at once when data arrive that may change a state, for a
// rollback waits for it; composite alarms when another alarm changes. Data that nobody pushes it fetches from their sources, beside
// evaluating. Packages alarm, series and composite decide; the store keeps; the hub publishes. When Postgres is away, evaluating and
// publishing go on in memory and saves are made up for later, in order.
//
// Whatever changes an alarm in the store besides an evaluation goes through Change, one at a time and not while saves are made
// up for: so memory takes changes over in the order of their transactions.
package engine

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/slipway-deploy/slipway/drivers/metrics"
	"github.com/slipway-deploy/slipway/platform/watch"
	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
	"github.com/slipway-deploy/slipway/services/alarms/internal/composite"
	"github.com/slipway-deploy/slipway/services/alarms/internal/series"
	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

// Store is what the engine needs of package store.
type Store interface {
	InTx(ctx context.Context, f func(pgx.Tx) error) error
	AlarmsAll(ctx context.Context) ([]store.Alarm, error)
	Alarm(ctx context.Context, name string) (store.Alarm, error)
	StateSave(ctx context.Context, tx pgx.Tx, a store.Alarm, item store.HistoryItem, f store.Fence) error
	DatapointsAdd(ctx context.Context, points []store.Datapoint) error
	DatapointsRange(ctx context.Context, q store.Querier, metric alarm.Metric, from, to time.Time) ([]store.Datapoint, error)
	Prune(ctx context.Context, datapoints, history, requests time.Time) error
}

// Config is what an engine works with.
type Config struct {
	Store     Store
	Leases    Leases                                // nil: there is no other replica, and every alarm is this one's
	Others    Others                                // needed with Leases
	Decode    func(store.Alarm) (Definition, error) // reads store.Alarm.Definition
	Sources   map[series.Source]metrics.Source      // those that are set up
	ARN       func(alarm string) string             // of an alarm, for reasons; nil gives the name
	Retention time.Duration                         // of datapoints; those in an alarm's range are kept longer
	Now       func() time.Time
	Log       *slog.Logger
	Metrics   Metrics
}

// Definition is what an alarm is: a metric alarm or a composite one.
type Definition struct {
	Name      string
	Metric    *series.Definition
	Composite *composite.Definition
}

// Alarm is an alarm as it is now.
type Alarm struct {
	Definition     Definition
	Stored         store.Alarm
	EvaluationTime time.Time // zero before the first evaluation
	Trouble        Trouble
	Suppression    composite.Suppression
}

// Trouble is why an alarm's state may not be what it would be.
type Trouble struct {
	State  string // CloudWatch's EvaluationState, or empty
	Reason string
}

// The evaluation states.
const (
	EvaluationError   = "EVALUATION_ERROR"
	EvaluationFailure = "EVALUATION_FAILURE"
	InWarmUp          = "IN_WARM_UP"
)

// Engine holds every alarm.
type Engine struct {
	cfg      Config
	hub      *watch.Hub[string, Alarm]
	changing chan struct{} // holds a token while a change or a flush is under way; taken before mu

	mu       sync.Mutex
	alarms   map[string]*watched
	byMetric map[alarm.Metric]map[string]*watched
	parents  map[string]map[string]*watched // composite alarms by the names of their children
	order    []*watched                     // composite alarms, children before parents
	held     map[string]bool                // alarms that a change is about: not evaluated meanwhile
	stale    map[string]bool                // alarms of changes that may or may not have been committed: to be read again
	pending  pending
	shared   shared

	wake, fetch chan struct{} // to evaluate; to fetch
	polls       chan struct{} // a token for each source that is asked
	stop        context.CancelFunc
	done        sync.WaitGroup
}

// New returns an engine that evaluates nothing yet.
func New(cfg Config) *Engine {
	if cfg.ARN == nil {
		cfg.ARN = func(name string) string { return name }
	}
	return &Engine{
		cfg: cfg, hub: watch.NewHub[string, Alarm](), changing: make(chan struct{}, 1), alarms: map[string]*watched{},
		byMetric: map[alarm.Metric]map[string]*watched{}, parents: map[string]map[string]*watched{}, held: map[string]bool{}, stale: map[string]bool{},
		pending: newPending(), shared: shared{generations: map[int]int64{}, told: make(chan struct{}, 1)},
		wake: make(chan struct{}, 1), fetch: make(chan struct{}, 1), polls: make(chan struct{}, maxPolls),
	}
}

// Load takes up every alarm with the datapoints of its evaluation range; with leases without them: they are read when the alarm
// becomes this replica's.
func (e *Engine) Load(ctx context.Context) error {
	list, err := e.cfg.Store.AlarmsAll(ctx)
	if err != nil {
		return err
	}
	for _, a := range list {
		effect, err := e.read(ctx, a)
		if err != nil {
			return err
		}
		e.apply(effect)
	}
	return nil
}

// Start begins to evaluate.
func (e *Engine) Start(ctx context.Context) {
	ctx, e.stop = context.WithCancel(context.WithoutCancel(ctx))
	for _, loop := range []func(context.Context){e.evaluateLoop, e.fetchLoop, e.flushLoop, e.pruneLoop} {
		e.done.Go(func() { loop(ctx) })
	}
}

// Stop ends evaluating and saves what waits, for a few seconds at most.
func (e *Engine) Stop() {
	if e.stop == nil {
		return
	}
	e.stop()
	e.done.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := e.drain(ctx); err != nil {
		states, points := e.waiting()
		e.cfg.Log.Error("alarm data could not be saved before the end", "states", states, "datapoints", points, "cause", err)
	}
}

// drain saves until nothing waits.
func (e *Engine) drain(ctx context.Context) error {
	ticker := time.NewTicker(flushPeriod)
	defer ticker.Stop()
	for {
		err := e.flush(ctx)
		if states, points := e.waiting(); states+points == 0 {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

// Hub is every alarm as it changes.
func (e *Engine) Hub() *watch.Hub[string, Alarm] { return e.hub }

// Alarms returns every alarm.
func (e *Engine) Alarms() []Alarm {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make([]Alarm, 0, len(e.alarms))
	for _, w := range e.alarms {
		list = append(list, w.Alarm)
	}
	return list
}

// Has reports whether a source is set up.
func (e *Engine) Has(s series.Source) bool { return e.cfg.Sources[s] != nil }

// Push takes samples of metrics: to be saved, and for the alarms that watch them, which are evaluated at once.
func (e *Engine) Push(points []store.Datapoint) {
	now := e.cfg.Now().UTC()
	e.mu.Lock()
	defer e.mu.Unlock()
	kick := false
	for _, p := range points {
		e.pending.add(p)
		for _, w := range e.byMetric[p.Metric] {
			if !w.mine {
				continue // its datapoints are read when it becomes this replica's
			}
			w.add(p)
			if w.matters(p.Time, now) {
				w.due, kick = time.Time{}, true
			}
		}
	}
	if kick {
		e.kick()
	}
}

func (e *Engine) kick() {
	for _, c := range []chan struct{}{e.wake, e.fetch} {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
