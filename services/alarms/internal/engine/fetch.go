package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/slipway-deploy/slipway/drivers/metrics"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/alarms/internal/alarm"
	"github.com/slipway-deploy/slipway/services/alarms/internal/series"
)

const (
	maxPolls     = 8 // sources that are asked at once
	fetchAtLeast = 10 * time.Second
	fetchTimeout = 20 * time.Second
)

// fetching is what an alarm has of sources that have to be asked; Engine.mu guards it.
type fetching struct {
	values map[int]map[time.Time]series.Value // by metric and start of the period
	end    time.Time                          // of the range that was asked for
	fresh  bool                               // an answer came that was not evaluated yet
	due    time.Time
	cancel context.CancelFunc // of the asking under way
}

// fetchLoop asks the sources of alarms as often as CloudWatch evaluates. An answer, and not the clock, has the alarm evaluated.
func (e *Engine) fetchLoop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.fetch:
		case <-timer.C:
		}
		now := e.cfg.Now().UTC()
		timer.Reset(e.fetchDue(ctx, now).Sub(now))
	}
}

// fetchDue begins to ask for every alarm that is due and returns when the next one is.
func (e *Engine) fetchDue(ctx context.Context, now time.Time) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := now.Add(maxEvaluations)
	for _, w := range e.alarms {
		if w.state == nil || !e.may(w) {
			continue
		}
		if w.state.cancel == nil && !w.state.due.After(now) {
			step := max(w.Definition.Metric.Step(), fetchAtLeast)
			w.state.due = alarm.Align(now, step).Add(step)
			bounded, cancel := context.WithTimeout(ctx, min(step, fetchTimeout))
			w.state.cancel = cancel
			e.done.Go(func() { e.ask(bounded, w, w.Definition.Metric.End(now)) })
		}
		if w.state.due.Before(next) {
			next = w.state.due
		}
	}
	return next
}

// ask asks for all of an alarm's metrics and has it evaluated on the answers.
func (e *Engine) ask(ctx context.Context, w *watched, end time.Time) {
	values, err := e.answers(ctx, *w.Definition.Metric, end)
	e.mu.Lock()
	defer e.mu.Unlock()
	stopped := errors.Is(ctx.Err(), context.Canceled)
	w.state.cancel()
	w.state.cancel = nil
	if stopped || e.alarms[w.Definition.Name] != w {
		return // the engine stops, or the alarm is another by now
	}
	if err != nil {
		e.cfg.Metrics.unread(ctx)
		e.trouble(w, Trouble{EvaluationError, sentence(err)})
	} else {
		w.state.values, w.state.end, w.state.fresh, w.due = values, end, true, time.Time{}
	}
	e.kick()
}

// sentence is a source's problem for people.
func sentence(err error) string {
	text := err.Error()
	if p := problem.As(err); p != nil && p.Message != "" {
		text = p.Message
		for _, v := range p.Violations {
			if !strings.Contains(text, v.Rule) {
				text += "; " + v.Field + " " + v.Rule
			}
		}
	}
	if text != "" && !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}

func (e *Engine) answers(ctx context.Context, d series.Definition, end time.Time) (map[int]map[time.Time]series.Value, error) {
	select {
	case e.polls <- struct{}{}:
		defer func() { <-e.polls }()
	case <-ctx.Done():
		return nil, problem.New(problem.Unavailable, "", "the sources of other alarms answer too slowly")
	}
	values := map[int]map[time.Time]series.Value{}
	for i, m := range d.Metrics {
		if m.Source == series.Pushed {
			continue
		}
		source := e.cfg.Sources[m.Source]
		if source == nil {
			return nil, problem.New(problem.FailedPrecondition, "", "the alarms service has no source %s any more", m.Source)
		}
		points, err := source.Statistics(ctx, metrics.Query{
			Namespace: m.Namespace, MetricName: m.Name, Dimensions: m.Dimensions, Unit: m.Unit, Statistic: m.Statistic, Period: d.Period, Expr: m.Query,
		}, d.Start(end), end)
		if err != nil {
			if m.ID == "" {
				return nil, err
			}
			return nil, fmt.Errorf("metric %s: %s", m.ID, sentence(err))
		}
		values[i] = make(map[time.Time]series.Value, len(points))
		for _, p := range points {
			values[i][p.Time.UTC()] = series.Value{Value: p.Value, Samples: p.SampleCount}
		}
	}
	return values, nil
}
