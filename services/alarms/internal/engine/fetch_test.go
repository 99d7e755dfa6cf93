package engine

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/slipway-deploy/slipway/drivers/metrics"
	"github.com/slipway-deploy/slipway/platform/problem"
	"github.com/slipway-deploy/slipway/services/alarms/internal/series"
)

// pond is a source that has a value for each period, or a problem.
type pond struct {
	mu    sync.Mutex
	value float64
	err   error
	asked []metrics.Query
}

func (p *pond) set(value float64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.value, p.err = value, err
}

func (p *pond) Statistics(_ context.Context, q metrics.Query, from, to time.Time) ([]metrics.Point, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, q)
	if p.err != nil {
		return nil, p.err
	}
	var points []metrics.Point
	for at := from; at.Before(to); at = at.Add(q.Period) {
		points = append(points, metrics.Point{Time: at, Value: p.value})
	}
	return points, nil
}

// fetchNow asks all sources that are due and evaluates what they answer.
func (f *fixture) fetchNow() {
	f.t.Helper()
	f.fetchDue(f.t.Context(), f.clock)
	f.done.Wait()
	f.evaluate()
}

func (f *fixture) trouble(name string) Trouble {
	a, _ := f.Hub().Get(name)
	return a.Trouble
}

func fetched(name string) Definition {
	d := on(errorsOf(name))
	d.Metric.Period = time.Minute
	d.Metric.Metrics = []series.Metric{{Source: series.Prometheus, Query: "errors"}}
	d.Metric.Computed = true
	return d
}

func TestAnAlarmIsEvaluatedOnWhatItsSourceAnswers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	source := &pond{}
	f.sources = map[series.Source]metrics.Source{series.Prometheus: source}
	f.Engine = f.restarted()
	f.putAny(fetched("a"))
	f.putAny(f.composite("c", "ALARM(a)"))
	f.evaluate()
	f.want("a", "INSUFFICIENT_DATA") // nothing was asked yet
	f.fetchNow()
	f.want("a", "OK")
	if q := source.asked[0]; q.Expr != "errors" || q.Period != time.Minute {
		t.Errorf("asked for %+v", q)
	}
	f.fetchNow()
	if len(source.asked) != 1 {
		t.Errorf("asked %d times in a step", len(source.asked))
	}
	source.set(1, nil)
	f.forward(time.Minute)
	f.fetchNow()
	f.want("a", "ALARM")
	f.want("c", "ALARM")
}

func TestAnAlarmWhoseSourceCannotBeReadKeepsItsStateAndSaysSo(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	source := &pond{value: 1}
	f.sources = map[series.Source]metrics.Source{series.Prometheus: source}
	f.Engine = f.restarted()
	f.putAny(fetched("a"))
	f.putAny(f.composite("c", "ALARM(a)"))
	f.fetchNow()
	f.want("a", "ALARM")
	sub := f.Hub().Subscribe(nil)
	defer sub.Close()
	if _, err := sub.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	source.set(0, problem.New(problem.Unavailable, "", "Prometheus at http://p cannot be reached"))
	f.forward(time.Minute)
	f.fetchNow()
	f.want("a", "ALARM")
	if got := f.trouble("a"); got != (Trouble{EvaluationError, "Prometheus at http://p cannot be reached."}) {
		t.Errorf("trouble %+v", got)
	}
	if got := f.trouble("c"); got != (Trouble{EvaluationError, "The alarm a cannot be evaluated: Prometheus at http://p cannot be reached."}) {
		t.Errorf("trouble of the composite alarm %+v", got)
	}
	changes, err := sub.Next(t.Context())
	if err != nil || changes.Set["a"].Trouble.State != EvaluationError || changes.Set["c"].Trouble.State != EvaluationError {
		t.Errorf("watched %+v, %v", changes.Set, err)
	}
	source.set(0, nil)
	f.forward(time.Minute)
	f.fetchNow()
	f.want("a", "OK")
	f.want("c", "OK")
	if f.trouble("a") != (Trouble{}) || f.trouble("c") != (Trouble{}) {
		t.Errorf("trouble after it answered: %+v, %+v", f.trouble("a"), f.trouble("c"))
	}
}

func TestAnAlarmWithoutItsSourceSaysSo(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.putAny(fetched("a"))
	f.fetchNow()
	if got := f.trouble("a"); got.State != EvaluationError || got.Reason != "the alarms service has no source PROMETHEUS any more." {
		t.Errorf("trouble %+v", got)
	}
	f.want("a", "INSUFFICIENT_DATA")
}

func TestAnAlarmThatIsReplacedForgetsTheAnswerUnderWay(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	gate := &gated{asked: make(chan struct{}), let: make(chan struct{})}
	f.sources = map[series.Source]metrics.Source{series.Prometheus: gate}
	f.Engine = f.restarted()
	f.putAny(fetched("a"))
	f.fetchDue(t.Context(), f.clock)
	<-gate.asked
	f.put(errorsOf("a")) // on pushed samples now
	close(gate.let)
	f.done.Wait()
	f.evaluate()
	f.want("a", "OK")
	if f.trouble("a") != (Trouble{}) {
		t.Errorf("trouble %+v", f.trouble("a"))
	}
}

// gated answers when it is let.
type gated struct{ asked, let chan struct{} }

func (g *gated) Statistics(context.Context, metrics.Query, time.Time, time.Time) ([]metrics.Point, error) {
	close(g.asked)
	<-g.let
	return nil, problem.New(problem.Unavailable, "", "too late")
}

func TestAnAlarmWarmsUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	d := on(errorsOf("a"))
	d.Metric.WarmUp = time.Minute
	f.putAny(d)
	f.push(1, 0)
	f.forward(20 * time.Second)
	f.push(1, 0)
	f.evaluate()
	f.want("a", "INSUFFICIENT_DATA")
	if got := f.trouble("a"); got.State != InWarmUp {
		t.Errorf("trouble %+v", got)
	}
	f.forward(40 * time.Second)
	f.want("a", "OK")
	if got := f.trouble("a"); got != (Trouble{}) {
		t.Errorf("trouble %+v", got)
	}
}
