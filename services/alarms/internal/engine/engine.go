// Package engine evaluates alarms: at the end of each period, and at once when data arrive that may change a state, for a
// rollback waits for it. Package alarm decides; the store keeps; the hub publishes. When Postgres is away, evaluating and
// publishing go on in memory and saves are made up for later.
package engine

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/slipway-deploy/slipway/platform/watch"
	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
	"github.com/slipway-deploy/slipway/services/alarms/internal/store"
)

const (
	flushPeriod    = 250 * time.Millisecond
	flushTimeout   = 5 * time.Second
	maxPending     = 100_000 // datapoints that wait for Postgres; the oldest are dropped
	prunePeriod    = 10 * time.Minute
	maxEvaluations = time.Minute // an alarm is looked at this often at the least
)

// Alarm is an alarm as it is now.
type Alarm struct {
	Definition     alarm.Definition
	Stored         store.Alarm
	EvaluationTime time.Time // zero before the first evaluation
}

// Engine holds every alarm.
type Engine struct {
	store     *store.Store
	log       *slog.Logger
	retention time.Duration
	hub       *watch.Hub[string, Alarm]

	mu       sync.Mutex
	alarms   map[string]*watched
	byMetric map[alarm.Metric]map[string]*watched
	pending  pending
	wake     chan struct{}
	stop     context.CancelFunc
	done     sync.WaitGroup
}

// watched is an alarm in memory with the buckets of its evaluation range; Engine.mu guards it.
type watched struct {
	Alarm
	metric  alarm.Metric
	buckets map[time.Time]*alarm.Bucket // by period
	due     time.Time
}

// New returns an engine that evaluates nothing yet.
func New(s *store.Store, retention time.Duration, log *slog.Logger) *Engine {
	return &Engine{
		store: s, log: log, retention: retention, hub: watch.NewHub[string, Alarm](), alarms: map[string]*watched{},
		byMetric: map[alarm.Metric]map[string]*watched{}, pending: newPending(), wake: make(chan struct{}, 1),
	}
}

// Start begins to evaluate.
func (e *Engine) Start(ctx context.Context) {
	ctx, e.stop = context.WithCancel(context.WithoutCancel(ctx))
	for _, loop := range []func(context.Context){e.evaluateLoop, e.flushLoop, e.pruneLoop} {
		e.done.Add(1)
		go func() {
			defer e.done.Done()
			loop(ctx)
		}()
	}
}

// Stop ends evaluating and saves what waits.
func (e *Engine) Stop() {
	if e.stop == nil {
		return
	}
	e.stop()
	e.done.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	e.flush(ctx)
}

// Hub is every alarm as it changes.
func (e *Engine) Hub() *watch.Hub[string, Alarm] { return e.hub }

// Put takes up an alarm, new or changed, with the datapoints of its range that were saved before.
func (e *Engine) Put(d alarm.Definition, stored store.Alarm, past []store.Datapoint) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.forget(d.Name)
	w := &watched{Alarm: Alarm{Definition: d, Stored: stored}, metric: d.MetricID(), buckets: map[time.Time]*alarm.Bucket{}, due: time.Now()}
	for _, p := range past {
		w.add(p.Time, p.Bucket)
	}
	e.alarms[d.Name] = w
	if e.byMetric[w.metric] == nil {
		e.byMetric[w.metric] = map[string]*watched{}
	}
	e.byMetric[w.metric][d.Name] = w
	e.hub.Set(d.Name, w.Alarm)
	e.kick()
}

// Remove gives up alarms.
func (e *Engine) Remove(names []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, name := range names {
		e.forget(name)
		e.hub.Delete(name)
	}
}

func (e *Engine) forget(name string) {
	if old := e.alarms[name]; old != nil {
		delete(e.byMetric[old.metric], name)
		if len(e.byMetric[old.metric]) == 0 {
			delete(e.byMetric, old.metric)
		}
		delete(e.alarms, name)
	}
}

// SetState sets a state until the next evaluation, which begins no sooner than the next period's end.
func (e *Engine) SetState(stored store.Alarm) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if w := e.alarms[stored.Name]; w != nil {
		w.Stored = stored
		w.due = w.next(time.Now())
		e.hub.Set(stored.Name, w.Alarm)
	}
}

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

// Push takes samples of a metric: to be saved, and for the alarms that watch it, which are evaluated at once.
func (e *Engine) Push(points []store.Datapoint) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range points {
		e.pending.add(p)
		for _, w := range e.byMetric[p.Metric] {
			w.add(p.Time, p.Bucket)
			w.due = time.Time{}
			e.kick()
		}
	}
}

func (e *Engine) kick() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (w *watched) add(at time.Time, b alarm.Bucket) {
	period := alarm.Align(at, w.Definition.Period)
	if w.buckets[period] == nil {
		w.buckets[period] = &alarm.Bucket{}
	}
	w.buckets[period].Merge(b)
}
