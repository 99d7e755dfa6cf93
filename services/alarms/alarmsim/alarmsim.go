// Package alarmsim is the core of the alarms service for simulations: the real evaluation of a metric alarm, without a
// database or a network, on one clock. The metric is the simulation's.
package alarmsim

import (
	"sync"
	"time"

	alarmspb "github.com/slipway-deploy/slipway/gen/go/slipway/alarms/v1"
	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
)

// Alarm is one metric alarm: above 5 in 2 of 3 periods, missing data treated as missing.
type Alarm struct {
	Metric  func(period time.Time) (value float64, exists bool)
	Changed func(*alarmspb.MetricAlarm)

	mu         sync.Mutex
	closed     bool
	definition alarm.Definition
	state      alarm.State
	points     []alarm.Point // of the evaluation range, oldest first
}

// New returns an alarm that has not been evaluated yet.
func New(name string, period time.Duration) *Alarm {
	return &Alarm{
		state: alarm.InsufficientData,
		definition: alarm.Definition{
			Name: name, Namespace: "simulation", Metric: "errors", Statistic: alarm.Sum, Period: period,
			EvaluationPeriods: 3, DatapointsToAlarm: 2, Threshold: 5, Comparison: alarm.Greater, Missing: alarm.AsMissing,
		},
	}
}

// Start evaluates the alarm at the end of each period.
func (a *Alarm) Start() {
	time.AfterFunc(a.definition.Period, a.evaluate)
}

func (a *Alarm) evaluate() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	now := time.Now()
	began := now.Add(-a.definition.Period)
	value, exists := a.Metric(began)
	a.points = append(a.points, alarm.Point{Time: began, Value: value, Samples: 1, Missing: !exists})
	a.points = a.points[max(0, len(a.points)-a.definition.Range()):]
	verdict := alarm.Evaluate(a.definition, a.state, a.points, now)
	if verdict.State != a.state {
		a.state = verdict.State
		a.Changed(a.message())
	}
	time.AfterFunc(a.definition.Period, a.evaluate)
}

// Read calls f with the alarm and lets nothing change meanwhile.
func (a *Alarm) Read(f func([]*alarmspb.MetricAlarm)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f([]*alarmspb.MetricAlarm{a.message()})
}

// Close ends the evaluation.
func (a *Alarm) Close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
}

func (a *Alarm) message() *alarmspb.MetricAlarm {
	return &alarmspb.MetricAlarm{
		Name: a.definition.Name, State: alarmspb.MetricAlarm_State(alarmspb.MetricAlarm_State_value["STATE_"+string(a.state)]),
	}
}
